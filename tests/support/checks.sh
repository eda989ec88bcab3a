# shellcheck shell=bash
# How the shell tests check and count; source it. A test's EXIT trap ends with `tally`.
passed=0 failed=0

# check NAME COMMAND…: what the command prints is shown when it fails.
check() {
  local name=$1 said status=0
  shift
  said=$("$@" 2>&1) || status=$?
  if [ "$status" -eq 0 ]; then
    passed=$((passed + 1))
    echo "ok   $name"
  else
    failed=$((failed + 1))
    printf 'FAIL %s\n%s\n' "$name" "$said" | sed '2,$s/^/       /'
  fi
}

# must NAME COMMAND…: a check without which the rest means nothing.
must() {
  local before=$failed
  check "$@"
  [ "$failed" -eq "$before" ] || exit 1
}

# copy_tracked FOLDER: a clean copy of the tracked files.
copy_tracked() {
  local names
  names=$(mktemp)
  git -c safe.directory='*' ls-files -z >"$names" && [ -s "$names" ] || return
  tar --create --null --files-from "$names" | tar --extract --directory "$1"
  rm -f "$names"
}

# tally STATUS: tell the count, and exit: with STATUS, or with 1 when a check has failed.
tally() {
  echo "$passed passed, $failed failed"
  [ "$failed" -eq 0 ] || exit 1
  exit "$1"
}
