#!/usr/bin/env bash
# The tarball in a root without a running systemd, in namespaces of its own: install.sh, the sysv script, a program that is
# killed and comes back, a stop, and a second installation over the first. Needs what run.sh needs, and its base root.
# Usage: tarball.sh TARBALL [FOLDER]
set -euo pipefail
cd "$(dirname "$0")/../.."
tarball=$(realpath "$1")
folder=$(realpath -m "${2:-target/booted}")
[ -e "$folder/base" ] || { echo "no $folder/base: tests/booted/run.sh makes it"; exit 1; }
root=$folder/plain
rm -rf "$root"
cp -a "$folder/base" "$root"
mkdir "$root/payload"
tar -C "$root/payload" --strip-components=1 -xzf "$tarball"
cat >"$root/payload/steps.sh" <<'STEPS'
set -eu
mount -t proc proc /proc
mount -t tmpfs tmpfs /run
ip link set lo up 2>/dev/null || true
check() { if eval "$2"; then echo "held    $1"; else echo "FAILED  $1"; exit 1; fi; }
until_() { for _ in $(seq 100); do eval "$1" && return 0; sleep 0.1; done; return 1; }
# A small root has no pgrep.
pids() { for p in /proc/[0-9]*; do case $(cat "$p/comm" 2>/dev/null) in "$1"*) echo "${p#/proc/}" ;; esac; done; }
sh /payload/install.sh
check "nothing was started" '[ -z "$(pids fuotad)" ]'
printf '[gateway]\nregion = "EU868"\n[clock]\ntrust = "always"\n' >/etc/fuotad/fuotad.toml
/etc/init.d/fuotad start
check "started, it answers as the user fuotad" 'until_ "/etc/init.d/fuotad status >/tmp/status 2>&1" && [ "$(stat -c %U /run/fuotad/status.sock)" = fuotad ]'
first=$(for p in $(pids fuotad); do [ "$(cat /proc/$p/comm)" = fuotad ] && echo $p; done)
kill -9 "$first"
back() { for p in $(pids fuotad); do [ "$(cat "/proc/$p/comm")" = fuotad ] && [ "$p" != "$first" ] && return 0; done; return 1; }
check "killed, it comes back" 'until_ back'
check "and answers" 'until_ "/etc/init.d/fuotad status >/tmp/status 2>&1"'
/etc/init.d/fuotad reload >/dev/null 2>&1
check "reloaded, it answers" 'until_ "/etc/init.d/fuotad status >/tmp/status 2>&1"'
sh /payload/install.sh >/dev/null
check "installed again, the configuration stays" 'grep -q EU868 /etc/fuotad/fuotad.toml && [ "$(grep -c ^fuotad: /etc/passwd)" = 1 ]'
/etc/init.d/fuotad stop
check "stopped, nothing is left of it" 'until_ "[ -z \"\$(pids fuotad)\" ]"'
check "the state folder is the service's alone" '[ "$(stat -c "%U %a" /var/lib/fuotad)" = "fuotad 700" ]'
STEPS
unshare --fork --pid --mount --uts --ipc --net --kill-child chroot "$root" sh /payload/steps.sh
