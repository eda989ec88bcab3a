"""Every metric of `/metrics`: name, type, labels, meaning. A contract, of which docs/metrics.md is made. Pure."""

from typing import Literal, NamedTuple

PREFIX = "anyrouter_"


class Metric(NamedTuple):
    """One metric.

    Attributes:
        name: with its prefix and, of a counter, its suffix.
        type: as Prometheus calls it.
        labels: their names.
        help: what it says, as a sentence.
    """

    name: str
    type: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    help: str


def _metric(
    name: str, kind: Literal["counter", "gauge", "histogram"], labels: str, text: str
) -> Metric:
    return Metric(PREFIX + name, kind, tuple(labels.split()), text)


METRICS = (
    _metric(
        "requests_total",
        "counter",
        "worker endpoint status cause",
        "Requests that have ended. The cause is empty when all is well; endpoint `probe` asks only how the gateway is,"
        " `other` is what was refused before its key was known.",
    ),
    _metric(
        "key_requests_total",
        "counter",
        "worker key outcome",
        "Requests of known keys: ok, limited, refused by the gateway, failed at the upstream or in the gateway, left by"
        " their client.",
    ),
    _metric(
        "key_tokens_total",
        "counter",
        "worker key kind",
        "Tokens as billed: input, output, cache_read, cache_write_5m, cache_write_1h.",
    ),
    _metric(
        "key_cost_usd_total",
        "counter",
        "worker key source",
        "Dollars, exact to the micro-dollar, by how the tokens are known: reported, partial, estimated.",
    ),
    _metric(
        "model_tokens_total", "counter", "worker model upstream kind", "Tokens as billed, by model."
    ),
    _metric("model_cost_usd_total", "counter", "worker model upstream", "Dollars, by model."),
    _metric(
        "request_seconds",
        "histogram",
        "worker model upstream",
        "From the head of a request to the end of its response, of what was sent to an upstream.",
    ),
    _metric(
        "first_byte_seconds",
        "histogram",
        "worker model upstream",
        "From the head of a request to the first byte of a response that is no error.",
    ),
    _metric(
        "gateway_seconds",
        "histogram",
        "worker",
        "What the gateway itself took until it had sent a request on; the waiting for its body, or its turn, left out.",
    ),
    _metric(
        "unpriced_requests_total",
        "counter",
        "worker",
        "Requests that were charged as those of an unknown model: add a row to prices.",
    ),
    _metric(
        "metrics_folded_total",
        "counter",
        "worker",
        "Increments that found no series of their own, and are counted under `other`: a request makes one for its"
        " kind, one for its key and one for its model at an upstream.",
    ),
    _metric(
        "in_flight",
        "gauge",
        "worker upstream phase",
        "Requests in flight by what they wait for; the upstream is empty until one is chosen.",
    ),
    _metric("connections", "gauge", "worker", "Connections of clients that are open."),
    _metric(
        "connections_refused_total", "counter", "worker", "Connections that were one too many."
    ),
    _metric(
        "event_loop_lag_seconds",
        "gauge",
        "worker",
        "By how much the event loop was late at most since the last scrape; 0 while nothing is in flight.",
    ),
    _metric(
        "upstream_requests_total",
        "counter",
        "worker upstream pool outcome",
        "Requests that an upstream was asked: ok, or failed by its fault. The pool is empty where a model names the"
        " upstream itself.",
    ),
    _metric(
        "upstream_cooling",
        "gauge",
        "worker upstream",
        "1 while all of an upstream is left alone, since it failed or asked for it; else 0.",
    ),
    _metric(
        "upstream_cooling_models",
        "gauge",
        "worker upstream",
        "How many of its models are left alone.",
    ),
    _metric(
        "upstream_account_limit",
        "gauge",
        "worker upstream kind",
        "What an upstream's account may use, as it last said: requests, tokens, input_tokens, output_tokens.",
    ),
    _metric(
        "upstream_account_remaining",
        "gauge",
        "worker upstream kind",
        "What of that was left then.",
    ),
    _metric(
        "credential_age_seconds",
        "gauge",
        "worker upstream",
        "How long ago `auth.command` of an upstream last printed its credential.",
    ),
    _metric(
        "affinity_total",
        "counter",
        "worker pool where",
        "Requests of a pool: served at the home of their conversation, or away from it.",
    ),
    _metric(
        "failovers_total",
        "counter",
        "worker pool from",
        "Requests of a pool that another upstream has answered than the one they belong to.",
    ),
    _metric(
        "retry_budget_empty_total",
        "counter",
        "worker pool",
        "Requests that were not sent elsewhere, since most of the pool fails.",
    ),
    _metric(
        "limited_total",
        "counter",
        "worker rule shadow",
        "Requests that a limit or a budget has refused; shadow `true`: let through by one that only watches.",
    ),
    _metric(
        "limit_remaining",
        "gauge",
        "subject name rule",
        "What limits have left: of a key, an owner, or global. Of this machine's workers together.",
    ),
    _metric("budget_usd", "gauge", "subject name period", "Budgets in dollars, by day and month."),
    _metric(
        "budget_spent_usd",
        "gauge",
        "subject name period",
        "Dollars that were spent of it. On several machines the same: take the largest, not the sum.",
    ),
    _metric(
        "cache_break_usd_total",
        "counter",
        "reason",
        "Dollars that were lost to cache breaks, of all days. On several machines the same: take the largest.",
    ),
    _metric(
        "cache_break_tokens_total", "counter", "reason", "Tokens that were written anew in them."
    ),
    _metric("ledger_store_up", "gauge", "worker", "1 while the store takes rows; else 0."),
    _metric("ledger_spooled_rows", "gauge", "worker", "Rows that wait for the store."),
    _metric(
        "ledger_oldest_row_seconds", "gauge", "worker", "How long the oldest of them has waited."
    ),
    _metric("ledger_stored_rows_total", "counter", "worker", "Rows that the store has taken."),
    _metric("ledger_lost_rows_total", "counter", "worker", "Requests whose rows are lost."),
    _metric(
        "access_lines_lost_total",
        "counter",
        "worker",
        "Lines of the access log that could not be written in time.",
    ),
    _metric(
        "config_reloads_total",
        "counter",
        "worker",
        "Configurations that were taken over since the start.",
    ),
    _metric(
        "worker_up",
        "gauge",
        "worker",
        "1 when the worker has answered; else 0, and it tells nothing.",
    ),
    _metric("worker_start_time_seconds", "gauge", "worker", "Unix time of its start."),
    _metric(
        "worker_restarts_total",
        "counter",
        "worker",
        "How many workers were before it in its place, since the gateway began.",
    ),
    _metric("process_cpu_seconds_total", "counter", "worker", "CPU time of the worker's process."),
    _metric("process_resident_memory_bytes", "gauge", "worker", "Memory of the worker's process."),
    _metric("build_info", "gauge", "version python aiohttp", "Always 1: what runs."),
    _metric("prices_info", "gauge", "version", "Always 1: the version of the price file."),
)
