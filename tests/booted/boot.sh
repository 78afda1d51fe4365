#!/usr/bin/env bash
# Boots systemd as PID 1 of namespaces of its own, in the folder ROOT, and returns when it has shut down.
# The console goes to ROOT.console. Nothing of the host's files is visible inside: the root is changed before PID 1 runs.
set -euo pipefail
root=$(realpath "$1")

inside() {
  local root=$1
  mount --make-rprivate /
  mount --bind "$root" "$root"
  cd "$root"
  mount -t proc proc proc
  mount -t sysfs -o ro sysfs sys
  mount -t tmpfs -o mode=0755 tmpfs run
  mount -t tmpfs -o mode=1777 tmpfs tmp
  mount -t tmpfs -o mode=0755 tmpfs dev
  mknod -m 666 dev/null c 1 3
  mknod -m 666 dev/zero c 1 5
  mknod -m 666 dev/full c 1 7
  mknod -m 666 dev/random c 1 8
  mknod -m 666 dev/urandom c 1 9
  mknod -m 666 dev/tty c 5 0
  mkdir -p dev/shm dev/pts
  mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
  ln -s pts/ptmx dev/ptmx
  # A host with one hierarchy shares it by namespace; on one with many, systemd gets the one that is its own.
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    mount -t cgroup2 cgroup2 sys/fs/cgroup
  else
    mount -t tmpfs -o mode=0755 tmpfs sys/fs/cgroup
    for name in systemd memory pids devices cpu; do
      mkdir "sys/fs/cgroup/$name"
      option=$name
      [ "$name" = systemd ] && option=none,name=systemd
      mount -t cgroup -o "$option" cgroup "sys/fs/cgroup/$name" || rmdir "sys/fs/cgroup/$name"
    done
  fi
  ip link set lo up
  mkdir -p old
  pivot_root . old
  cd /
  umount -l /old
  rmdir /old
  export container=namespaces PATH=/usr/sbin:/usr/bin:/sbin:/bin
  exec /lib/systemd/systemd --system --show-status=false
}

export -f inside
exec unshare --fork --pid --mount --uts --ipc --net --cgroup --kill-child \
  bash -c 'inside "$1"' boot "$root" </dev/null >"$root.console" 2>&1
