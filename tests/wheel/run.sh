#!/usr/bin/env bash
# Builds the wheel from a clean copy of the tracked files, installs it into an empty environment outside the checkout,
# and uses it from there; then the same with `pip install .`.
#   tests/wheel/run.sh
# Needs what `make run` needs, git, curl, and a package index. The wheel is built in .venv of this checkout.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/support/checks.sh

PYTHON=${PYTHON:-python3}
unset PYTHONPATH PYTHONHOME VIRTUAL_ENV
export PIP_DISABLE_PIP_VERSION_CHECK=1

work=$(mktemp -d)
home=$work/home elsewhere=$work/elsewhere source=$work/source
mkdir "$home" "$elsewhere" "$source"
demo=

# shellcheck disable=SC2317,SC2329 # called by the trap
finish() {
  local status=$?
  trap - EXIT
  [ -z "$demo" ] || kill "$demo" 2>/dev/null || true
  rm -rf "$work"
  tally "$status"
}

# run ENVIRONMENT COMMAND…: a command of an environment, in another folder, with nothing of ours around it.
run() {
  (cd "$elsewhere" && exec env -i HOME="$home" PATH="/usr/bin:/bin" LANG=C.UTF-8 "$work/$1/bin/$2" "${@:3}" </dev/null)
}

build_wheel() {
  .venv/bin/pip wheel --quiet --no-deps --no-build-isolation --no-index --wheel-dir "$work/dist" "$source" &&
    ls "$work"/dist/anyrouter-*-py3-none-any.whl
}

wheel_holds_what_it_should() {
  "$PYTHON" - "$work"/dist/*.whl "$source" <<'PY'
import pathlib, sys, zipfile

wheel, source = zipfile.ZipFile(sys.argv[1]), pathlib.Path(sys.argv[2])
held = set(wheel.namelist())
wanted = {str(path.relative_to(source)) for path in source.glob("proxy/**/*") if path.is_file()}
wanted |= {f"proxy/schemas/{path.name}" for path in source.glob("schemas/*.json")}
wanted.add("proxy/config.yaml")
assert any(name.startswith("proxy/schemas/") for name in wanted), "there are no schemas"
assert "proxy/py.typed" in held, "py.typed is missing"
missing, more = wanted - held, {name for name in held - wanted if ".dist-info/" not in name}
assert not missing, f"missing: {sorted(missing)}"
assert not more, f"not of the package: {sorted(more)}"
PY
}

install_wheel() {
  "$PYTHON" -m venv "$work/wheel" &&
    "$work/wheel/bin/pip" install --quiet --no-deps --require-hashes -r "$source/requirements/runtime.txt" &&
    "$work/wheel/bin/pip" install --quiet --no-deps --no-index "$work"/dist/*.whl &&
    "$work/wheel/bin/pip" check
}

# With the newest pip, against the index as it is today.
install_source() {
  "$PYTHON" -m venv "$work/source-install" &&
    "$work/source-install/bin/pip" install --quiet --upgrade pip &&
    "$work/source-install/bin/pip" install --quiet "$source" &&
    "$work/source-install/bin/pip" check
}

comes_from_its_environment() {
  local place
  place=$(run "$1" python -c 'import proxy; print(proxy.__file__)') && echo "$place" && [[ $place == "$work/$1"/* ]]
}

versions_agree() {
  run "$1" python -c '
import importlib.metadata, proxy
installed = importlib.metadata.version("anyrouter")
assert installed == proxy.__version__, (installed, proxy.__version__)'
}

# shellcheck disable=SC2016 # no shell expands "$id"
schemas_load() {
  run "$1" python -c '
from proxy import schema_files
names = schema_files.names()
assert "messages-request" in names and "config" in names, names
for name in names: assert schema_files.load(name)["$id"]'
}

check_accepts() {
  (cd "$elsewhere" && env -i HOME="$home" PATH=/usr/bin:/bin ANTHROPIC_API_KEY=none \
    "$work/$1/bin/anyrouter" check --config "$source/config.yaml")
}

check_refuses() {
  local said status=0
  said=$(run "$1" anyrouter check --config "$source/config.yaml" 2>&1) || status=$?
  echo "exit $status: $said"
  # Behind the fault stands whose variables were looked up.
  [ "$status" -eq 2 ] && [[ ${said%%$'\n'*} == *ANTHROPIC_API_KEY* ]] && [ "$(wc -l <<<"$said")" -eq 2 ] || return
  status=0
  said=$(run "$1" anyrouter check 2>&1) || status=$?   # this folder has no config.yaml
  echo "exit $status: $said"
  [ "$status" -eq 2 ] && [[ $said == *config.yaml* && $said != *$'\n'* ]]
}

# As `run`, but the process that $demo names is the demo itself: signals reach it.
start_demo() {
  (cd "$elsewhere" && exec env -i HOME="$home" PATH=/usr/bin:/bin "$work/$1/bin/anyrouter" demo --port 0 \
    </dev/null >"$work/demo" 2>"$work/demo.err") &
  demo=$!
}

# What the demo prints is ready to be pasted: the curl is the lines from `curl` to the next empty one.
printed_curl_answers() {
  local attempt answer
  for attempt in {1..100}; do
    ! grep -q 'Claude Code:' "$work/demo" || break
    sleep 0.1
  done
  echo "after $attempt tenths of a second:"
  cat "$work/demo" "$work/demo.err"
  sed -n '/^ *curl /,/^ *$/p' "$work/demo" >"$work/pasted"
  [ -s "$work/pasted" ] || return
  answer=$(cd "$elsewhere" && env -i HOME="$home" PATH="$PATH" sh <"$work/pasted") || return
  echo "$answer"
  [[ $answer == *'"type":"message"'*'"text":"You said: say hi"'* ]]
}

doctor_finds_nothing() {
  local url key
  url=$(grep -o 'http://[^/]*/api' "$work/demo" | head -n 1)
  key=$(grep -o 'ar-[A-Za-z0-9_-]*' "$work/demo" | head -n 1)
  run "$1" anyrouter doctor --url "$url" --key "$key"
}

stops_with_0() {
  local status=0
  kill "$demo"
  wait "$demo" || status=$?
  demo=
  [ "$status" -eq 0 ] || { echo "exit $status"; cat "$work/demo.err"; return 1; }
}

try() {
  local environment=$1 how=$2
  check "$how: imported from its environment" comes_from_its_environment "$environment"
  check "$how: one version" versions_agree "$environment"
  check "$how: the schemas came along" schemas_load "$environment"
  check "$how: anyrouter check accepts config.yaml" check_accepts "$environment"
  check "$how: anyrouter check refuses, a line each" check_refuses "$environment"
  start_demo "$environment"
  check "$how: the demo's curl, pasted, is answered" printed_curl_answers
  check "$how: anyrouter doctor finds nothing" doctor_finds_nothing "$environment"
  stops_with_0 >"$work/stop" 2>&1 && stopped=0 || stopped=$?
  check "$how: the demo ends with 0 on SIGTERM" eval "cat '$work/stop'; exit $stopped"
}

for needed in git curl "$PYTHON"; do
  command -v "$needed" >/dev/null || { echo "$needed is needed" >&2; exit 1; }
done
trap finish EXIT

must "what builds" make --silent .venv/.run
must "a clean copy of the tracked files" copy_tracked "$source"
must "the wheel builds, without build isolation or an index" build_wheel
check "the wheel holds the package and the schemas, no more" wheel_holds_what_it_should
must "the wheel installs into an empty environment" install_wheel
try wheel "wheel"
must "pip install . works" install_source
try source-install "pip install ."
