#!/usr/bin/env python3
"""Prints what an idle `fuotad run` with page and metrics costs: start to ready, resident memory, CPU, threads, descriptors;
then CPU with one page open and metrics read each 5 s.

Usage: tests/measure.py [PATH OF fuotad]      (default target/release/fuotad)
"""
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

IDLE_S = 20
WEB = None


def free_port():
    """A port for the page; somebody may take it in the moment between."""
    global WEB
    with socket.create_server(("127.0.0.1", 0)) as probe:
        WEB = probe.getsockname()
    return WEB[1]


def look(path):
    """A connection that has asked for this."""
    connection = socket.create_connection(WEB, timeout=5)
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {WEB[0]}:{WEB[1]}\r\nConnection: close\r\n\r\n".encode())
    assert connection.recv(64).startswith(b"HTTP/1.1 200"), path
    return connection


def onlooker(stop):
    """One page: its events are read as they come; metrics each 5 s."""
    page, following = look("/events"), time.monotonic()
    page.settimeout(0.2)
    while not stop.is_set():
        try:
            page.recv(65536)
        except TimeoutError:
            pass
        if time.monotonic() >= following:
            following += 5
            look("/metrics").close()


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
[web]
listen = "127.0.0.1:{free_port()}"
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
            notify.settimeout(0.5)

            def cpu_percent():
                before, until = ticks(), time.monotonic() + IDLE_S
                while time.monotonic() < until:
                    try:
                        notify.recv(4096)
                    except TimeoutError:
                        pass
                return (ticks() - before) / os.sysconf("SC_CLK_TCK") / IDLE_S * 100

            cpu = cpu_percent()
            stop = threading.Event()
            page = threading.Thread(target=onlooker, args=(stop,))
            page.start()
            cpu_page = cpu_percent()
            stop.set()
            page.join()
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
        print(f"CPU, page open   {cpu_page:8.2f} %")
        print(f"threads          {status['Threads'].strip():>8}")
        print(f"descriptors      {descriptors:8}")
        print(f"SIGTERM to exit  {stopped_ms:8.1f} ms, exit {process.returncode}")


main()
