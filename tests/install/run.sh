#!/usr/bin/env bash
# Installs what `make run` and `make test` install with the oldest pip that Python 3.11 brought, and what the image holds
# with Debian 12's, against the index as it is today: what is published elsewhere must never break a clone. Given pips,
# both and `pip install .` with each. Of the image it runs the Dockerfile's own lines, with its folders below a temporary
# one.
#   tests/install/run.sh [PIP…]   such as pip==23.0: which takes three minutes for each
# Needs what `make run` needs, and git.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/support/checks.sh

PYTHON=${PYTHON:-python3}
unset PYTHONPATH PYTHONHOME VIRTUAL_ENV
work=$(mktemp -d)
source=$work/source
trap 'status=$?; rm -rf "$work"; tally "$status"' EXIT

# upgrade VENV PIP
upgrade() { "$1/bin/pip" install --quiet --disable-pip-version-check --upgrade "$2"; }

installs() {
  local venv=$1 pip=$2
  "$PYTHON" -m venv "$venv" &&
    upgrade "$venv" "$pip" &&
    make --silent VENV="$venv" "$venv/.dev" &&
    "$venv/bin/anyrouter" --help >/dev/null
}

# The lines of the image's first stage that do something, those that go on joined.
image_lines() {
  sed -e '/^#/d' -e ':more' -e '/\\$/{N;s/\\\n//;b more' -e '}' Dockerfile |
    awk '/^FROM / { stage++ } stage == 1 && /^(RUN|COPY) /'
}

# copy_in SOURCE… DESTINATION, as the Dockerfile's COPY.
copy_in() {
  local destination=${!#} each
  for each in "${@:1:$#-1}"; do
    if [ -d "$source/$each" ]; then
      mkdir -p "$destination" && cp -r "$source/$each/." "$destination"
    else
      case $destination in */) mkdir -p "$destination" ;; *) mkdir -p "$(dirname "$destination")" ;; esac
      cp "$source/$each" "$destination"
    fi || return
  done
}

installs_as_the_image() {
  local root=$1 pip=$2 line built
  mkdir -p "$root/build"
  image_lines | sed -E "s#(^|[ \"])/(opt/anyrouter|app)#\1$root/\2#g" >"$root/lines"
  grep -q 'pip wheel' "$root/lines" || { echo "the Dockerfile builds no wheel in its first stage"; return 1; }
  while read -r line; do
    echo "$line"
    case $line in
      COPY*)
        # shellcheck disable=SC2086 # names without spaces
        (cd "$root/build" && copy_in ${line#COPY })
        ;;
      *)
        # shellcheck disable=SC2016 # the shell that runs the line expands it
        (cd "$root/build" && PYTHON=$PYTHON sh -ec 'python() { "$PYTHON" "$@"; }; '"${line#RUN }" </dev/null)
        ;;
    esac || return
    if [ -x "$root/build/tools/bin/pip" ] && [ -z "${built-}" ]; then
      built=yes
      upgrade "$root/build/tools" "$pip" || return
    fi
  done <"$root/lines"
  # As the second stage has it: what was installed below /app lies over the environment.
  cp -r "$root/app/$root/opt/anyrouter/." "$root/opt/anyrouter" &&
    "$root/opt/anyrouter/bin/python" -m proxy --help >/dev/null &&
    "$root/opt/anyrouter/bin/anyrouter" --help >/dev/null &&
    "$root/build/tools/bin/pip" --python "$root/opt/anyrouter/bin/python" check
}

installs_from_source() {
  local venv=$1 pip=$2
  "$PYTHON" -m venv "$venv" &&
    upgrade "$venv" "$pip" &&
    "$venv/bin/pip" install --quiet --disable-pip-version-check "$source" &&
    "$venv/bin/pip" check &&
    "$venv/bin/anyrouter" --help >/dev/null
}

mkdir "$source"
must "a clean copy of the tracked files" copy_tracked "$source"
# try HOW PIP
try() {
  local how=$1 pip=$2
  case $how in
    locks) check "the locks, with $pip" installs "$work/place" "$pip" ;;
    image) check "the image's lines, with $pip" installs_as_the_image "$work/place" "$pip" ;;
    source) check "pip install ., with $pip" installs_from_source "$work/place" "$pip" ;;
  esac
  rm -rf "$work/place"
}

if [ "$#" -gt 0 ]; then
  for pip in "$@"; do try locks "$pip"; try image "$pip"; try source "$pip"; done
else
  # What `make test` and the stack install is tried there with the machine's pip; tests/wheel tries `pip install .` with
  # the newest.
  try locks pip==22.3
  try image pip==23.0
fi
