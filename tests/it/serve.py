#!/usr/bin/env python3
"""Starts a fresh gateway with a fake model server, runs a command against it, stops both.

    serve.py --build BUILD [--may-stop] [--tls] -- COMMAND ...

The command finds them in GATEWAY_URL, GATEWAY_TOKEN, GATEWAY_PID, GATEWAY_CONFIG (the file) and MODEL_URL. Exit code: the command's, or 1
when the gateway did not end well. --may-stop: the command may stop the gateway itself. --tls: with a certificate that it makes for
itself; GATEWAY_URL is wss then.
"""
import argparse
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from gateway import Fake, Gateway, become_subreaper, config_for  # noqa: E402


def main():
    args = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    args.add_argument("--build", required=True)
    args.add_argument("--may-stop", action="store_true")
    args.add_argument("--tls", action="store_true")
    args.add_argument("command", nargs=argparse.REMAINDER)
    opt = args.parse_args()
    command = opt.command[1:] if opt.command[:1] == ["--"] else opt.command
    become_subreaper()
    folder = tempfile.mkdtemp(prefix="serve-")
    fake = Fake(folder)
    doc = config_for(fake.url)
    doc["memory"] = {"search": {"provider": "mock", "model": "vec-1"}}
    if opt.tls:
        doc["gateway"]["tls"] = {"enabled": True}
    gateway = Gateway(os.path.abspath(opt.build), folder, doc)
    code = 1
    try:
        gateway.start()
        env = dict(os.environ, GATEWAY_URL="%s://127.0.0.1:%d" % ("wss" if opt.tls else "ws", gateway.port), GATEWAY_TOKEN=gateway.token,
                   GATEWAY_PID=str(gateway.pid), GATEWAY_CONFIG=gateway.config_path, MODEL_URL=fake.url)
        code = subprocess.call(command, env=env)
        if gateway.proc.poll() is None:
            gateway.stop()
        elif not opt.may_stop or gateway.wait_exit() != 0:
            raise AssertionError("the gateway ended by itself with %r:\n%s" %
                                 (gateway.proc.returncode, "\n".join(gateway.raw[-20:])))
    except AssertionError as e:
        print("FAIL  gateway: %s" % e)
        code = code or 1
    finally:
        gateway.kill_leftovers()
        fake.stop()
        if code:
            with open(os.path.join(folder, "gateway.log"), "w") as f:
                f.write("\n".join(gateway.raw) + "\n")
            print("log: %s/gateway.log" % folder)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
