"""What the steps under a booted systemd have in common: checks that are counted, commands, patience."""
import json
import subprocess
import sys
import time

failures = []


def check(is_good, sentence):
    print(("held    " if is_good else "FAILED  ") + sentence, flush=True)
    if not is_good:
        failures.append(sentence)


def run(*words, user=None):
    command = list(words) if user is None else ["setpriv", "--reuid", user, "--regid", user, "--clear-groups", *words]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def until(seconds, what):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.05)
    return False


def status():
    code, text = run("/usr/bin/fuotad", "status", "--json", user="fuotad")
    try:
        return json.loads(text)
    except ValueError:
        return {"error": f"{code}: {text}"}


def active(unit):
    return run("systemctl", "is-active", unit)[1].strip()


def outcome(name):
    return dict(status().get("finished", [])).get(name)


def counters(frames):
    """A counter carries one payload."""
    import base64
    seen = {}
    for frame in frames:
        data = base64.b64decode(frame["data"])
        seen.setdefault(data[6] | data[7] << 8, set()).add(data)
    twice = [fcnt for fcnt, payloads in seen.items() if len(payloads) > 1]
    check(not twice and len(seen) > 20, f"{len(seen)} frame counters, {len(twice)} with two payloads")


def end():
    print(f"{len(failures)} failed", flush=True)
    sys.exit(1 if failures else 0)
