#!/usr/bin/env bash
# The tests of server and relay on other releases of aiohttp than the locked one: the oldest that pyproject.toml allows,
# and the newest of the index, which may be the locked one, that `make test` has tried.
#   tests/aiohttp/run.sh
# Needs what `make run` needs. All but aiohttp and what comes with it is .venv of this checkout, over which they are laid.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/support/checks.sh

unset PYTHONPATH
work=$(mktemp -d)
trap 'status=$?; rm -rf "$work"; tally "$status"' EXIT

# install FOLDER ARGUMENTS…
# shellcheck disable=SC2317,SC2329 # called by must
install() { .venv/bin/pip install --quiet --disable-pip-version-check --target "$work/$1" "${@:2}"; }

# with FOLDER COMMAND…: with its packages before those of .venv.
with() { PYTHONPATH=$work/$1 "${@:2}"; }

# shellcheck disable=SC2317,SC2329 # called by check
passes() {
  with "$1" .venv/bin/pip check --disable-pip-version-check &&
    with "$1" .venv/bin/python -m pytest -n 2 -q -p no:cacheprovider -m "not slow" --hypothesis-profile quick tests/relay tests/server
}

version() { with "$1" .venv/bin/python -c 'import aiohttp; print(aiohttp.__version__)'; }

must "the locks" make --silent .venv/.dev
must "the newest aiohttp" install newest 'aiohttp<4'
if [ "$(version newest)" != "$(version none)" ]; then check "aiohttp $(version newest)" passes newest; fi
must "the oldest aiohttp" install oldest --no-deps --require-hashes -r requirements/oldest.txt
check "aiohttp $(version oldest)" passes oldest
