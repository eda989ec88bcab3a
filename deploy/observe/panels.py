"""What the dashboard shows and when an alert fires: one list of each, of which the files beside it are made.

    python deploy/observe/panels.py

rewrites dashboard.json and alerts.yml; a test fails while they differ from the lists, and another evaluates each
expression in a real Prometheus. The names are those of docs/metrics.md.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import yaml

FOLDER = Path(__file__).parent
_WIDTH, _HEIGHT, _COLUMNS = 8, 8, 24
# What Grafana puts in for the time between two points, four scrapes at the least.
RATE = "$__rate_interval"


class Panel(NamedTuple):
    """A panel: its title, the question that it answers, an expression, what a line is called, its unit."""

    title: str
    question: str
    expression: str
    legend: str
    unit: str


class Alert(NamedTuple):
    """An alert: when it fires, after how long, how bad it is, what has happened, what to do."""

    name: str
    expression: str
    after: str
    severity: str
    summary: str
    todo: str


def _share(part: str, whole: str) -> str:
    return f"{part} / ({whole} > 0)"


def _rate(name: str, by: str = "", of: str = RATE) -> str:
    return f"sum{f' by ({by}) ' if by else ''}(rate(anyrouter_{name}[{of}]))"


def _quantile(share: float, name: str, by: str = "le", of: str = RATE) -> str:
    return f"histogram_quantile({share}, {_rate(f'{name}_bucket', by, of)})"


_SPENT = "max by (subject, name, period) (anyrouter_budget_spent_usd / (anyrouter_budget_usd > 0))"
_INPUT = 'model_tokens_total{kind!="output"}'
_READ = 'model_tokens_total{kind="cache_read"}'
_FAILED = 'upstream_requests_total{outcome="failed"}'

ROWS: dict[str, tuple[Panel, ...]] = {
    "Money": (
        Panel(
            "Dollars an hour, by key",
            "Who spends it?",
            f"3600 * {_rate('key_cost_usd_total', 'key')}",
            "{{key}}",
            "currencyUSD",
        ),
        Panel(
            "Dollars an hour, by model",
            "On what?",
            f"3600 * {_rate('model_cost_usd_total', 'model')}",
            "{{model}}",
            "currencyUSD",
        ),
        Panel(
            "Spent of each budget",
            "Who is refused soon?",
            _SPENT,
            "{{subject}} {{name}} a {{period}}",
            "percentunit",
        ),
        Panel(
            "Estimated share of the cost",
            "How well is it known?",
            _share(_rate('key_cost_usd_total{source!="reported"}'), _rate("key_cost_usd_total")),
            "not reported by the upstream",
            "percentunit",
        ),
        Panel(
            "Requests without a price",
            "Does the price file know every model?",
            _rate("unpriced_requests_total"),
            "unpriced",
            "reqps",
        ),
    ),
    "Requests": (
        Panel(
            "Requests a second, by outcome",
            "Is all well?",
            _rate("key_requests_total", "outcome"),
            "{{outcome}}",
            "reqps",
        ),
        Panel(
            "Requests that were not served, by cause",
            "What fails?",
            _rate('requests_total{cause!=""}', "cause"),
            "{{cause}}",
            "reqps",
        ),
        Panel(
            "In flight",
            "What do requests wait for?",
            "sum by (phase) (anyrouter_in_flight)",
            "{{phase}}",
            "short",
        ),
        Panel(
            "First byte, 95 % within",
            "How long until something comes?",
            _quantile(0.95, "first_byte_seconds", "le, model"),
            "{{model}}",
            "s",
        ),
        Panel(
            "Whole request, 95 % within",
            "How long until all has come?",
            _quantile(0.95, "request_seconds", "le, model"),
            "{{model}}",
            "s",
        ),
        Panel(
            "Refused by limits and budgets",
            "Which limit is in the way?",
            _rate("limited_total", "rule, shadow"),
            "{{rule}} (only watched: {{shadow}})",
            "reqps",
        ),
    ),
    "Cache": (
        Panel(
            "Read from the cache, by model",
            "How much of the input need not be paid in full?",
            _share(_rate(_READ, "model"), _rate(_INPUT, "model")),
            "{{model}}",
            "percentunit",
        ),
        Panel(
            "Dollars an hour lost to cache breaks",
            "What does a lost cache cost, and why was it lost?",
            "3600 * max by (reason) (rate(anyrouter_cache_break_usd_total[1h]))",
            "{{reason}}",
            "currencyUSD",
        ),
        Panel(
            "Tokens a second, by kind",
            "What are tokens spent on?",
            _rate("model_tokens_total", "kind"),
            "{{kind}}",
            "short",
        ),
        Panel(
            "Read from the cache, by upstream",
            "Did a move lose it?",
            _share(_rate(_READ, "upstream"), _rate(_INPUT, "upstream")),
            "{{upstream}}",
            "percentunit",
        ),
    ),
    "Upstreams": (
        Panel(
            "Requests a second, by upstream",
            "Who serves them?",
            _rate("upstream_requests_total", "upstream, outcome"),
            "{{upstream}} {{outcome}}",
            "reqps",
        ),
        Panel(
            "Cooling",
            "Who is left alone?",
            "max by (upstream) (anyrouter_upstream_cooling)",
            "{{upstream}}",
            "bool",
        ),
        Panel(
            "Answered away from home",
            "How many conversations had to move?",
            _share(_rate('affinity_total{where="away"}', "pool"), _rate("affinity_total", "pool")),
            "{{pool}}",
            "percentunit",
        ),
        Panel(
            "Moved away, by upstream",
            "Whose requests others have answered?",
            _rate("failovers_total", "from"),
            "{{from}}",
            "reqps",
        ),
        Panel(
            "Left of each account",
            "Which account is used up first?",
            "min by (upstream, kind) (anyrouter_upstream_account_remaining"
            " / (anyrouter_upstream_account_limit > 0))",
            "{{upstream}} {{kind}}",
            "percentunit",
        ),
    ),
    "The gateway itself": (
        Panel(
            "Time in the gateway, 95 % within",
            "Is it us?",
            _quantile(0.95, "gateway_seconds"),
            "until it was sent on",
            "s",
        ),
        Panel(
            "Event loop late by at most",
            "Is a worker busy with something else?",
            "max by (instance, worker) (anyrouter_event_loop_lag_seconds)",
            "{{instance}} {{worker}}",
            "s",
        ),
        Panel(
            "CPU",
            "Are there enough workers?",
            _rate("process_cpu_seconds_total", "instance, worker"),
            "{{instance}} {{worker}}",
            "percentunit",
        ),
        Panel(
            "Memory",
            "Does it grow?",
            "sum by (instance, worker) (anyrouter_process_resident_memory_bytes)",
            "{{instance}} {{worker}}",
            "bytes",
        ),
        Panel(
            "Connections of clients",
            "How near is limits.max_connections?",
            "sum by (instance) (anyrouter_connections)",
            "{{instance}}",
            "short",
        ),
        Panel(
            "Oldest row that waits for the store",
            "Is the ledger behind?",
            "max by (instance) (anyrouter_ledger_oldest_row_seconds)",
            "{{instance}}",
            "s",
        ),
        Panel(
            "Workers that answer",
            "Is one down?",
            "sum by (instance) (anyrouter_worker_up)",
            "{{instance}}",
            "short",
        ),
    ),
}


def _hit(of: str) -> str:
    return _share(_rate(_READ, "model", of), _rate(_INPUT, "model", of))


_P95 = _quantile(0.95, "first_byte_seconds", "le", "15m")
_P95_YESTERDAY = "histogram_quantile(0.95, sum by (le) (rate(anyrouter_first_byte_seconds_bucket[15m] offset 1d)))"

ALERTS: tuple[Alert, ...] = (
    Alert(
        "GatewayDown",
        'up{job="anyrouter"} == 0',
        "1m",
        "page",
        "{{ $labels.instance }} does not answer Prometheus",
        "Is the gateway up? Its admin process alone may be down: then requests are served all the same.",
    ),
    Alert(
        "WorkerSilent",
        "anyrouter_worker_up == 0",
        "1m",
        "page",
        "worker {{ $labels.worker }} of {{ $labels.instance }} does not answer",
        "stderr says why it ends, or that it is stuck.",
    ),
    Alert(
        "UpstreamCooling",
        "max by (upstream) (anyrouter_upstream_cooling) == 1",
        "5m",
        "page",
        "upstream {{ $labels.upstream }} has been left alone for five minutes",
        "`anyrouter upstreams` says why.",
    ),
    Alert(
        "FailedShare",
        f"{_share(_rate(_FAILED, '', '10m'), _rate('upstream_requests_total', '', '10m'))} > 0.05",
        "10m",
        "page",
        "{{ $value | humanizePercentage }} of what upstreams were asked has failed by their fault",
        "`anyrouter upstreams`, and the lines of the log with their cause.",
    ),
    Alert(
        "FirstByteSlow",
        f"{_P95} > 3 * {_P95_YESTERDAY}",
        "15m",
        "ticket",
        "the first byte takes three times as long as yesterday, {{ $value | humanizeDuration }}",
        "Is it us? Look at the time in the gateway, then at the upstream's status page.",
    ),
    Alert(
        "BudgetNear",
        f"{_SPENT} >= 0.8 < 1",
        "1m",
        "ticket",
        "{{ $labels.subject }} {{ $labels.name }} has spent {{ $value | humanizePercentage }} of its budget of the"
        " {{ $labels.period }}",
        "`anyrouter usage` says on what.",
    ),
    Alert(
        "BudgetSpent",
        f"{_SPENT} >= 1",
        "1m",
        "ticket",
        "{{ $labels.subject }} {{ $labels.name }} has spent its budget of the {{ $labels.period }}, and is refused",
        "Wait for the next {{ $labels.period }}, or raise it: `anyrouter keys update`.",
    ),
    Alert(
        "CacheHitFell",
        f"{_hit('1h')} < 0.7 * {_hit('7d')}",
        "30m",
        "ticket",
        "{{ $labels.model }} reads much less from the cache than in its week",
        "A failover, a new client version, or a changed prompt: the page Cache says which.",
    ),
    Alert(
        "LedgerBehind",
        "max by (instance) (anyrouter_ledger_oldest_row_seconds) > 60",
        "1m",
        "page",
        "rows of {{ $labels.instance }} wait for the store for {{ $value | humanizeDuration }}",
        "Bring the store back. Nothing is lost while there is room in store.state_dir.",
    ),
    Alert(
        "RowsLost",
        "sum by (instance) (increase(anyrouter_ledger_lost_rows_total[10m])) > 0",
        "0m",
        "page",
        "{{ $labels.instance }} has lost rows of the ledger",
        "The disk of store.state_dir is full, or store.spool_max_bytes is reached.",
    ),
    Alert(
        "Unpriced",
        "sum(increase(anyrouter_unpriced_requests_total[1h])) > 0",
        "0m",
        "ticket",
        "requests are charged as those of an unknown model",
        "The log names it once: add a row to prices.overrides.",
    ),
    Alert(
        "WorkerRestarting",
        "sum by (instance, worker) (increase(anyrouter_worker_restarts_total[15m])) > 2",
        "0m",
        "page",
        "worker {{ $labels.worker }} of {{ $labels.instance }} ends again and again",
        "stderr says how each has ended.",
    ),
    Alert(
        "LoopLag",
        "max by (instance, worker) (max_over_time(anyrouter_event_loop_lag_seconds[5m])) > 0.25",
        "5m",
        "ticket",
        "the event loop of worker {{ $labels.worker }} is late by {{ $value | humanizeDuration }}",
        "Too little CPU, or too few workers.",
    ),
)


def dashboard() -> str:
    """Return the dashboard, as Grafana reads it."""
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in ROWS.items():
        place = {"x": 0, "y": top, "w": _COLUMNS, "h": 1}
        panels.append({"type": "row", "title": title, "gridPos": place, "panels": []})
        top += 1
        for i, panel in enumerate(row):
            column, line = i % (_COLUMNS // _WIDTH), i // (_COLUMNS // _WIDTH)
            place = {
                "x": column * _WIDTH,
                "y": top + line * _HEIGHT,
                "w": _WIDTH,
                "h": _HEIGHT,
            }
            panels.append(_panel(panel, place))
        top += -(-len(row) // (_COLUMNS // _WIDTH)) * _HEIGHT
    for number, each in enumerate(panels, 1):
        each["id"] = number
    made = {
        "uid": "anyrouter",
        "title": "AnyRouter",
        "tags": ["anyrouter"],
        "timezone": "utc",
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "panels": panels,
    }
    return json.dumps(made, indent=1) + "\n"


def _panel(panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    source = {"type": "prometheus", "uid": "anyrouter-prometheus"}
    return {
        "type": "timeseries",
        "title": panel.title,
        "description": panel.question,
        "gridPos": place,
        "datasource": source,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}},
        "targets": [
            {
                "refId": "A",
                "datasource": source,
                "expr": panel.expression,
                "legendFormat": panel.legend,
            }
        ],
    }


def alerts() -> str:
    """Return the alert rules, as Prometheus reads them."""
    rules = [
        {
            "alert": f"AnyRouter{each.name}",
            "expr": each.expression,
            "for": each.after,
            "labels": {"severity": each.severity},
            "annotations": {"summary": each.summary, "todo": each.todo},
        }
        for each in ALERTS
    ]
    made = {"groups": [{"name": "anyrouter", "rules": rules}]}
    head = "# Made of ALERTS in panels.py, which is where to change them.\n"
    return head + yaml.safe_dump(made, sort_keys=False, width=1000, allow_unicode=False)


FILES = {"dashboard.json": dashboard, "alerts.yml": alerts}


def main() -> None:
    """Write the files."""
    for name, made in FILES.items():
        (FOLDER / name).write_text(made(), "utf-8")


if __name__ == "__main__":
    main()
