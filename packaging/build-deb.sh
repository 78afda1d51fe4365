#!/usr/bin/env bash
# Builds the Debian package for ARCH and prints its path last. Needs cargo, python3, binutils and dpkg-deb; for a foreign
# ARCH also the target's standard library and a C compiler. Everything it writes is below target/.
set -euo pipefail
cd "$(dirname "$0")/.."
. packaging/common.sh
begin "$@"
build
papers

install -D -m 0755 "$program" "$stage/usr/bin/fuotad"
# Every Debian that is served reads units here; below /lib they would be behind a link.
install -D -m 0644 systemd/fuotad.service "$stage/usr/lib/systemd/system/fuotad.service"
install -D -m 0644 systemd/fuotad.socket "$stage/usr/lib/systemd/system/fuotad.socket"
install -D -m 0644 systemd/fuotad.sysusers "$stage/usr/lib/sysusers.d/fuotad.conf"
install -D -m 0644 systemd/fuotad.tmpfiles "$stage/usr/lib/tmpfiles.d/fuotad.conf"
install -D -m 0644 packaging/fuotad.toml "$stage/etc/fuotad/fuotad.toml"
install -m 0644 packaging/debian/copyright packaging/debian/README.Debian "$doc"
revision=$version-1
maintainer="${DEBFULLNAME:-fuotad} <${DEBEMAIL:-fuotad@users.noreply.github.com}>"
when=$(LC_ALL=C date -Rud "@$SOURCE_DATE_EPOCH")
printf 'fuotad (%s) unstable; urgency=medium\n\n  * Version %s: see changelog.gz.\n\n -- %s  %s\n' \
  "$revision" "$version" "$maintainer" "$when" | gzip -9n >"$doc/changelog.Debian.gz"

mkdir "$stage/DEBIAN"
install -m 0755 packaging/debian/postinst packaging/debian/prerm packaging/debian/postrm "$stage/DEBIAN"
echo /etc/fuotad/fuotad.toml >"$stage/DEBIAN/conffiles"
sed -e "s/@VERSION@/$revision/" -e "s/@ARCH@/$arch/" -e "s/@GLIBC@/$(glibc)/" -e "s|@MAINTAINER@|$maintainer|" \
  -e "s/@SIZE@/$(du -sk --exclude=DEBIAN "$stage" | cut -f 1)/" packaging/debian/control >"$stage/DEBIAN/control"
(cd "$stage" && find . -type f ! -path './DEBIAN/*' -printf '%P\n' | LC_ALL=C sort | xargs md5sum >DEBIAN/md5sums)
find "$stage" -newermt "@$SOURCE_DATE_EPOCH" -exec touch -hd "@$SOURCE_DATE_EPOCH" {} +
package=$out/fuotad_${revision}_$arch.deb
# What is quick to build is not for shipping: packing it well takes half a minute.
level=1
[ "$profile" != dist ] || level=6
dpkg-deb --root-owner-group -Zxz -z$level --build "$stage" "$package" >&2
echo "$PWD/$package"
