#!/usr/bin/env bash
# The README's first day, typed line by line into fresh shells, in a fresh copy of the tracked files, with an empty home.
#   tests/quickstart/run.sh
# Needs bash, what `make run` needs, and a package index. Whatever it starts is ended.
set -euo pipefail
cd "$(dirname "$0")/../.."
exec "${PYTHON:-python3}" -m tests.quickstart.first_day
