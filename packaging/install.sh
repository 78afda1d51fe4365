#!/bin/sh
# Installs this tarball on a gateway without systemd: user, program, folders, start script. Nothing is started. A
# configuration and a state folder that are there stay as they are; run again, it upgrades. ROOT=/mnt installs there.
set -eu
cd "$(dirname "$0")"
root=${ROOT:-}

if ! grep -q '^fuotad:' "$root/etc/passwd"; then
  # The lines that every system's own command would write, where there may be no such command.
  id=$(awk -F: '{ used[$3] = 1 } END { for (id = 900; used[id]; id--); print id }' "$root/etc/passwd" "$root/etc/group")
  echo "fuotad:x:$id:" >>"$root/etc/group"
  echo "fuotad:x:$id:$id:LoRaWAN firmware broadcaster:/var/lib/fuotad:/bin/false" >>"$root/etc/passwd"
  [ ! -e "$root/etc/shadow" ] || echo 'fuotad:!:0::::::' >>"$root/etc/shadow"
fi
id=$(awk -F: '$1 == "fuotad" { print $3 ":" $4 }' "$root/etc/passwd")
mkdir -p "$root/usr/bin" "$root/usr/libexec" "$root/etc/init.d" "$root/etc/fuotad/tasks.d" "$root/var/lib/fuotad"
# A program that runs is replaced, not written into.
cp fuotad "$root/usr/bin/fuotad.new"
chmod 0755 "$root/usr/bin/fuotad.new"
mv "$root/usr/bin/fuotad.new" "$root/usr/bin/fuotad"
[ -e "$root/etc/fuotad/fuotad.toml" ] || cp fuotad.toml "$root/etc/fuotad/fuotad.toml"
chown "$id" "$root/var/lib/fuotad"
chmod 0700 "$root/var/lib/fuotad"
chown "0:${id#*:}" "$root/etc/fuotad/tasks.d"
chmod 0750 "$root/etc/fuotad/tasks.d"
if [ -e "$root/etc/rc.common" ]; then
  cp fuotad.procd "$root/etc/init.d/fuotad"
else
  cp fuotad.sysv "$root/etc/init.d/fuotad"
  cp fuotad-keep "$root/usr/libexec/fuotad-keep"
  chmod 0755 "$root/usr/libexec/fuotad-keep"
fi
chmod 0755 "$root/etc/init.d/fuotad"
echo "installed; next: fuotad init, then /etc/init.d/fuotad start"
