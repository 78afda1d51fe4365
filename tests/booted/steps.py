#!/usr/bin/env python3
"""What an operator does with the installed units, under a systemd that booted: the steps of systemd/README.md, then what
goes wrong. Runs as root inside; a packet forwarder and a network server run beside it. Exit 0: all held."""
import json
import os
import pathlib
import shutil
import sys
import threading
import time

from common import active, check, counters, end, outcome, run, status, until
from doubles import Forwarder, Server

PAYLOAD = pathlib.Path("/payload")

CONFIG = """
[gateway]
region = "EU868"

[[network-server]]
address = "127.0.0.1:1710"

[clock]
trust = "always"
"""


def install():
    """systemd/README.md, line by line."""
    for name in ("fuotad.service", "fuotad.socket"):
        shutil.copy(PAYLOAD / name, "/usr/lib/systemd/system")
    shutil.copy(PAYLOAD / "fuotad.sysusers", "/usr/lib/sysusers.d/fuotad.conf")
    shutil.copy(PAYLOAD / "fuotad", "/usr/bin/fuotad")
    for line in (
        "systemd-sysusers && systemctl daemon-reload",
        "install -d -o fuotad -g fuotad -m 0700 /var/lib/fuotad",
        "install -d -g fuotad -m 0750 /etc/fuotad/tasks.d",
    ):
        code, text = run("sh", "-c", line)
        check(code == 0, f"{line}: {text.strip()}")


def configure():
    path = pathlib.Path("/etc/fuotad/fuotad.toml")
    path.write_text(CONFIG)
    code, text = run("/usr/bin/fuotad", "group", "new", "meters", "--key-file", "/etc/fuotad/meters.mckey")
    check(code == 0, f"group new: {text.strip().splitlines()[-1:]}")
    if code != 0:
        sys.exit(text)
    # The lines are printed, remarks go beside them.
    lines = text[text.index("[[group]]"):text.index("warning:")]
    # What it proposes, on a fast data rate that the devices were set to.
    lines = lines.replace('session = "windows"', "")
    path.write_text(CONFIG + lines + '\nsession = "always"\nrx-is-elsewhere = true\ndata-rate = 5\ndevice-profile = "fast"\n')
    code, text = run("/usr/bin/fuotad", "check")
    check(code == 0, f"check as root: {text.strip()[-200:]}")
    return text


def order(name, size):
    image = pathlib.Path("/var/lib/fuotad/firmware") / f"{name}.bin"
    image.parent.mkdir(exist_ok=True)
    shutil.chown(image.parent, "fuotad", "fuotad")
    image.write_bytes(os.urandom(size))
    shutil.chown(image, "fuotad", "fuotad")
    digest = run("sha256sum", str(image))[1].split()[0]
    document = {
        "FirmwareUpdateImage": f"file://{image}", "RedundancyPercent": 30, "FragmentSizeBytes": 48,
        "LoRaWAN": {"RfRegion": "EU868"},
        "Fuotad": {"MulticastGroups": ["meters"], "Start": "at-once", "Sha256": digest},
    }
    task = pathlib.Path("/etc/fuotad/tasks.d") / f"{name}.json"
    task.write_text(json.dumps(document))
    shutil.chown(task, "root", "fuotad")
    task.chmod(0o640)


def main():
    install()
    configure()
    server, forwarder = Server(), Forwarder()
    code, text = run("systemctl", "enable", "--now", "fuotad.socket", "fuotad.service")
    check(code == 0 and active("fuotad.service") == "active", f"enable --now: {text.strip()} {active('fuotad.service')}")
    check(until(10, lambda: len(server.seen) > 2), f"uplinks reach the network server: {len(server.seen)}")
    print(run("journalctl", "-u", "fuotad", "--no-pager", "-o", "cat")[1][-1500:], flush=True)

    order("first", 1500)
    check(until(20, lambda: len(forwarder.frames) > 3), f"a campaign is on the air: {len(forwarder.frames)} frames")
    sent = len(forwarder.frames)
    forwarder.die()
    time.sleep(3)
    silent = len(forwarder.frames) - sent
    forwarder.live()
    check(silent <= 2 and until(15, lambda: len(forwarder.frames) > sent + 3), "a forwarder that restarts gets the same frames on")

    restart_under_load(server, forwarder)
    run("systemctl", "kill", "-s", "KILL", "fuotad.service")
    before = len(forwarder.frames)
    check(until(15, lambda: len(forwarder.frames) > before + 2), "killed: it is started anew and goes on")
    check(until(120, lambda: outcome("first") is not None), f"the campaign ends: {outcome('first')}")
    counters(forwarder.frames)

    reloads()
    faults(server, forwarder)
    stopping(forwarder)
    end()


def restart_under_load(server, forwarder):
    tmsts, stop = set(), threading.Event()

    def load():
        while not stop.is_set():
            tmsts.add(forwarder.uplink())
            time.sleep(1 / 700)

    acknowledged_before, sent_before = forwarder.acknowledged, forwarder.sent
    thread = threading.Thread(target=load)
    thread.start()
    time.sleep(1)
    code, _ = run("systemctl", "restart", "fuotad.service")
    time.sleep(2)
    stop.set()
    thread.join()
    tmsts.discard(None)
    until(10, lambda: not tmsts - server.seen)
    lost = len(tmsts - server.seen)
    rate = len(tmsts) / 3
    check(code == 0 and lost == 0, f"systemctl restart under {rate:.0f} datagrams a second: {len(tmsts)} sent, {lost} lost")
    acknowledged = forwarder.acknowledged - acknowledged_before
    check(acknowledged >= len(tmsts), f"all acknowledged: {acknowledged} of {forwarder.sent - sent_before}")


def reloads():
    path = pathlib.Path("/etc/fuotad/fuotad.toml")
    good = path.read_text()
    pid = run("systemctl", "show", "-P", "MainPID", "fuotad.service")[1]
    path.write_text(good.replace('"EU868"', '"EU869"'))
    code, _ = run("systemctl", "reload", "fuotad.service")
    same = run("systemctl", "show", "-P", "MainPID", "fuotad.service")[1]
    check(code != 0 and pid == same, "a reload of a bad configuration fails and changes nothing")
    path.write_text(good)
    code, text = run("systemctl", "reload", "fuotad.service")
    moved = until(10, lambda: run("systemctl", "show", "-P", "MainPID", "fuotad.service")[1] not in (pid, "0\n"))
    check(code == 0 and moved, f"a reload of a good one starts it anew: {text.strip()}")


def faults(server, forwarder):
    path, key = pathlib.Path("/etc/fuotad/fuotad.toml"), pathlib.Path("/etc/fuotad/meters.mckey")
    good = path.read_text()
    relays = lambda: (lambda seen: until(15, lambda: len(server.seen) > seen + 1))(len(server.seen))

    def try_one(what, spoil, mend):
        spoil()
        run("systemctl", "restart", "fuotad.service")
        is_relaying = relays()
        told = json.dumps(status())
        mend()
        run("systemctl", "restart", "fuotad.service")
        is_back = until(15, lambda: "relay only" not in json.dumps(status()) and status().get("version"))
        check(is_relaying and "relay only" in told and is_back, f"{what}: it relays ({is_relaying}), says so ({'relay only' in told}), and is whole again ({bool(is_back)})")

    try_one("a key that the service cannot read", lambda: key.chmod(0o600), lambda: key.chmod(0o640))
    try_one("a configuration that cannot be read", lambda: path.write_text(good + "\n[["), lambda: path.write_text(good))
    try_one("a region that does not exist", lambda: path.write_text(good.replace("EU868", "EU869")), lambda: path.write_text(good))


def stopping(forwarder):
    code, _ = run("systemctl", "stop", "fuotad.socket", "fuotad.service")
    time.sleep(3)
    states = active("fuotad.socket"), active("fuotad.service")
    check(code == 0 and "active" not in states, f"stopped, and no datagram starts it again: {states}")
    code, _ = run("systemctl", "start", "fuotad.socket")
    check(code == 0 and until(10, lambda: active("fuotad.service") == "active"), "the socket alone: the next datagram starts the service")


main()
