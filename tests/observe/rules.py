"""Tests of the alert rules for `promtool test rules`: each fires on what it is for, until
that is over, and on nothing else.

    python tests/observe/rules.py alerts.yml 1m > tests.yml

has those whose points are a minute apart; `10m` the others, of a whole week.
"""

import json
import sys
from typing import Any

W = 'instance="here", worker="0"'
UP = 'up{job="anyrouter", instance="here"}'
# Name, time between two points, when it fires, when it does no more, what makes it do so, what does not.
TABLE: tuple[tuple[str, str, str, str, dict[str, str], dict[str, str]], ...] = (
    ("GatewayDown", "1m", "5m", "8m", {UP: "1 0x5 1x9"}, {UP: "1x9"}),
    (
        "WorkerSilent",
        "1m",
        "5m",
        "8m",
        {f"anyrouter_worker_up{{{W}}}": "1 0x5 1x9"},
        {f"anyrouter_worker_up{{{W}}}": "1 0 1x9"},
    ),
    (
        "UpstreamCooling",
        "1m",
        "8m",
        "12m",
        {f'anyrouter_upstream_cooling{{{W}, upstream="a"}}': "0 1x9 0x9"},
        {f'anyrouter_upstream_cooling{{{W}, upstream="a"}}': "0 1x2 0x9"},
    ),
    (
        "FailedShare",
        "1m",
        "30m",
        "45m",
        {
            f'anyrouter_upstream_requests_total{{{W}, upstream="a", outcome="ok"}}': "0+90x50",
            f'anyrouter_upstream_requests_total{{{W}, upstream="a", outcome="failed"}}': "0+10x30 300x20",
        },
        {
            f'anyrouter_upstream_requests_total{{{W}, upstream="a", outcome="ok"}}': "0+99x40",
            f'anyrouter_upstream_requests_total{{{W}, upstream="a", outcome="failed"}}': "0+1x40",
        },
    ),
    (
        "FirstByteSlow",
        "1m",
        "1505m",
        "1560m",
        {
            f'anyrouter_first_byte_seconds_bucket{{{W}, le="0.5"}}': "0+9x1440 12960x80 12969+9x60",
            f'anyrouter_first_byte_seconds_bucket{{{W}, le="8.0"}}': "0+9x1580",
            f'anyrouter_first_byte_seconds_bucket{{{W}, le="+Inf"}}': "0+9x1580",
        },
        {
            f'anyrouter_first_byte_seconds_bucket{{{W}, le="0.5"}}': "0+9x1520",
            f'anyrouter_first_byte_seconds_bucket{{{W}, le="8.0"}}': "0+9x1520",
            f'anyrouter_first_byte_seconds_bucket{{{W}, le="+Inf"}}': "0+9x1520",
        },
    ),
    *(
        (
            name,
            "1m",
            "5m",
            "8m",
            {
                'anyrouter_budget_usd{subject="key", name="ci", period="day"}': "50x15",
                'anyrouter_budget_spent_usd{subject="key", name="ci", period="day"}': f"{fires}x5 {then}x9",
            },
            {
                'anyrouter_budget_usd{subject="key", name="ci", period="day"}': "50x9",
                'anyrouter_budget_spent_usd{subject="key", name="ci", period="day"}': f"{quiet}x9",
            },
        )
        for name, fires, then, quiet in (
            ("BudgetNear", 41, 0, 30),
            ("BudgetNear", 49, 50, 51),
            ("BudgetSpent", 50, 0, 49),
        )
    ),
    (
        "CacheHitFell",
        "10m",
        "10180m",
        "10400m",
        {
            f'anyrouter_model_tokens_total{{{W}, model="m", kind="cache_read"}}': "0+90x1005 90455+5x20 90645+90x20",
            f'anyrouter_model_tokens_total{{{W}, model="m", kind="input"}}': "0+10x1005 10145+95x20 12055+10x20",
        },
        {
            f'anyrouter_model_tokens_total{{{W}, model="m", kind="cache_read"}}': "0+90x1025",
            f'anyrouter_model_tokens_total{{{W}, model="m", kind="input"}}': "0+10x1025",
        },
    ),
    (
        "LedgerBehind",
        "1m",
        "5m",
        "12m",
        {f"anyrouter_ledger_oldest_row_seconds{{{W}}}": "30+60x9 0x9"},
        {f"anyrouter_ledger_oldest_row_seconds{{{W}}}": "3x9"},
    ),
    (
        "RowsLost",
        "1m",
        "5m",
        "20m",
        {f"anyrouter_ledger_lost_rows_total{{{W}}}": "0 0 0 7x20"},
        {f"anyrouter_ledger_lost_rows_total{{{W}}}": "7x9"},
    ),
    (
        "Unpriced",
        "1m",
        "5m",
        "70m",
        {f"anyrouter_unpriced_requests_total{{{W}}}": "0 0 1x80"},
        {f"anyrouter_unpriced_requests_total{{{W}}}": "1x9"},
    ),
    (
        "WorkerRestarting",
        "1m",
        "9m",
        "35m",
        {f"anyrouter_worker_restarts_total{{{W}}}": "0+1x12 12x30"},
        {f"anyrouter_worker_restarts_total{{{W}}}": "0 0 1x12"},
    ),
    (
        "LoopLag",
        "1m",
        "12m",
        "30m",
        {f"anyrouter_event_loop_lag_seconds{{{W}}}": "0.5x20 0.02x20"},
        {f"anyrouter_event_loop_lag_seconds{{{W}}}": "0.02x20"},
    ),
)


def _test(name: str, every: str, series: dict[str, str], fires: dict[str, bool]) -> dict[str, Any]:
    """Return a test: `fires` says of times whether it does then."""
    firing = f'count(ALERTS{{alertname="AnyRouter{name}", alertstate="firing"}})'
    once = [{"labels": "{}", "value": 1}]
    return {
        "interval": every,
        "input_series": [{"series": each, "values": values} for each, values in series.items()],
        "promql_expr_test": [
            {"expr": firing, "eval_time": at, "exp_samples": once if does else []}
            for at, does in fires.items()
        ],
    }


def main(rules: str, spaced: str) -> None:
    """Write the tests; JSON is YAML, too."""
    tests = []
    for name, every, at, over_at, bad, good in TABLE:
        if every != spaced:
            continue
        tests += [
            _test(name, every, bad, {at: True, over_at: False}),
            _test(name, every, good, {at: False}),
        ]
    made = {"rule_files": [rules], "evaluation_interval": spaced, "tests": tests}
    sys.stdout.write(json.dumps(made, indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
