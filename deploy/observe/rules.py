"""When an alert fires, and what is to be done then."""

from typing import NamedTuple

from deploy.observe.expressions import FAILED, INPUT, READ, SPENT, quantile, rate, share


class Alert(NamedTuple):
    """An alert: when it fires, after how long, how bad it is, what has happened, what to do."""

    name: str
    expression: str
    after: str
    severity: str
    summary: str
    todo: str


def _hit(of: str) -> str:
    return share(rate(READ, "model", of), rate(INPUT, "model", of))


_P95 = quantile(0.95, "first_byte_seconds", "le", "15m")
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
        f"{share(rate(FAILED, '', '10m'), rate('upstream_requests_total', '', '10m'))} > 0.05",
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
        f"{SPENT} >= 0.8 < 1",
        "1m",
        "ticket",
        "{{ $labels.subject }} {{ $labels.name }} has spent {{ $value | humanizePercentage }} of its budget of the"
        " {{ $labels.period }}",
        "`anyrouter usage` says on what.",
    ),
    Alert(
        "BudgetSpent",
        f"{SPENT} >= 1",
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
