#!/usr/bin/env bash
# Drives every target for hours, two at a time: `bash fuzz/long.sh [SECONDS [TARGET...]]`, an hour each by default.
# What is found beside the corpus is kept in fuzz/target/found and goes on from there the next time.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-3600}
[ $# -eq 0 ] || shift
JOBS=2 KEEP=fuzz/target/found exec bash fuzz/run.sh "$seconds" "$@"
