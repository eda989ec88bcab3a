#!/usr/bin/env bash
# The tests of server and relay on other releases of aiohttp than the locked one: the oldest that pyproject.toml allows,
# and the newest of the index, which may be the locked one.
#   tests/aiohttp/run.sh
# Needs what `make run` needs.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/support/checks.sh

PYTHON=${PYTHON:-python3}
work=$(mktemp -d)
trap 'status=$?; rm -rf "$work"; tally "$status"' EXIT
venv=$work/venv
pip=("$venv/bin/pip" install --quiet --disable-pip-version-check)

# shellcheck disable=SC2317,SC2329 # called by must
install_locks() {
  make --silent PYTHON="$PYTHON" VENV="$venv" "$venv/.dev"
}

# shellcheck disable=SC2317,SC2329 # called by check
passes() {
  "$venv/bin/pip" check --disable-pip-version-check &&
    "$venv/bin/python" -m pytest -n 2 -q -p no:cacheprovider -m "not slow" tests/relay tests/server
}

version() { "$venv/bin/python" -c 'import aiohttp; print(aiohttp.__version__)'; }

must "the locks" install_locks
locked=$(version)
must "the newest aiohttp" "${pip[@]}" --upgrade 'aiohttp<4'
if [ "$(version)" != "$locked" ]; then check "aiohttp $(version)" passes; fi
must "the oldest aiohttp" "${pip[@]}" --no-deps --require-hashes -r requirements/oldest.txt
check "aiohttp $(version)" passes
