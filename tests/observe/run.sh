#!/usr/bin/env bash
# The files of deploy/observe with a real Prometheus: what it scrapes, each alert, each panel of the dashboard.
#   tests/observe/run.sh
# Needs prometheus and promtool (Debian: prometheus), and .venv with the development tools.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/support/checks.sh

export PYTHONPATH=.
python=.venv/bin/python
work=$(mktemp -d)
trap 'status=$?; rm -rf "$work"; tally "$status"' EXIT

must "prometheus and promtool are there" command -v prometheus promtool

rules() { "$python" tests/observe/rules.py "$PWD/deploy/observe/alerts.yml" "$1" >"$work/rules-$1.yml" && promtool test rules "$work/rules-$1.yml"; }
configured() {
  cp deploy/observe/prometheus.yml deploy/observe/alerts.yml "$work"
  echo ara-metrics >"$work/metrics-key"
  promtool check config "$work/prometheus.yml"
}

check "Prometheus takes the configuration and the rules" configured
check "each alert fires, ends, and does not fire" rules 1m
check "that of a whole week, too" rules 10m
mkdir "$work/live"
check "each panel has samples, and each alert is evaluated, of a gateway under traffic" timeout 180 "$python" tests/observe/panels.py "$work/live"
check "promtool finds nothing wrong with the metrics" promtool check metrics <"$work/live/metrics.txt"
