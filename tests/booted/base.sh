#!/usr/bin/env bash
# The fresh Debian root below FOLDER that run.sh and tarball.sh copy, made once. Needs root, debootstrap and a mirror.
# Usage: base.sh [FOLDER]
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=$(realpath -m "${1:-target/booted}")
[ ! -e "$folder/base/usr/sbin/mosquitto" ] || exit 0
mkdir -p "$folder"
command -v debootstrap >/dev/null || { apt-get update -qq && apt-get install -y -qq debootstrap >/dev/null; }
rm -rf "$folder/base" "$folder/new"
debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,python3,ca-certificates,mosquitto,mosquitto-clients \
  bookworm "$folder/new" >"$folder/debootstrap.log" || { tail "$folder/debootstrap.log"; exit 1; }
mv "$folder/new" "$folder/base"
