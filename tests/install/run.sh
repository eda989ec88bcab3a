#!/usr/bin/env bash
# Installs what `make run` and `make test` install, with the oldest pip that Python 3.11 brought, Debian 12's and the
# newest, against the index as it is today: what is published elsewhere must never break a clone.
#   tests/install/run.sh
# Needs what `make run` needs.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/support/checks.sh

PYTHON=${PYTHON:-python3}
work=$(mktemp -d)
trap 'status=$?; rm -rf "$work"; tally "$status"' EXIT

installs() {
  local venv=$1 pip=$2
  "$PYTHON" -m venv "$venv" &&
    "$venv/bin/pip" install --quiet --disable-pip-version-check --upgrade "$pip" &&
    make --silent VENV="$venv" "$venv/.dev" &&
    "$venv/bin/anyrouter" --help >/dev/null
}

for pip in pip==22.3 pip==23.0 pip; do
  check "the locks with $pip" installs "$work/venv" "$pip"
  rm -rf "$work/venv"
done
