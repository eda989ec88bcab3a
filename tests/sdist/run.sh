#!/usr/bin/env bash
# Builds the sdist from a clean copy of the tracked files and unpacks it elsewhere. It is what is tracked, byte for byte,
# so that what works in a clone (tests/quickstart, tests/install) works there; and this much is tried: all its tests are
# collected, some of each kind pass, on the package that lies beside them, and the wheel is the same.
#   tests/sdist/run.sh
# Needs what `make run` needs, and git. What runs is .venv of this checkout, made by make where it is missing.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/support/checks.sh

unset PYTHONPATH PYTHONHOME VIRTUAL_ENV
make --silent .venv/.dev
bin=$PWD/.venv/bin
work=$(mktemp -d)
source=$work/source unpacked=$work/unpacked
mkdir "$source" "$unpacked"
trap 'status=$?; rm -rf "$work"; tally "$status"' EXIT

# build TARGET FROM TO: a distribution of a folder.
build() { (cd "$2" && "$bin/hatchling" build --target "$1" --directory "$3" >/dev/null); }

build_sdist() { build sdist "$source" "$work/dist" && ls "$work"/dist/anyrouter-*.tar.gz; }

unpack() { tar --extract --file "$work"/dist/*.tar.gz --directory "$unpacked" --strip-components 1; }

programs() { (cd "$1" && find . -type f -perm -u+x | sort); }

is_what_is_tracked() {
  [ -s "$unpacked/PKG-INFO" ] &&
    diff --recursive --exclude PKG-INFO "$source" "$unpacked" &&
    diff <(programs "$source") <(programs "$unpacked")
}

# tests ARGUMENTS…: pytest there.
tests() { (cd "$unpacked" && "$bin/python" -m pytest -q -p no:cacheprovider --hypothesis-profile quick "$@" </dev/null); }

its_own_package_is_tested() {
  echo 'import pathlib, proxy
def test_place(): assert pathlib.Path(proxy.__file__).is_relative_to(pathlib.Path.cwd())' >"$unpacked/tests/test_place.py"
  tests tests/test_place.py && rm "$unpacked/tests/test_place.py"
}

some_of_each_kind_pass() {
  tests -n 2 tests/unit/access tests/unit/config_file tests/unit/test_schema_files.py tests/docs/test_a* tests/docs/test_[b-q]* \
    tests/docs/test_stability.py tests/server/test_models_and_probes.py tests/relay/test_log_lines.py tests/cli/test_cli_help.py
}

makes_the_same_wheel() {
  build wheel "$source" "$work/ours" && build wheel "$unpacked" "$work/theirs" && cmp "$work"/ours/*.whl "$work"/theirs/*.whl
}

must "a clean copy of the tracked files" copy_tracked "$source"
must "the sdist builds, without build isolation or an index" build_sdist
must "it unpacks" unpack
check "it holds what is tracked, byte for byte, no more" is_what_is_tracked
check "its wheel is the checkout's, byte for byte" makes_the_same_wheel
check "its own package is what its tests import" its_own_package_is_tested
check "all its tests are found" tests --collect-only
check "some of each kind pass" some_of_each_kind_pass
