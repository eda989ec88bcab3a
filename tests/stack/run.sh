#!/usr/bin/env bash
# Brings the stack of docker-compose.yml up, uses it as its users do, and takes it down again; beside it, scale.sh does
# that with the profile `scale`.
#   tests/stack/run.sh
# Needs a docker engine, Compose 2.24 or newer, and curl. The stack gets a project name and a port of its own; the
# image is anyrouter:local.
#   STACK_BUILD_FLAGS   when set: build with `docker build` and these flags, such as "--network host", not with Compose
#   STACK_README        the file whose curl is run; default: README.md
# shellcheck disable=SC2016 # what the containers' shells expand, this one leaves alone
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/support/checks.sh

IMAGE=anyrouter:local
KEY=ar-local-stack
README=${STACK_README:-README.md}
SLOW_EVENTS=40
# Whatever the caller has set up for a stack of their own does not reach this one.
unset ANYROUTER_BASE ANYROUTER_CONFIG_DIR ANYROUTER_KEY ANTHROPIC_API_KEY COMPOSE_FILE COMPOSE_PROFILES
export COMPOSE_PROJECT_NAME="anyrouter-test-$$" ANYROUTER_PORT=0

work=$(mktemp -d)
url=
scale=

stack() { docker compose --env-file /dev/null -f docker-compose.yml "$@" </dev/null; }
real_stack() { docker compose --env-file /dev/null -f docker-compose.yml -f compose.anthropic.yml "$@" </dev/null; }
inside() { stack exec -T "$@"; }
container() { stack ps --all --quiet "$1"; }

# shellcheck disable=SC2317,SC2329 # called by the trap
finish() {
  local status=$?
  trap - EXIT
  [ -z "$scale" ] || kill "$scale" 2>/dev/null || true
  if [ "$failed" -gt 0 ] || [ "$status" -ne 0 ]; then
    stack logs --no-color --tail 40 || true
  fi
  stack down --volumes --remove-orphans --timeout 5 >/dev/null 2>&1 || echo "the stack was not taken down" >&2
  rm -rf "$work"
  tally "$status"
}

# ask PATH [CURL ARGUMENTS…]: the answer's body goes to stdout.
ask() {
  curl -sS --max-time 60 "$url$1" -H 'anthropic-version: 2023-06-01' -H 'content-type: application/json' "${@:2}"
}
MESSAGE='{"model": "anthropic/claude-haiku-4.5", "max_tokens": 64, "messages": [{"role": "user", "content": "say hi"}]}'
STREAM=${MESSAGE/'"max_tokens"'/'"stream": true, "max_tokens"'}

build() {
  if [ -n "${STACK_BUILD_FLAGS+set}" ]; then
    # shellcheck disable=SC2086 # flags, split on purpose
    docker build $STACK_BUILD_FLAGS --tag "$IMAGE" . </dev/null
  else
    stack build
  fi
}

come_up() { stack up --no-build --wait --wait-timeout 120; }

# --- the gateway as a client sees it

readme_curl() {
  awk '/^```/ { if (inside && block ~ /curl/ && block ~ key) { printf "%s", block; exit } inside = !inside; block = ""; next }
       inside && !/^docker / { block = block $0 "\n" }' key="$KEY" "$README"
}

readme_curl_answers() {
  local pasted answer
  pasted=$(readme_curl)
  [ -n "$pasted" ] || { echo "$README has no code block with a curl and the key $KEY"; return 1; }
  pasted=${pasted//127.0.0.1:8080/"${url#http://}"}
  answer=$(sh -c "${pasted//localhost:8080/"${url#http://}"}" </dev/null) || return
  echo "$answer"
  [[ $answer == *'"type":"message"'* || $answer == *'"type": "message"'* || $answer == *'event: message_stop'* ]]
}

streams() {
  local answer
  answer=$(ask /v1/messages -N -H "authorization: Bearer $KEY" -H 'x-sandbox: events=12' -d "$STREAM") || return
  [ "$(grep -c '^event: content_block_delta' <<<"$answer")" -eq 12 ] && grep -q '^event: message_stop' <<<"$answer" && return
  echo "$answer"
  return 1
}

refuses_wrong_key() {
  local answer
  answer=$(ask /api/v1/messages -w '\n%{http_code}' -H 'x-api-key: ar-wrong' -d "$MESSAGE") || return
  echo "$answer"
  [[ $answer == *'"authentication_error"'*$'\n401' ]]
}

content_with_doctor() { inside gateway anyrouter doctor; }   # with the key of its environment

# --- the containers

healthy() {
  local service
  for service in gateway sandbox; do
    [ "$(docker inspect --format '{{.State.Health.Status}}' "$(container "$service")")" = healthy ] || return
  done
}

not_root() {
  local service
  for service in gateway sandbox; do
    inside "$service" sh -c 'id; test "$(id -u)" -ne 0 && grep -E "^Uid:" /proc/1/status && ! grep -E "^Uid:.*\<0\>" /proc/1/status' || return
  done
}

writes_nowhere() {
  local service
  for service in gateway sandbox; do
    [ "$(docker inspect --format '{{.HostConfig.ReadonlyRootfs}}' "$(container "$service")")" = true ] || return
    inside "$service" sh -c 'for d in / /tmp /var/tmp /opt/anyrouter; do if touch $d/x 2>/dev/null; then echo "$d is writable"; exit 1; fi; done' || return
  done
}

without_privileges() {
  local service
  for service in gateway sandbox; do
    inside "$service" sh -c 'grep -E "^(Cap|NoNew)" /proc/1/status; ! grep -E "^Cap[A-Za-z]*:.*[1-9a-f]" /proc/1/status && grep -qE "^NoNewPrivs:[[:space:]]1" /proc/1/status' || return
  done
}

# Memory for a stream on each connection that is allowed, with as much again for bodies; and not the machine's.
is_bounded() {
  local service bounds needed
  needed=$(inside gateway python -c 'import proxy; print(proxy.load_config("/etc/anyrouter/sandbox.yaml").limits.max_connections * 32_000)') || return
  for service in gateway sandbox; do
    bounds=$(docker inspect --format '{{.HostConfig.Memory}} {{.HostConfig.PidsLimit}}' "$(container "$service")") || return
    echo "$service: $bounds; open streams: $needed"
    [ "${bounds% *}" -gt $((2 * needed)) ] && [ "${bounds#* }" -ge 64 ] || return
  done
}

published_on_loopback() {
  local published
  published=$(stack ps --format '{{.Ports}}')
  echo "$published"
  [[ $published == *127.0.0.1:* && $published != *0.0.0.0:* && $published != *:::* ]]
}

only_what_is_locked() {
  local installed
  installed=$(inside gateway python -c '
import importlib.metadata as m
print(*sorted(f"{d.name.lower().replace("_", "-")}=={d.version}" for d in m.distributions()), sep="\n")') || return
  echo "$installed"
  grep -q '^aiohttp==' <<<"$installed" || return
  ! grep -v '^anyrouter==' <<<"$installed" | grep -vxF -f <(sed -nE 's/^([a-z0-9-]+)(\[[a-z,]+\])?(==[^ ;]*).*/\1\3/p' requirements/image.txt)
}

keeps_no_address() {
  local environment
  environment=$(docker image inspect --format '{{range .Config.Env}}{{println .}}{{end}}' "$IMAGE") || return
  ! grep -E '://|^PIP_(.*INDEX|FIND_LINKS|TRUSTED_HOST|CERT)|(PROXY|proxy)=' <<<"$environment"
}

outlasts_the_drain() {
  local grace_s drain_s
  grace_s=$(docker inspect --format '{{.Config.StopTimeout}}' "$(container gateway)") || return
  drain_s=$(inside gateway python -c 'import proxy; print(round(proxy.load_config("/etc/anyrouter/sandbox.yaml").timeouts.drain_s))') || return
  echo "stop_grace_period $grace_s s, drain_s $drain_s s"
  [ "$grace_s" -gt "$drain_s" ]
}

# --- the image without Compose

wants_the_api_key() {
  local said status=0
  said=$(docker run --rm --read-only "$IMAGE" 2>&1 </dev/null) || status=$?
  echo "exit $status: $said"
  [ "$status" -eq 2 ] && [[ $said == *ANTHROPIC_API_KEY* && $said != *Traceback* ]]
}

runs_alone() {
  local id status=1 attempt said
  id=$(docker run --detach --read-only --cap-drop ALL --network none --env ANTHROPIC_API_KEY=none --env ANYROUTER_KEY="$KEY" "$IMAGE") || return
  for attempt in 1 2 3 4 5 6 7 8 9 10; do
    if docker exec "$id" python -IS /opt/anyrouter/healthcheck.py; then status=0; break; fi
    echo "attempt $attempt"
    sleep 0.5
  done
  said=$(docker logs "$id" 2>&1)
  docker rm --force "$id" >/dev/null
  echo "$said"
  [[ $said != *"$KEY"* ]] || status=1
  return "$status"
}

# --- its configuration, from a folder of one's own: a key comes without a build

takes_a_key_without_a_build() {
  local answer
  rm -rf "$work/config"
  cp -r deploy "$work/config"
  chmod -R a+rX "$work" || return
  export ANYROUTER_CONFIG_DIR=$work/config
  come_up || return
  sed -i 's/^keys:$/keys:\n  - {name: second, key: ar-second-key-of-the-stack}/' "$work/config/sandbox.yaml"
  stack restart gateway && come_up || return
  url=http://$(stack port gateway 8080)
  answer=$(ask /v1/messages -w '\n%{http_code}' -H 'x-api-key: ar-second-key-of-the-stack' -d "$MESSAGE") || return
  echo "$answer"
  [[ $answer == *$'\n200' ]]
}

# --- the real API behind it; nothing is sent there

real_keys() { env ANTHROPIC_API_KEY=upstream-key ANYROUTER_KEY=ar-own-key bash -c "$(declare -f real_stack)"'; real_stack "$@"' _ "$@"; }

real_renders() {
  local rendered
  rendered=$(real_keys config) || return
  echo "$rendered"
  [ "$(real_keys config --services)" = gateway ] &&
    [[ $rendered == *'ANTHROPIC_API_KEY: upstream-key'* && $rendered == *'ANYROUTER_KEY: ar-own-key'* ]] &&
    [[ $rendered == *'host_ip: 127.0.0.1'* && $rendered == *'read_only: true'* && $rendered != *depends_on* ]]
}

real_requires() {
  local missing=$1 said
  shift
  if said=$(env "$@" bash -c "$(declare -f real_stack)"'; real_stack config' 2>&1); then
    echo "it rendered without $missing"
    return 1
  fi
  echo "$said"
  [[ $said == *"$missing"* ]]
}

real_config_is_good() {
  real_keys run --rm --no-deps -T --entrypoint python gateway -c '
import dataclasses
import proxy
ours = proxy.load_config("/etc/anyrouter/anthropic.yaml")
shipped = proxy.load_config("/etc/anyrouter/config.yaml")
def catalog(config): return [dataclasses.replace(model, upstream_model=None) for model in config.models]
assert catalog(ours) == catalog(shipped), "the catalogs of config.yaml and deploy/anthropic.yaml differ"
assert ours.upstreams == shipped.upstreams, "the upstreams of config.yaml and deploy/anthropic.yaml differ"
assert [key.name for key in ours.keys] == ["local"]'
}

# --- the end

# A stream of six seconds is under way when the stack is told to stop.
drains() {
  local client stopping began refusal attempt arrived
  ask /v1/messages -N -H "x-api-key: $KEY" -H "x-sandbox: events=$SLOW_EVENTS,interval=0.15" -d "$STREAM" >"$work/slow" &
  client=$!
  for attempt in {1..50}; do
    ! grep -q content_block_delta "$work/slow" || break
    sleep 0.1
  done
  arrived=$(grep -c '^event: content_block_delta' "$work/slow") || { echo "nothing arrived in $attempt tenths of a second"; return 1; }
  began=$SECONDS
  stack stop &
  stopping=$!
  for attempt in {1..50}; do
    refusal=$(curl -s --max-time 5 -o /dev/null -w '%{http_code}' "$url/readyz") || true
    [ "$refusal" != 503 ] || break
    sleep 0.05
  done
  echo "readyz while draining: $refusal"
  [ "$refusal" = 503 ] || return
  refusal=$(ask /v1/messages -w '%{http_code}' -H "x-api-key: $KEY" -d "$MESSAGE") || return
  echo "a new request while draining: $refusal"
  [[ $refusal == *overloaded_error*529 ]] || return
  wait "$client" || { echo "curl: exit $?"; return 1; }
  wait "$stopping" || return
  tail -c 300 "$work/slow"
  echo "$arrived of $SLOW_EVENTS had arrived before; stopped after $((SECONDS - began)) s"
  [ "$arrived" -lt "$SLOW_EVENTS" ] &&
    [ "$(grep -c '^event: content_block_delta' "$work/slow")" -eq "$SLOW_EVENTS" ] &&
    [ "$(grep '^event: ' "$work/slow" | tail -n 1)" = 'event: message_stop' ]
}

ended_well() {
  local service
  for service in gateway sandbox; do
    docker inspect --format "$service"' {{.State.Status}} {{.State.ExitCode}}' "$(container "$service")"
  done | tee "$work/ends"
  [ "$(grep -c ' exited 0$' "$work/ends")" -eq 2 ]
}

for needed in docker curl; do
  command -v "$needed" >/dev/null || { echo "$needed is needed" >&2; exit 1; }
done
docker info >/dev/null 2>&1 || { echo "no docker engine answers (docker info)" >&2; exit 1; }
docker compose version >/dev/null 2>&1 || { echo "docker compose is needed (Compose 2.24 or newer)" >&2; exit 1; }
trap finish EXIT

began=$SECONDS
check "the image builds" build
echo "     in $((SECONDS - began)) s, $(docker image inspect --format '{{.Size}}' "$IMAGE") bytes with its base"
if [ "$failed" -eq 0 ]; then
  tests/stack/scale.sh >"$work/scale" 2>&1 &
  scale=$!
fi
began=$SECONDS
check "up --wait: both services become healthy" come_up
echo "     in $((SECONDS - began)) s"
[ "$failed" -eq 0 ] || exit 1
url=http://$(stack port gateway 8080)

check "the README's curl is answered" readme_curl_answers
check "a stream arrives whole" streams
check "a wrong key is refused" refuses_wrong_key
check "anyrouter doctor finds nothing" content_with_doctor
check "both are healthy" healthy
check "nothing runs as root" not_root
check "nothing is writable" writes_nowhere
check "no capability, no new privileges" without_privileges
check "memory and processes are bounded" is_bounded
check "published on loopback only" published_on_loopback
check "installed: the lock's versions and the gateway" only_what_is_locked
check "the image keeps no index or proxy address" keeps_no_address
check "stop_grace_period is longer than the drain" outlasts_the_drain
check "alone, without the API's key: one line, exit 2" wants_the_api_key
check "alone, with both keys: ready, and shows neither" runs_alone
check "real API: renders, without the sandbox" real_renders
check "real API: its key is required" real_requires ANTHROPIC_API_KEY ANYROUTER_KEY=ar-own-key
check "real API: a gateway key is required" real_requires ANYROUTER_KEY ANTHROPIC_API_KEY=upstream-key
check "real API: its configuration is good" real_config_is_good
check "a key comes without a build, from a folder that is mounted" takes_a_key_without_a_build
# As that check has left it, in a shell of its own; a container has another port after each start.
export ANYROUTER_CONFIG_DIR=$work/config
url=http://$(stack port gateway 8080)
began=$SECONDS
check "stop: refuses new requests, finishes the stream" drains
echo "     in $((SECONDS - began)) s"
check "both ended with 0" ended_well
status=0
wait "$scale" || status=$?
scale=
sed 's/^/     /' "$work/scale"
check "the profile scale, as above" test "$status" -eq 0
