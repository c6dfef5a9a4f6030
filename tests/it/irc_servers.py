"""Real IRC servers for tests: ngircd, and inspircd with atheme-services (accounts, SASL). Each on free ports, in a folder of its own."""
import os
import re
import shutil
import socket
import subprocess

from gateway import free_port, until


def listening(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


class Server:
    """folder, port and the processes behind them."""

    def __init__(self, t, name):
        self.folder = os.path.join(t.folder, name)
        os.makedirs(self.folder)
        self.port, self.procs = free_port(), []

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w") as f:
            f.write(text)
        return path

    def run(self, name, *argv):
        path = shutil.which(name) or "/usr/sbin/" + name
        out = open(os.path.join(self.folder, name + ".out"), "wb")
        self.procs.append(subprocess.Popen([path, *argv], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT))
        out.close()

    def close(self):
        for p in self.procs:
            p.kill()
            p.wait()


def ngircd(t):
    s = Server(t, "ngircd")
    s.run("ngircd", "-n", "-f", s.write("ngircd.conf", """
[Global]
Name = irc.test
Info = test
Listen = 127.0.0.1
Ports = %d
MotdPhrase = hello
ServerGID = %d
ServerUID = %d
[Limits]
MaxConnectionsIP = 0
MaxPenaltyTime = 0
[Options]
DNS = no
Ident = no
PAM = no
""" % (s.port, os.getgid(), os.getuid())))
    until(lambda: listening(s.port), "ngircd listens")
    return s


MODULES = ("cap sasl services_account spanningtree ircv3 ircv3_servertime ircv3_accounttag ircv3_msgid ircv3_ctctags hidechans svshold "
           "globops").split()
SERVICES = ("protocol/inspircd backend/opensex crypto/pbkdf2v2 nickserv/main nickserv/identify nickserv/register nickserv/ghost saslserv/main "
            "saslserv/plain").split()


def inspircd(t):
    """With services: SASL is offered as soon as they are there."""
    s = Server(t, "inspircd")
    link = free_port()
    conf = """
<server name="irc.test" description="test" network="Test" id="1AA">
<bind address="127.0.0.1" port="%d" type="clients">
<bind address="127.0.0.1" port="%d" type="servers">
<connect allow="*" timeout="60" hardsendq="1M" localmax="1000" globalmax="1000" useident="no" resolvehostnames="no"
         commandrate="100000" fakelag="no" threshold="1000">
<path datadir="%s" logdir="%s" runtimedir="%s">
<dns server="127.0.0.1">
<sasl target="services.test">
<link name="services.test" ipaddr="127.0.0.1" port="%d" allowmask="127.0.0.0/8" sendpass="linkpw" recvpass="linkpw">
<uline server="services.test" silent="yes">
""" % (s.port, link, s.folder, s.folder, s.folder, link) + "".join('<module name="%s">\n' % m for m in MODULES)
    root = ["--runasroot"] if os.getuid() == 0 else []
    s.run("inspircd", "--config", s.write("inspircd.conf", conf), "--nofork", "--nopid", *root)
    until(lambda: listening(s.port) and listening(link), "inspircd listens")
    conf = "".join('loadmodule "modules/%s";\n' % m for m in SERVICES) + """
serverinfo { name = "services.test"; desc = "s"; numeric = "00A"; recontime = 1; netname = "Test"; adminname = "a"; adminemail = "a@b.cd";
             registeremail = "a@b.cd"; auth = none; casemapping = rfc1459; };
uplink "irc.test" { host = "127.0.0.1"; port = %d; send_password = "linkpw"; receive_password = "linkpw"; };
nickserv { nick = "NickServ"; user = "NickServ"; host = "services.test"; real = "n"; };
saslserv { nick = "SaslServ"; user = "SaslServ"; host = "services.test"; real = "s"; };
general { uflags = { }; };
""" % link
    path = lambda n: os.path.join(s.folder, n)
    s.run("atheme-services", "-n", "-c", s.write("atheme.conf", conf), "-D", s.folder, "-l", path("atheme.log"), "-p", path("atheme.pid"))
    until(lambda: offers_sasl(s.port), "services are linked")
    return s


def offers_sasl(port):
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.sendall(b"CAP LS 302\r\n")
        return b"sasl" in sock.recv(4096)


class Person:
    """Somebody with a plain IRC client."""

    def __init__(self, port, nick):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.file = self.sock.makefile("rb")
        self.say("NICK " + nick)
        self.say("USER %s 0 * :%s" % (nick, nick))
        self.wait(r" 001 ")

    def say(self, line):
        self.sock.sendall(line.encode() + b"\r\n")

    def wait(self, pattern):
        for line in self.file:
            text = line.decode("utf-8", "replace").rstrip()
            if text.startswith("PING"):
                self.say("PONG" + text[4:])
            if re.search(pattern, text):
                return text
        raise AssertionError("the connection ended before %r" % pattern)
