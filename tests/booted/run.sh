#!/usr/bin/env bash
# Steps of an operator under a booted systemd, which runs as PID 1 in a fresh Debian root below FOLDER. With a PROGRAM it is
# installed by the lines of systemd/README.md (steps.py); with a PACKAGE.deb a stranger's way to a campaign on the air is
# followed (package.py). Needs root, debootstrap and a mirror once.
# Usage: run.sh [PROGRAM|PACKAGE.deb] [FOLDER]
set -euo pipefail
cd "$(dirname "$0")/../.."
given=$(realpath "${1:-target/debug/fuotad}")
folder=$(realpath -m "${2:-target/booted}")
bash tests/booted/base.sh "$folder"
rm -rf "$folder/root"
cp -a "$folder/base" "$folder/root"
root=$folder/root
mkdir "$root/payload"
cp tests/booted/common.py tests/booted/doubles.py tests/booted/lns.py "$root/payload"
case $given in
  *.deb)
    steps=package.py patience=1000
    cp "$given" "$root/payload/fuotad.deb"
    cp tests/configs/forwarder-sx1302.json "$root/payload"
    printf '[gateway]\nregion = "EU868"\n' >"$root/payload/minimal.toml"
    ;;
  *)
    steps=steps.py patience=240
    cp "$given" "$root/payload/fuotad"
    cp systemd/fuotad.* "$root/payload"
    ;;
esac
cp "tests/booted/$steps" "$root/payload"
cat >"$root/etc/systemd/system/steps.service" <<UNIT
[Unit]
Description=The steps
After=basic.target
DefaultDependencies=no
[Service]
Type=oneshot
TimeoutStartSec=$patience
ExecStart=/usr/bin/python3 /payload/$steps
StandardOutput=append:/steps.out
StandardError=append:/steps.out
ExecStopPost=/bin/sh -c 'journalctl -b --no-pager -u fuotad >/journal.out; systemctl --no-block exit \$\$EXIT_STATUS'
UNIT
ln -s ../steps.service "$root/etc/systemd/system/multi-user.target.wants/steps.service"
chroot "$root" systemctl set-default multi-user.target 2>/dev/null
code=0
timeout -k 5 "$patience" bash tests/booted/boot.sh "$root" || code=$?
cat "$root/steps.out"
[ "$code" = 0 ] || { echo "exit $code; the service's journal ends:"; tail -n 40 "$root/journal.out"; exit 1; }
