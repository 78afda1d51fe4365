#!/usr/bin/env bash
# Builds the tarball for gateways without systemd and prints its path last. Needs what build-deb.sh needs.
set -euo pipefail
cd "$(dirname "$0")/.."
. packaging/common.sh
begin "$@"
build
papers
name=fuotad-$version-$arch
folder=$work/$name
mkdir "$folder"
install -m 0755 "$program" packaging/install.sh packaging/fuotad-keep packaging/fuotad.procd packaging/fuotad.sysv "$folder"
install -m 0644 packaging/fuotad.toml LICENSE-MIT LICENSE-APACHE "$folder"
cp -R "$doc" "$folder/doc"
cp -R "$work/manuals" "$folder/manuals"
package=$out/$name.tar.gz
tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -cf - "$name" | gzip -9n >"$package"
echo "$PWD/$package"
