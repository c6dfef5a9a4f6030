"""TLS on the port: the certificate the gateway makes, its own files and their renewal under open connections,
client certificates, and what comes that is no TLS, or not soon enough."""
import hashlib
import os
import socket
import ssl
import subprocess
import time

from client import Client
from gateway import until
from ws import Closed, WebSocket


def openssl(*argv, cwd):
    subprocess.run(("openssl",) + argv, cwd=cwd, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


def make_pair(folder, name, subject=None):
    """NAME.pem and NAME.key, self-signed."""
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
            "/CN=" + (subject or name), "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
            "-keyout", name + ".key", "-out", name + ".pem", cwd=folder)
    return os.path.join(folder, name + ".pem"), os.path.join(folder, name + ".key")


def issue(folder, issuer, name):
    """A certificate that ISSUER signed."""
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=" + name,
            "-keyout", name + ".key", "-out", name + ".csr", cwd=folder)
    openssl("x509", "-req", "-in", name + ".csr", "-CA", issuer + ".pem", "-CAkey", issuer + ".key",
            "-CAcreateserial", "-days", "2", "-out", name + ".pem", cwd=folder)
    return os.path.join(folder, name + ".pem"), os.path.join(folder, name + ".key")


def context(ca=None, cert=None, version=None, alpn=None):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname = ca is not None
    c.verify_mode = ssl.CERT_REQUIRED if ca else ssl.CERT_NONE
    if ca:
        c.load_verify_locations(ca)
    if cert:
        c.load_cert_chain(*cert)
    if version:
        c.minimum_version = c.maximum_version = version
    if alpn:
        c.set_alpn_protocols(alpn)
    return c


def fingerprint_of(path):
    with open(path) as f:
        der = ssl.PEM_cert_to_DER_cert(f.read())
    return ":".join("%02X" % b for b in hashlib.sha256(der).digest())


def dial(g, c, session=None):
    s = c.wrap_socket(socket.create_connection(("127.0.0.1", g.port), timeout=20), server_hostname="127.0.0.1",
                      session=session)
    return s


def get(s, path="/healthz"):
    s.sendall(("GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" % path).encode())
    out = b""
    while b"live" not in out:
        part = s.recv(65536)
        if not part:
            break
        out += part
    return out


def shown(g):
    with dial(g, context()) as s:
        return ":".join("%02X" % b for b in hashlib.sha256(s.getpeercert(True)).digest())


def refused(g, c):
    """No handshake, or none that lasts: in TLS 1.3 a client learns of its refusal when it reads."""
    try:
        with dial(g, c) as s:
            return b"live" not in get(s)
    except (ssl.SSLError, ConnectionError):
        return True


def raw(g, data, timeout=20):
    """What comes back until the other side closes; and how long that took."""
    began = time.monotonic()
    out = b""
    with socket.create_connection(("127.0.0.1", g.port), timeout=timeout) as s:
        s.sendall(data)
        try:
            while True:
                part = s.recv(65536)
                if not part:
                    break
                out += part
        except ConnectionError:
            pass
    return out, time.monotonic() - began


def secure(t, **tls):
    return t.gateway(tls=dict({"enabled": True}, **tls))


def test_a_certificate_is_made(t):
    g = secure(t)
    cert = os.path.join(g.state_dir, "gateway", "tls", "gateway-cert.pem")
    key = os.path.join(g.state_dir, "gateway", "tls", "gateway-key.pem")
    assert os.stat(key).st_mode & 0o777 == 0o600 and os.stat(cert).st_mode & 0o777 == 0o600
    fp = fingerprint_of(cert)
    line = g.wait_log(lambda l: l.get("event") == "tls.certificate", "tls.certificate", start=0)
    assert line["fingerprint"] == fp and line["made"] is True, line
    assert shown(g) == fp
    with dial(g, context(ca=cert)) as s:  # its names are right, and it is its own issuer
        assert s.version() == "TLSv1.3" and b"live" in get(s)
    c = Client(g.port, g.token, tls=context(ca=cert))
    assert c.hello["type"] == "hello-ok"
    assert c.ask("health")["ok"] is True
    out = subprocess.run([os.path.join(g.build, "openclawctl"), "--config", g.config_path, "--state-dir", g.state_dir,
                          "--token", g.token, "status"], env=dict(g.env(), OPENCLAW_GATEWAY_PORT=str(g.port)),
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30).stdout.decode()
    assert fp in out and "wss://" in out, out
    c.ws.close()
    g.stop()
    g.start()  # the same one again
    assert shown(g) == fp
    with open(key) as f:
        assert f.read().split("\n")[1][:20] not in "\n".join(g.raw)


def test_versions_and_sessions(t):
    g = secure(t)
    for version, name in ((ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")):
        c = context(version=version, alpn=["x", "http/1.1"])
        with dial(g, c) as s:
            assert s.version() == name and s.selected_alpn_protocol() == "http/1.1" and s.compression() is None
            assert b"live" in get(s)
            session = s.session
        with dial(g, c, session) as s:
            assert s.session_reused, name
            assert b"live" in get(s)
    with dial(g, context(alpn=["http/1.1", "h2"])) as s:
        assert s.selected_alpn_protocol() == "h2"
    assert refused(g, context(alpn=["h2c", "x"]))


def test_many_bytes(t):
    g = secure(t)
    c = Client(g.port, g.token, tls=context())
    r = c.refused("no.such.method", {"a": "x" * (5 << 20)})
    assert r.code == "INVALID_REQUEST", r.code
    ids = [c.start("health", {"probe": False}) for _ in range(1000)]
    for i in ids:
        assert c.answer(i)["ok"]
    c.ws.close()


def test_clear_text_on_the_port(t):
    g = secure(t)
    out, took = raw(g, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert out.startswith(b"HTTP/1.1 400 ") and b"https://" in out and len(out) < 1000, out
    assert took < 5
    try:
        WebSocket(g.port)
        raise AssertionError("a WebSocket in the clear was accepted")
    except Closed as e:
        assert "400" in str(e)
    assert b"live" in get(dial(g, context()))


def test_tls_on_a_clear_port(t):
    g = t.gateway()
    try:
        with dial(g, context()):
            raise AssertionError("TLS where there is none")
    except (ssl.SSLError, ConnectionError):
        pass
    assert g.http("/healthz")[0] == 200


def test_handshakes_that_are_none(t):
    g = secure(t)
    for data in (b"\x16\x03\x01\x00\x05hello", b"\x16" * 5000, b"\x16\x03\x01\xff\xff" + b"x" * 70000,
                 b"\x16\x03\x01\x00\x00" * 1000, bytes(range(22, 256)) * 50):
        out, took = raw(g, data)
        assert took < 5, (data[:6], took)
        assert len(out) < 200, out
    assert b"live" in get(dial(g, context()))


def test_slow_handshakes(t):
    """Half a ClientHello, and a byte a second: ten seconds from accept, whatever comes."""
    g = secure(t)
    began = time.monotonic()
    half, trickle, silent = [socket.create_connection(("127.0.0.1", g.port)) for _ in range(3)]
    half.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"r" * 40)
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"r" * 500
    left = {half: None, trickle: None, silent: None}
    i = 0
    while None in left.values() and time.monotonic() - began < 16:
        try:
            trickle.sendall(hello[i:i + 1])
        except OSError:
            pass
        i += 1
        for s, at in list(left.items()):
            s.settimeout(0.2)
            try:
                if at is None and not s.recv(100):
                    left[s] = time.monotonic() - began
            except socket.timeout:
                pass
            except ConnectionError:
                left[s] = time.monotonic() - began
        assert b"live" in get(dial(g, context()))
    assert all(at and 9 < at < 13 for at in left.values()), left.values()


def test_client_certificates(t):
    folder = t.folder
    make_pair(folder, "ca")
    make_pair(folder, "other")
    good, wrong = issue(folder, "ca", "good"), issue(folder, "other", "wrong")
    g = secure(t, caPath=os.path.join(folder, "ca.pem"))
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        assert refused(g, context(version=version)), "none"
        assert refused(g, context(version=version, cert=wrong)), "of another issuer"
        c = context(version=version, cert=good)
        with dial(g, c) as s:
            assert b"live" in get(s)
            session = s.session
        with dial(g, c, session) as s:
            assert s.session_reused and b"live" in get(s)
    c = Client(g.port, g.token, tls=context(cert=good))  # besides, not instead of the token
    c.ws.close()
    bare = Client(g.port, g.token, auth=False, tls=context(cert=good))
    rid = bare.start("connect", Client.connect_params("wrong"))
    assert not bare.answer(rid)["ok"]
    bare.ws.close()


def test_renewal(t):
    folder = t.folder
    a, b, other = make_pair(folder, "a"), make_pair(folder, "b"), make_pair(folder, "c")
    cert, key = os.path.join(folder, "srv.pem"), os.path.join(folder, "srv.key")

    def put(pair):
        for source, to in ((pair[1], key), (pair[0], cert)):
            with open(source, "rb") as f:
                data = f.read()
            with open(to + ".new", "wb", opener=lambda p, flags: os.open(p, flags, 0o600)) as f:
                f.write(data)
            os.rename(to + ".new", to)

    put(a)
    g = secure(t, certPath=cert, keyPath=key)
    assert shown(g) == fingerprint_of(a[0])
    held = Client(g.port, g.token, tls=context())
    at = len(g.lines)
    put((b[0], other[1]))  # does not fit
    g.wait_log(lambda l: l.get("event") == "tls.reload_refused", "tls.reload_refused", start=at)
    assert shown(g) == fingerprint_of(a[0])
    at = len(g.lines)
    put(b)
    g.wait_log(lambda l: l.get("event") == "tls.reloaded", "tls.reloaded", start=at)
    until(lambda: shown(g) == fingerprint_of(b[0]), "the new certificate is shown")
    assert held.ask("health")["ok"] is True
    pids = g.workers()
    put(a)
    g.proc.send_signal(1)  # SIGHUP does the same by hand
    until(lambda: shown(g) == fingerprint_of(a[0]), "the first one again")
    assert held.ask("health")["ok"] is True and g.workers() == pids
    held.ws.close()
    front = [p for p, c in g.workers().items() if c == "front"][0]
    os.kill(front, 9)  # a new front has them, too
    until(lambda: front not in g.workers() and "front" in g.workers().values(), "a new front")
    until(lambda: served(g), "it serves")
    assert shown(g) == fingerprint_of(a[0])


def test_links_are_exchanged(t):
    """As Kubernetes does it: the files lie behind a folder that is a link; and as certbot does: a link is removed and made anew."""
    folder = os.path.join(t.folder, "secret")
    pairs = [make_pair(t.folder, name) for name in ("a", "b", "c", "d")]
    for name, (cert, key) in zip("ab", pairs):
        os.makedirs(os.path.join(folder, name))
        for source, to in ((cert, "tls.crt"), (key, "tls.key")):
            os.rename(source, os.path.join(folder, name, to))
    os.symlink("a", os.path.join(folder, "..data"))
    for name in ("tls.crt", "tls.key"):
        os.symlink(os.path.join("..data", name), os.path.join(folder, name))
    want = [fingerprint_of(os.path.join(folder, n, "tls.crt")) for n in "ab"] + [fingerprint_of(p[0]) for p in pairs[2:]]
    g = secure(t, certPath=os.path.join(folder, "tls.crt"), keyPath=os.path.join(folder, "tls.key"))
    assert shown(g) == want[0]
    os.symlink("b", os.path.join(folder, "..new"))
    os.rename(os.path.join(folder, "..new"), os.path.join(folder, "..data"))
    until(lambda: shown(g) == want[1], "the folder that the link leads to now")
    for n in (2, 3):  # twice: what is watched follows
        for source, name in zip(pairs[n], ("tls.crt", "tls.key")):
            os.unlink(os.path.join(folder, name))
            os.symlink(source, os.path.join(folder, name))
        until(lambda: shown(g) == want[n], "the file that the new link leads to")


def served(g):
    try:
        return b"live" in get(dial(g, context()))
    except OSError:
        return False


def test_bad_files(t):
    folder = t.folder
    a, b = make_pair(folder, "a"), make_pair(folder, "b")
    for tls, says in (({"certPath": a[0], "keyPath": b[1]}, "is not that of"),
                      ({"certPath": a[0], "keyPath": os.path.join(folder, "none")}, "missing"),
                      ({"certPath": os.path.join(folder, "x"), "keyPath": os.path.join(folder, "y"),
                        "autoGenerate": False}, "autoGenerate"),
                      ({"certPath": a[1], "keyPath": a[1]}, "no certificate"),
                      ({"certPath": a[0], "keyPath": a[0]}, "no private key"),
                      ({"certPath": "a.pem", "keyPath": a[1]}, "whole path"),
                      ({"caPath": a[1]}, "no certificate")):
        g = t.new_gateway(tls=dict({"enabled": True}, **tls))
        code, said = g.run()
        assert code == 2 and says in said, (tls, code, said)


def test_clear_text_is_said(t):
    g = t.gateway(bind="lan")
    assert [l for l in g.lines if l.get("event") == "bind.clear_text"], "no word about clear text"
    g.stop()
    g = t.gateway(bind="lan", tls={"enabled": True})
    assert not [l for l in g.lines if l.get("event") == "bind.clear_text"]
