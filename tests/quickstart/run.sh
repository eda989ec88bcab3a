#!/usr/bin/env bash
# The README's first command, word by word: `make run`, then the curl that it prints, pasted into a shell.
set -euo pipefail
cd "$(dirname "$0")/../.."

printed=$(mktemp)
setsid make run PORT=0 >"$printed" 2>&1 </dev/null &
demo=$!
trap 'kill -TERM -- "-$demo" 2>/dev/null || true; wait "$demo" 2>/dev/null || true; rm -f "$printed"' EXIT

for _ in $(seq 240); do
  if grep -q '^TypeScript' "$printed"; then break; fi
  if ! kill -0 "$demo" 2>/dev/null; then break; fi
  sleep 0.5
done
answer=$(sed -n '/^  curl /,/^$/p' "$printed" | sh)
echo "$answer"
if [[ $answer == *'You said: say hi'* ]]; then
  echo "ok   make run, and the printed curl"
  echo "1 passed, 0 failed"
else
  cat "$printed"
  echo "FAIL make run, and the printed curl"
  echo "0 passed, 1 failed"
  exit 1
fi
