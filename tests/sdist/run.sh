#!/usr/bin/env bash
# Builds the sdist from a clean copy of the tracked files, unpacks it elsewhere, and works there as with a clone:
# `make` installs from the locks, the tests of the pure modules and of the documents pass, and the wheel is the same.
#   tests/sdist/run.sh
# Needs Python 3.11 or newer with venv ($PYTHON, default python3), git, make, and a package index.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/support/checks.sh

PYTHON=${PYTHON:-python3}
unset PYTHONPATH PYTHONHOME VIRTUAL_ENV
export PIP_DISABLE_PIP_VERSION_CHECK=1

work=$(mktemp -d)
source=$work/source unpacked=$work/unpacked
mkdir "$source" "$unpacked"
trap 'status=$?; rm -rf "$work"; tally "$status"' EXIT

# build TARGET FROM TO: a distribution of a folder.
build() { (cd "$2" && "$work/build/bin/hatchling" build --target "$1" --directory "$3" >/dev/null); }

build_sdist() {
  "$PYTHON" -m venv "$work/build" &&
    "$work/build/bin/pip" install --quiet --no-deps --require-hashes -r "$source/requirements/build.txt" &&
    build sdist "$source" "$work/dist" &&
    ls "$work"/dist/anyrouter-*.tar.gz
}

unpack() { tar --extract --file "$work"/dist/*.tar.gz --directory "$unpacked" --strip-components 1; }

is_what_is_tracked() {
  [ -s "$unpacked/PKG-INFO" ] &&
    diff <(cd "$source" && find . -type f | sort) <(cd "$unpacked" && find . -type f ! -path ./PKG-INFO | sort)
}

installs() { make --silent --directory "$unpacked" PYTHON="$PYTHON" .venv/.dev; }

tests_pass() { (cd "$unpacked" && .venv/bin/python -m pytest -q -n 2 --hypothesis-profile quick tests/unit tests/docs </dev/null); }

makes_the_same_wheel() {
  build wheel "$source" "$work/ours" && build wheel "$unpacked" "$work/theirs" && cmp "$work"/ours/*.whl "$work"/theirs/*.whl
}

must "a clean copy of the tracked files" copy_tracked "$source"
must "the sdist builds, without build isolation or an index" build_sdist
must "it unpacks" unpack
check "it holds what is tracked, no more" is_what_is_tracked
must "it installs by make, from the locks" installs
check "its own tests pass: the pure modules, the documents" tests_pass
check "its wheel is the checkout's, byte for byte" makes_the_same_wheel
