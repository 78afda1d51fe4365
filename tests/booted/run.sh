#!/usr/bin/env bash
# The steps of systemd/README.md under a booted systemd: PROGRAM is installed into a fresh Debian root below FOLDER,
# systemd runs there as PID 1, and steps.py does what an operator does. Needs root, debootstrap and a mirror once.
set -euo pipefail
cd "$(dirname "$0")/../.."
program=$(realpath "${1:-target/debug/fuotad}")
folder=$(realpath -m "${2:-target/booted}")
mkdir -p "$folder"
if ! [ -e "$folder/base/usr/bin/python3" ]; then
  command -v debootstrap >/dev/null || { apt-get update -qq && apt-get install -y -qq debootstrap >/dev/null; }
  rm -rf "$folder/base"
  debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,python3,ca-certificates \
    bookworm "$folder/base" >"$folder/debootstrap.log" || { tail "$folder/debootstrap.log"; exit 1; }
fi
rm -rf "$folder/root"
cp -a "$folder/base" "$folder/root"
root=$folder/root
mkdir "$root/payload"
cp "$program" systemd/fuotad.* tests/booted/steps.py "$root/payload"
cat >"$root/etc/systemd/system/steps.service" <<'UNIT'
[Unit]
Description=The steps
After=basic.target
DefaultDependencies=no
[Service]
Type=oneshot
TimeoutStartSec=300
ExecStart=/usr/bin/python3 /payload/steps.py
StandardOutput=append:/steps.out
StandardError=append:/steps.out
ExecStopPost=/bin/sh -c 'journalctl -b --no-pager -u fuotad >/journal.out; systemctl --no-block exit $$EXIT_STATUS'
UNIT
ln -s ../steps.service "$root/etc/systemd/system/multi-user.target.wants/steps.service"
chroot "$root" systemctl set-default multi-user.target 2>/dev/null
code=0
timeout -k 5 240 bash tests/booted/boot.sh "$root" || code=$?
cat "$root/steps.out"
[ "$code" = 0 ] || { echo "exit $code; the service's journal ends:"; tail -n 40 "$root/journal.out"; exit 1; }
