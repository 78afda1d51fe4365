#!/usr/bin/env python3
"""From the package to a campaign on the air, under a systemd that booted: what a stranger types, counted and timed, on a
machine where a packet forwarder serves a network server whose application side is behind a broker. Then an upgrade in the middle of the campaign, removal, purge."""
import json
import os
import pathlib
import shutil
import subprocess
import time

from common import active, check, counters, end, run, status, until
from doubles import Server
from lns import APPLICATION
from lns import Lns
from lns import QUESTION_BYTES

FOLDER = pathlib.Path("/opt/lora_pkt_fwd")
FRAMES = pathlib.Path("/run/frames")
UNIT = """[Service]
WorkingDirectory=/opt/lora_pkt_fwd
ExecStart=/usr/bin/python3 /opt/lora_pkt_fwd/lora_pkt_fwd.py /run/frames
"""
COMMANDS_MAX = 6
DEVICES = 2
typed = []


def frames():
    return [json.loads(line) for line in FRAMES.read_text().splitlines()] if FRAMES.exists() else []


def fragments():
    """Frames of the image; a question to canaries is no campaign yet."""
    return [frame for frame in frames() if frame["size"] != QUESTION_BYTES]


def there_already(server):
    """The forwarder is a service and sends straight to a network server on this machine, which has the usual port."""
    FOLDER.mkdir()
    shutil.copy("/payload/doubles.py", FOLDER / "lora_pkt_fwd.py")
    text = pathlib.Path("/payload/forwarder-sx1302.json").read_text()
    # The double's reader knows no comments; fuotad's does, and is tried on the file with them elsewhere.
    # In US915 no duty cycle stretches the campaign over hours.
    text = text.replace("863000000", "923000000").replace("870000000", "928000000")
    lines = (line.split("//")[0].split("/*")[0].rstrip() for line in text.splitlines())
    (FOLDER / "global_conf.json").write_text("\n".join(lines) + "\n")
    pathlib.Path("/etc/systemd/system/lora_pkt_fwd.service").write_text(UNIT)
    run("systemctl", "daemon-reload")
    run("systemctl", "start", "lora_pkt_fwd.service")
    check(until(10, lambda: len(server.seen) > 1), f"before: the forwarder serves its network server, {len(server.seen)} uplinks")
    pathlib.Path("/root/app-1.4.2.bin").write_bytes(os.urandom(1500))
    # What systemd-timesyncd leaves behind where the time is known.
    evidence = pathlib.Path("/run/systemd/timesync/synchronized")
    evidence.parent.mkdir(parents=True, exist_ok=True)
    evidence.touch()
    check(until(30, lambda: run("mosquitto_pub", "-h", "127.0.0.1", "-t", "x", "-m", "x")[0] == 0), "before: a broker")
    lns = Lns(DEVICES, 4, frames)
    lns.list_of_keys()
    return lns


def type_(line):
    """One command of the operator."""
    begin = time.monotonic()
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, env={**os.environ, "HOME": "/root"})
    text = (done.stdout + done.stderr).strip()
    typed.append(line)
    print(f"\n# {line}    ({time.monotonic() - begin:.1f} s)\n{text}\n", flush=True)
    check(done.returncode == 0, f"command {len(typed)}: {line}")


def from_package_to_air(server):
    begin = time.monotonic()
    type_("dpkg -i /payload/fuotad.deb")
    states = active("fuotad.socket"), active("fuotad.service")
    check("active" not in states, f"nothing was started that cannot work: {states}")
    type_(f"fuotad init --yes --apply --lns chirpstack --application {APPLICATION}")
    # The list of keys is a desk's; here the desk is the gateway.
    type_("fuotad prepare --group meters --mc-key-file /etc/fuotad/meters.mckey --root gen-app-key "
          "</root/keys.csv >/etc/fuotad/meters.devices.toml")
    type_("systemctl enable --now fuotad.socket fuotad.service")
    type_("systemctl restart lora_pkt_fwd")
    type_("fuotad order /root/app-1.4.2.bin --group meters --yes")
    is_sent = until(400, lambda: len(fragments()) > 0)
    took = time.monotonic() - begin
    check(is_sent, f"from the package to the first frame on the air: {took:.1f} s, {len(typed)} commands of at most {COMMANDS_MAX}")
    check(len(typed) <= COMMANDS_MAX, f"{len(typed)} commands")
    seen = len(server.seen)
    check(until(15, lambda: len(server.seen) > seen + 1), "the network server hears its gateway")
    code, text = run("fuotad", "doctor")
    check(code == 0 and "MEND" not in text, f"doctor:\n{text}")


def papers():
    code, text = run("fuotad", "tasks")
    check(code == 0 and "app-1.4.2" in text, f"tasks:\n{text}")
    for path in ("/usr/share/man/man8/fuotad.8.gz", "/usr/share/man/man5/fuotad.toml.5.gz",
                 "/usr/share/bash-completion/completions/fuotad", "/usr/share/doc/fuotad/licences.gz"):
        check(pathlib.Path(path).stat().st_size > 300, path)
    size = int(run("dpkg-query", "-Wf", "${Installed-Size}", "fuotad")[1])
    print(f"installed: {size} kB", flush=True)


def upgrade():
    """The same package once more is an upgrade to dpkg."""
    config = pathlib.Path("/etc/fuotad/fuotad.toml").read_text()
    pid = run("systemctl", "show", "-P", "MainPID", "fuotad.service")[1]
    before = len(fragments())
    code, text = run("dpkg", "-i", "/payload/fuotad.deb")
    check(code == 0, f"an upgrade while a campaign is on the air asks nothing: {text.strip().splitlines()[-1:]}")
    check(pathlib.Path("/etc/fuotad/fuotad.toml").read_text() == config, "it leaves the configuration as it is")
    moved = until(10, lambda: run("systemctl", "show", "-P", "MainPID", "fuotad.service")[1] not in (pid, "0\n"))
    check(moved, "the service is started anew")
    check(until(60, lambda: len(fragments()) > before + 2), "the campaign goes on")
    check(until(600, lambda: not status().get("tasks", [1])), f"it ends: {status().get('finished')}")
    counters(frames())


def removal():
    code, text = run("dpkg", "--remove", "fuotad")
    states = active("fuotad.socket"), active("fuotad.service")
    check(code == 0 and "active" not in states, f"removed, and nothing runs: {states}")
    code, text = run("dpkg", "--purge", "fuotad")
    kept = pathlib.Path("/var/lib/fuotad").is_dir() and pathlib.Path("/etc/fuotad/meters.mckey").is_file()
    check(code == 0 and kept and "is kept" in text, f"purged, and counters and keys are kept: {text.strip().splitlines()[-1:]}")
    check(not pathlib.Path("/etc/fuotad/fuotad.toml").exists(), "the configuration is gone")
    code, text = run("dpkg", "-i", "/payload/fuotad.deb")
    code, text = run("fuotad", "history", "-c", "/payload/minimal.toml")
    check(code == 0 and "app-1.4.2" in text, f"installed anew, it remembers: {text.strip().splitlines()[-1:]}")
    os.environ["FUOTAD_PURGE_STATE"] = "yes"
    code, text = run("dpkg", "--purge", "fuotad")
    check(code == 0 and not pathlib.Path("/var/lib/fuotad").exists(), "asked to, a purge takes the counters, too")


def way_back(server):
    code, text = run("sh", "-c", "mv /opt/lora_pkt_fwd/global_conf.json.before-fuotad /opt/lora_pkt_fwd/global_conf.json && systemctl restart lora_pkt_fwd")
    seen = len(server.seen)
    check(code == 0 and until(15, lambda: len(server.seen) > seen + 1), "the way back that init printed: the forwarder serves its server as before")


def main():
    server = Server(1700)
    there_already(server)
    from_package_to_air(server)
    papers()
    upgrade()
    removal()
    way_back(server)
    end()


main()
