#!/usr/bin/env python3
"""Prints what an idle `fuotad run` costs: start to ready, resident memory, CPU, threads, descriptors.

Usage: tests/measure.py [PATH OF fuotad]      (default target/release/fuotad)
"""
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time

IDLE_S = 20


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    program = sys.argv[1] if len(sys.argv) > 1 else str(root / "target/release/fuotad")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "state").mkdir(mode=0o700)
        (folder / "tasks").mkdir()
        (folder / "key").write_text("00112233445566778899aabbccddeeff\n")
        (folder / "key").chmod(0o600)
        (folder / "fuotad.toml").write_text(f"""
[gateway]
region = "EU868"
[forwarder]
listen = "127.0.0.1:0"
[state]
dir = "{folder}/state"
[tasks]
folder = "{folder}/tasks"
[status]
socket = "{folder}/status.sock"
[[group]]
name = "meters"
mc-addr = "01c0ffee"
mc-key-file = "{folder}/key"
first-fcnt = 2
session = "always"
""")
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify.bind(str(folder / "notify"))
        notify.settimeout(10)
        subprocess.run(
            [program, "group", "enrol", "meters", "--config", str(folder / "fuotad.toml")],
            check=True, stdout=subprocess.DEVNULL,
        )
        begin = time.monotonic()
        process = subprocess.Popen(
            [program, "run", "--config", str(folder / "fuotad.toml")],
            env={**os.environ, "NOTIFY_SOCKET": str(folder / "notify")},
            stderr=subprocess.DEVNULL,
        )
        try:
            while b"READY=1" not in notify.recv(4096):
                pass
            ready_ms = (time.monotonic() - begin) * 1000
            stat = pathlib.Path(f"/proc/{process.pid}/stat")
            ticks = lambda: sum(int(field) for field in stat.read_text().rsplit(")", 1)[1].split()[11:13])
            before, until = ticks(), time.monotonic() + IDLE_S
            notify.settimeout(0.5)
            while time.monotonic() < until:
                try:
                    notify.recv(4096)
                except TimeoutError:
                    pass
            cpu = (ticks() - before) / os.sysconf("SC_CLK_TCK") / IDLE_S * 100
            status = dict(
                line.split(":", 1) for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines()
            )
            descriptors = len(os.listdir(f"/proc/{process.pid}/fd"))
            begin = time.monotonic()
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=10)
            stopped_ms = (time.monotonic() - begin) * 1000
        finally:
            process.kill()
        print(f"start to ready   {ready_ms:8.1f} ms")
        print(f"resident         {int(status['VmRSS'].split()[0]):8} KiB, {status['RssAnon'].strip()} anonymous")
        print(f"CPU idle         {cpu:8.2f} % of a core over {IDLE_S} s")
        print(f"threads          {status['Threads'].strip():>8}")
        print(f"descriptors      {descriptors:8}")
        print(f"SIGTERM to exit  {stopped_ms:8.1f} ms, exit {process.returncode}")


main()
