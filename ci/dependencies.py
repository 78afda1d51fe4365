#!/usr/bin/env python3
"""Judges what Cargo.lock brings in on this platform: licences, duplicate versions, sources, banned and yanked crates.

Usage: ci/dependencies.py [RULES]      (default ci/dependencies.toml)
"""
import collections
import json
import pathlib
import re
import subprocess
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
REGISTRY = "registry+https://github.com/rust-lang/crates.io-index"
PATIENCE_S = 90


def packages():
    host = re.search(r"^host: (.+)$", subprocess.check_output(["rustc", "-vV"], text=True), re.M)[1]
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", host]
    metadata = json.loads(subprocess.check_output(command, cwd=ROOT))
    return [package for package in metadata["packages"] if package["name"] != "fuotad"]


def is_allowed(expression, allowed):
    """An SPDX expression with AND, OR, WITH and brackets; "/" is the old way of writing OR."""
    words = re.findall(r"[()]|[^\s()/]+|/", expression)

    def term():
        word = words.pop(0)
        if word == "(":
            value = either()
            words.pop(0)
            return value
        if words[:1] == ["WITH"]:
            word = f"{word} WITH {words[1]}"
            del words[:2]
        return word in allowed

    def both():
        value = term()
        while words[:1] == ["AND"]:
            words.pop(0)
            value = term() and value
        return value

    def either():
        value = both()
        while words[:1] in (["OR"], ["/"]):
            words.pop(0)
            value = both() or value
        return value

    return either()


def findings(found, rules):
    excused, versions = set(), collections.defaultdict(set)
    for package in found:
        name, licence = package["name"], package["license"] or "no licence"
        versions[name].add(package["version"])
        if package["source"] != REGISTRY:
            yield f"{name}: comes from {package['source']}, not from crates.io"
        if name in rules["banned"]:
            yield f"{name}: banned: {rules['banned'][name]}"
        if not is_allowed(licence, rules["licences"]):
            excused.add(name)
            if name not in rules["licence-exceptions"]:
                yield f"{name}: licence {licence}: neither allowed nor excepted"
    several = {name for name in versions if len(versions[name]) > 1}
    for name in sorted(several - set(rules["duplicates"])):
        yield f"{name}: {', '.join(sorted(versions[name]))}: give the reason, or one version"
    for name in sorted(set(rules["duplicates"]) - several):
        yield f"[duplicates] {name}: there is one version or none: remove the row"
    for name in sorted(set(rules["licence-exceptions"]) - excused):
        yield f"[licence-exceptions] {name}: not needed any more: remove the row"


def yanked():
    """What cargo itself says of yanked versions when it makes a package; None where the registry does not answer."""
    command = ["cargo", "package", "--no-verify", "--allow-dirty", "--locked", "--color", "never"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        return None
    if done.returncode != 0:
        print(done.stderr[-500:])
        return None
    return [line for line in done.stderr.splitlines() if "is yanked" in line]


def main():
    rules = tomllib.loads(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "ci/dependencies.toml").read_text())
    found = packages()
    wrong = list(findings(found, rules))
    gone = yanked()
    if gone is None:
        print("SKIPPED: the registry did not answer, so nobody looked for yanked crates")
    wrong += gone or []
    print("\n".join(wrong) or f"{len(found)} crates: good")
    sys.exit(1 if wrong else 0)


main()
