# What the packages have in common: sourced by the scripts beside it. Sets target, program, version, stage, work.

usage() {
  echo "usage: $0 amd64|arm64|armhf [--profile dev|dist] [--features LIST] [--program FILE]" >&2
  exit 64
}

# The words of the command line, and what follows from them.
begin() {
  arch=${1:-} profile=dist features= built=
  [ $# -gt 0 ] && shift
  while [ $# -gt 0 ]; do
    case $1 in
      --profile) profile=${2:-}; shift 2 || usage ;;
      --features) features=${2:-}; shift 2 || usage ;;
      --program) built=${2:-}; shift 2 || usage ;;
      *) usage ;;
    esac
  done
  case $arch in
    amd64) target=x86_64-unknown-linux-gnu gnu=x86_64-linux-gnu ;;
    arm64) target=aarch64-unknown-linux-gnu gnu=aarch64-linux-gnu ;;
    armhf) target=armv7-unknown-linux-gnueabihf gnu=arm-linux-gnueabihf ;;
    *) usage ;;
  esac
  version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
  SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
  export SOURCE_DATE_EPOCH
  umask 022
  out=target/packages
  work=$out/work-$arch
  stage=$work/root
  rm -rf "$work"
  mkdir -p "$stage"
}

# The program for the target: FILE, or a new one. Another compiler or linker is taken from cargo's own variables.
build() {
  local host folder upper strip
  host=$(rustc -vV | sed -n 's/^host: //p')
  set -- --locked --profile "$profile" --bin fuotad
  [ -n "$features" ] && set -- "$@" --no-default-features --features "$features"
  folder=target
  if [ "$target" != "$host" ]; then
    set -- "$@" --target "$target"
    folder=target/$target
    upper=$(echo "$target" | tr 'a-z-' 'A-Z_')
    [ -n "$(eval "echo \${CARGO_TARGET_${upper}_LINKER:-}")" ] || export "CARGO_TARGET_${upper}_LINKER=$gnu-gcc"
  fi
  case $profile in dev) folder=$folder/debug ;; *) folder=$folder/$profile ;; esac
  if [ -z "$built" ]; then
    cargo build "$@" >&2
    built=$folder/fuotad
  fi
  program=$work/fuotad
  strip=$gnu-strip
  command -v "$strip" >/dev/null || strip=strip
  # The profile `dist` has stripped it already; a foreign program may be beyond this machine's tools.
  cp "$built" "$program"
  [ "$profile" = dist ] || "$strip" --strip-unneeded "$program"
}

# Manual pages, completions, documents: the same for every target.
papers() {
  # With that variable C code is compiled anew, and all that stands on it; without it again for whoever builds next.
  env -u SOURCE_DATE_EPOCH cargo run --locked --quiet --example manuals -- "$work/manuals" >&2
  mkdir -p "$stage/usr/share/man/man8" "$stage/usr/share/man/man5"
  cp "$work"/manuals/*.8 "$stage/usr/share/man/man8"
  cp "$work/manuals/fuotad.toml.5" "$stage/usr/share/man/man5"
  find "$stage/usr/share/man" -type f -exec gzip -9n {} +
  install -D -m 0644 "$work/manuals/fuotad.bash" "$stage/usr/share/bash-completion/completions/fuotad"
  install -D -m 0644 "$work/manuals/_fuotad" "$stage/usr/share/zsh/vendor-completions/_fuotad"
  install -D -m 0644 "$work/manuals/fuotad.fish" "$stage/usr/share/fish/vendor_completions.d/fuotad.fish"
  doc=$stage/usr/share/doc/fuotad
  mkdir -p "$doc/examples"
  cp config/fuotad.toml "$doc/examples"
  cp -R config/examples/. "$doc/examples"
  cp config/scenarios/eu868-100kb.toml config/scenarios/us915-100kb.toml "$doc/examples"
  cp packaging/monitoring/fuotad.rules.yml packaging/monitoring/fuotad-dashboard.json "$doc/examples"
  gzip -9nc CHANGELOG.md >"$doc/changelog.gz"
  python3 packaging/licences.py "$target" ${features:+"$features"} | gzip -9n >"$doc/licences.gz"
}

# The newest version of glibc's symbols that the program asks for.
glibc() {
  readelf -V "$program" | grep -o 'GLIBC_[0-9.]*' | sed 's/GLIBC_//' | sort -Vu | tail -n 1
}
