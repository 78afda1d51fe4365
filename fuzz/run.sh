#!/usr/bin/env bash
# Drives every target for some seconds: `bash fuzz/run.sh SECONDS [TARGET...]`. JOBS targets run side by side (1). With 0
# seconds they are only built.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:?"usage: bash fuzz/run.sh SECONDS [TARGET...]"}
shift
version=0.13.2
rss_limit_mb=1024
timeout_s=25
export PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH" RUST_BACKTRACE=1
unset CARGO_TARGET_DIR

if ! cargo fuzz --version >/dev/null 2>&1; then
  echo "installing cargo-fuzz $version"
  cargo install --locked --quiet --version "$version" cargo-fuzz
fi

began=$SECONDS
log=$(mktemp)
found=$(mktemp -d)
trap 'rm -rf "$log" "$found"' EXIT
cargo fuzz build --sanitizer none >"$log" 2>&1 || {
  cat "$log"
  exit 1
}
echo "built in $((SECONDS - began)) s"
[ "$seconds" != 0 ] || exit 0

host=$(rustc -vV | sed -n 's/^host: //p')
programs=fuzz/target/$host/release
[ $# -gt 0 ] || set -- $(cargo fuzz list)

# What a run finds goes to a folder of its own: the corpus stays as it is.
drive() {
  local target=$1 artifacts=fuzz/artifacts/$1 found=${KEEP:-$FOUND}/$1
  local log=$FOUND/$1.log
  mkdir -p "$artifacts" "$found"
  if ! "$PROGRAMS/$target" "-max_total_time=$TIME" "-rss_limit_mb=$RSS" "-timeout=$TIMEOUT" \
    "-artifact_prefix=$artifacts/" -print_final_stats=1 "$found" "fuzz/corpus/$target" >"$log" 2>&1; then
    grep -m 1 -A 1 'panicked at' "$log" || tail -n 20 "$log"
    echo "$target: FAILED on $(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)"
    return 1
  fi
  stat() { sed -n "s/^stat::$1: *//p" "$log"; }
  echo "$target: $(stat number_of_executed_units) executions, $(stat average_exec_per_sec) a second"
}
export -f drive
export FOUND=$found KEEP="${KEEP:-}" PROGRAMS=$programs TIME=$seconds RSS=$rss_limit_mb TIMEOUT=$timeout_s
printf '%s\n' "$@" | xargs -P "${JOBS:-1}" -I '{}' bash -c 'drive {}'
