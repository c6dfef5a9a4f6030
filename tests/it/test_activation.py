"""Socket activation: the service manager's socket is taken when it is for our address."""
import os
import socket
import subprocess


def test_handed_socket(t):
    g = t.new_gateway()
    s = socket.socket()
    s.bind(("127.0.0.1", g.port))
    s.listen(16)
    # what systemd does between fork and exec: the socket becomes 3, LISTEN_PID the process itself
    argv = ["sh", "-c", 'exec 3<&%d; LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"' % s.fileno(), "sh"]
    usual = g.argv
    g.argv = lambda *more: argv + usual(*more)
    popen = subprocess.Popen
    subprocess.Popen = lambda *a, **kw: popen(*a, pass_fds=(s.fileno(),), **kw)
    try:
        g.start()
    finally:
        subprocess.Popen = popen
    ours = os.fstat(s.fileno()).st_ino
    held = {os.stat("/proc/%d/fd/%s" % (g.pid, fd)).st_ino for fd in os.listdir("/proc/%d/fd" % g.pid)
            if os.readlink("/proc/%d/fd/%s" % (g.pid, fd)).startswith("socket:")}
    assert ours in held, "it listens on a socket of its own"
    s.close()
    assert g.client().turn("agent:main:a", "by invitation [fake ok chunks=2]")[1]["state"] == "final"
