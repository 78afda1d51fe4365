#!/usr/bin/env python3
"""Prints the licences of every crate that is linked, each text once.

Usage: packaging/licences.py TARGET [FEATURES]
"""
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
NAMES = ("LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE")


def linked(target, features):
    """The packages that the program is made of, without what only builds or tests need."""
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target]
    if features:
        command += ["--no-default-features", "--features", features]
    metadata = json.loads(subprocess.check_output(command, cwd=ROOT))
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    is_macro = lambda package: any("proc-macro" in target["kind"] for target in package["targets"])
    reached, open_ = set(), [metadata["resolve"]["root"]]
    while open_:
        for dependency in nodes[open_.pop()]["deps"]:
            kinds = {kind["kind"] for kind in dependency["dep_kinds"]}
            if None in kinds and dependency["pkg"] not in reached and not is_macro(packages[dependency["pkg"]]):
                reached.add(dependency["pkg"])
                open_.append(dependency["pkg"])
    return sorted((packages[name] for name in reached), key=lambda package: (package["name"], package["version"]))


def texts(package):
    folder = pathlib.Path(package["manifest_path"]).parent
    files = (path for path in sorted(folder.iterdir()) if path.is_file() and path.name.upper().startswith(NAMES))
    return [path.read_text(errors="replace").strip() for path in files]


def main():
    found = linked(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "")
    users = {}
    print("fuotad is licensed MIT or Apache-2.0, as you like. It contains these crates:\n")
    for package in found:
        title = f"{package['name']} {package['version']}"
        print(f"  {title}: {package['license'] or 'see its text'}{'' if texts(package) else ' (no text in the crate)'}")
        for text in texts(package):
            users.setdefault(text, []).append(title)
    for text, titles in users.items():
        print(f"\n{'=' * 78}\n{', '.join(titles)}\n{'-' * 78}\n\n{text}")


main()
