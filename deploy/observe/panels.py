"""What the dashboard shows: panels, each with the question that it answers, in rows."""

from typing import NamedTuple

from deploy.observe.expressions import INPUT, READ, SPENT, quantile, rate, share


class Panel(NamedTuple):
    """A panel: its title, the question that it answers, an expression, what a line is called, its unit."""

    title: str
    question: str
    expression: str
    legend: str
    unit: str


ROWS: dict[str, tuple[Panel, ...]] = {
    "Money": (
        Panel(
            "Dollars an hour, by key",
            "Who spends it?",
            f"3600 * {rate('key_cost_usd_total', 'key')}",
            "{{key}}",
            "currencyUSD",
        ),
        Panel(
            "Dollars an hour, by model",
            "On what?",
            f"3600 * {rate('model_cost_usd_total', 'model')}",
            "{{model}}",
            "currencyUSD",
        ),
        Panel(
            "Spent of each budget",
            "Who is refused soon?",
            SPENT,
            "{{subject}} {{name}} a {{period}}",
            "percentunit",
        ),
        Panel(
            "Estimated share of the cost",
            "How well is it known?",
            share(rate('key_cost_usd_total{source!="reported"}'), rate("key_cost_usd_total")),
            "not reported by the upstream",
            "percentunit",
        ),
        Panel(
            "Requests without a price",
            "Does the price file know every model?",
            rate("unpriced_requests_total"),
            "unpriced",
            "reqps",
        ),
    ),
    "Requests": (
        Panel(
            "Requests a second, by outcome",
            "Is all well?",
            rate("key_requests_total", "outcome"),
            "{{outcome}}",
            "reqps",
        ),
        Panel(
            "Requests that were not served, by cause",
            "What fails?",
            rate('requests_total{cause!=""}', "cause"),
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
            quantile(0.95, "first_byte_seconds", "le, model"),
            "{{model}}",
            "s",
        ),
        Panel(
            "Whole request, 95 % within",
            "How long until all has come?",
            quantile(0.95, "request_seconds", "le, model"),
            "{{model}}",
            "s",
        ),
        Panel(
            "Refused by limits and budgets",
            "Which limit is in the way?",
            rate("limited_total", "rule, shadow"),
            "{{rule}} (only watched: {{shadow}})",
            "reqps",
        ),
    ),
    "Cache": (
        Panel(
            "Read from the cache, by model",
            "How much of the input need not be paid in full?",
            share(rate(READ, "model"), rate(INPUT, "model")),
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
            rate("model_tokens_total", "kind"),
            "{{kind}}",
            "short",
        ),
        Panel(
            "Read from the cache, by upstream",
            "Did a move lose it?",
            share(rate(READ, "upstream"), rate(INPUT, "upstream")),
            "{{upstream}}",
            "percentunit",
        ),
    ),
    "Upstreams": (
        Panel(
            "Requests a second, by upstream",
            "Who serves them?",
            rate("upstream_requests_total", "upstream, outcome"),
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
            share(rate('affinity_total{where="away"}', "pool"), rate("affinity_total", "pool")),
            "{{pool}}",
            "percentunit",
        ),
        Panel(
            "Moved away, by upstream",
            "Whose requests others have answered?",
            rate("failovers_total", "from"),
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
            quantile(0.95, "gateway_seconds"),
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
            rate("process_cpu_seconds_total", "instance, worker"),
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
