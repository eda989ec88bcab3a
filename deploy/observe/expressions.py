"""Expressions of Prometheus that panels and alerts are made of. The names are those of docs/metrics.md."""

# What Grafana puts in for the time between two points, four scrapes at the least.
RATE = "$__rate_interval"


def share(part: str, whole: str) -> str:
    """Return a share; of nothing there is none."""
    return f"{part} / ({whole} > 0)"


def rate(name: str, by: str = "", of: str = RATE) -> str:
    """Return how much of a counter there is a second."""
    return f"sum{f' by ({by}) ' if by else ''}(rate(anyrouter_{name}[{of}]))"


def quantile(part: float, name: str, by: str = "le", of: str = RATE) -> str:
    """Return within how long that part of a histogram was done."""
    return f"histogram_quantile({part}, {rate(f'{name}_bucket', by, of)})"


SPENT = "max by (subject, name, period) (anyrouter_budget_spent_usd / (anyrouter_budget_usd > 0))"
INPUT = 'model_tokens_total{kind!="output"}'
READ = 'model_tokens_total{kind="cache_read"}'
FAILED = 'upstream_requests_total{outcome="failed"}'
