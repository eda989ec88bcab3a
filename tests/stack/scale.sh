#!/usr/bin/env bash
# Brings the profile `scale` of docker-compose.yml up, takes away what can fail, and looks what becomes of the requests.
#   tests/stack/scale.sh
# Needs what run.sh needs, which runs it, and the image that it builds. See standins.sh for the images of the servers.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/support/checks.sh
. tests/stack/standins.sh

SCALE_FILES=(-f docker-compose.yml)
CREDENTIAL=ara-credential-of-the-scale-test
unset ANYROUTER_BASE ANYROUTER_KEY COMPOSE_FILE COMPOSE_PROFILES POSTGRES_IMAGE VALKEY_IMAGE HAPROXY_IMAGE POSTGRES_PASSWORD
export COMPOSE_PROJECT_NAME="anyrouter-scale-$$" ANYROUTER_SCALE_PORT=0 ANYROUTER_ADMIN_PORT=0 ANYROUTER_ADMIN_KEY=$CREDENTIAL

work=$(mktemp -d)
# A machine that tests run on is busy: nobody gives Redis up after 50 ms.
cp -r deploy "$work/config"
sed -i 's|^redis: .*|redis: {url: "redis://valkey:6379/0", timeout_ms: 1000}|' "$work/config/scale.yaml"
chmod -R a+rX "$work"
export ANYROUTER_CONFIG_DIR=$work/config

stack() { docker compose --env-file /dev/null --profile scale "${SCALE_FILES[@]}" "$@" </dev/null; }
container() { echo "$COMPOSE_PROJECT_NAME-$1-1"; }
client() { docker exec -i "$(container sandbox)" python - "$CREDENTIAL" "$@" <tests/stack/scale_client.py; }

# shellcheck disable=SC2317,SC2329 # called by the trap
finish() {
  local status=$?
  trap - EXIT
  if [ "$failed" -gt 0 ] || [ "$status" -ne 0 ]; then
    stack logs --no-color --tail 40 || true
  fi
  stack down --volumes --remove-orphans --timeout 5 >/dev/null 2>&1 || echo "the stack was not taken down" >&2
  rm -rf "$work"
  tally "$status"
}

come_up() { stack up --no-build --wait --wait-timeout 120 balancer; }

NOBODY=ar-of-nobody-0123456789abcdefghijklmnopqrstuvwxyzABC

# In a subshell each: a key that one of them makes is its own.
makes_a_key() { key=$(client make "$@"); }

answers_through_haproxy() { makes_a_key new && client answers balancer "$key" 1; }

shares_a_limit() { makes_a_key rate '{"limits": {"requests_per_minute": 3}}' && client limit "$key" 3; }

shares_a_budget() { makes_a_key money '{"budgets": {"day_micros": 1}}' && client budget "$key"; }

# The rows of a key: two questions for the models, which `make` asks, and messages.
survives_a_kill() {
  makes_a_key killed && client answers gateway-two "$key" 20 && sleep 1 || return
  docker kill "$(container gateway-two)" && client answers balancer "$key" 4 || return
  docker start "$(container gateway-two)" && client rows killed 26
}

survives_valkey() {
  local open closed
  makes_a_key open '{"limits": {"requests_per_minute": 1000}}' && open=$key || return
  makes_a_key closed '{"limits": {"requests_per_minute": 1000, "fail": "closed"}}' && closed=$key || return
  docker kill "$(container valkey)" || return
  client status gateway-one "$closed" 503 , answers gateway-one "$open" 2 , state open local_in_outage || return
  docker start "$(container valkey)" && client status gateway-one "$closed" 200 , state open shared
}

survives_postgres() {
  makes_a_key stored && docker kill "$(container postgres)" || return
  client answers gateway-one "$key" 5 , answers gateway-two "$key" 5 , status gateway-two $NOBODY 503 , answers gateway-two "$key" 1 || return
  docker start "$(container postgres)" && client rows stored 13 , status gateway-two $NOBODY 401
}

for needed in docker curl; do
  command -v "$needed" >/dev/null || { echo "$needed is needed" >&2; exit 1; }
done
docker image inspect anyrouter:local >/dev/null 2>&1 || { echo "run tests/stack/run.sh first: it builds the image" >&2; exit 1; }
trap finish EXIT
trap 'exit 1' TERM

scale_images
began=$SECONDS
must "up --wait: HAProxy, two gateways, PostgreSQL, Valkey" come_up
echo "     in $((SECONDS - began)) s"
check "a key made at one gateway opens both, and through HAProxy" answers_through_haproxy
check "a limit is shared: exactly 3 of 24" shares_a_limit
check "a budget spent at one is spent at the other" shares_a_budget
check "kill -9 of a gateway: no row is lost, and clients go on" survives_a_kill
check "without Valkey: fail decides, and counts are shared again" survives_valkey
check "without PostgreSQL: known keys go on, unknown ones get 503, rows arrive later" survives_postgres
echo "     in $((SECONDS - began)) s"
