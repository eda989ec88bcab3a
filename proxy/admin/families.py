"""From what workers tell to metric families, for `prometheus-client` to write. Only `/metrics` imports it."""

import itertools
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import aiohttp
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from proxy.admin.metric_list import METRICS, PREFIX
from proxy.ledger.ledger import Status
from proxy.limits.verdict import Rule
from proxy.server.live import PHASES
from proxy.server.tally import WorkerTold
from proxy.store.views import CacheSums
from proxy.telemetry.series import (
    FIRST_BYTE_S,
    GATEWAY_S,
    OUTCOMES,
    REQUEST_S,
    SOURCES,
    TOKEN_KINDS,
)
from proxy.telemetry.tally import TallyTold, Times
from proxy.upstreams.report import Report
from proxy.version import __version__

_MICROS = 1_000_000
_NO_UPSTREAM = ""


class Families(Collector):
    """The families of the list, each with the samples that it was given; one without any is there all the same."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}
        for metric in METRICS:
            labels = metric.labels
            match metric.type:
                case "counter":
                    made: Metric = CounterMetricFamily(metric.name, metric.help, labels=labels)
                case "gauge":
                    made = GaugeMetricFamily(metric.name, metric.help, labels=labels)
                case "histogram":
                    made = HistogramMetricFamily(metric.name, metric.help, labels=labels)
            self._made[metric.name] = made

    def add(self, name: str, value: float, *labels: str) -> None:
        """Add a sample to the family of a name, which is given without its prefix."""
        self._made[PREFIX + name].add_metric(labels, value)

    def add_times(self, name: str, bounds: Sequence[float], times: Times, *labels: str) -> None:
        """Add a histogram."""
        below = itertools.accumulate(times.counts)
        ends = [*map(str, bounds), "+Inf"]
        buckets = list(zip(ends, below, strict=True))
        self._made[PREFIX + name].add_metric(labels, buckets, times.sum_s)

    def collect(self) -> Iterator[Metric]:
        """Yield them, in the order of the list."""
        yield from self._made.values()


def exposition(
    told: Sequence[WorkerTold | None],
    limits: Sequence[Mapping[str, Any]],
    breaks: Sequence[CacheSums],
    accept: str,
) -> tuple[bytes, str]:
    """Return all families as text, and its media type.

    Args:
        told: as for `families`.
        limits: likewise.
        breaks: likewise.
        accept: the header of that name; empty: there is none.
    """
    write, content_type = choose_encoder(accept)
    return write(families(told, limits, breaks)), content_type


def families(
    told: Sequence[WorkerTold | None],
    limits: Sequence[Mapping[str, Any]],
    breaks: Sequence[CacheSums],
) -> Families:
    """Return all families.

    Args:
        told: by the workers, in the order of their places; None: it does not answer.
        limits: what subjects have left, as `proxy.admin.added.added` returns it.
        breaks: what was lost to cache breaks, by reason.
    """
    made = Families()
    for place, each in enumerate(told):
        made.add("worker_up", each is not None, str(place))
        if each is not None:
            _worker(made, str(place), each)
            _tally(made, str(place), each.tally)
            _models(made, str(place), each.tally)
            for report in each.upstreams:
                _upstream(made, str(place), report)
            if each.ledger is not None:
                _ledger(made, str(place), each.ledger)
    for left in limits:
        _limits(made, left)
    for each_reason in breaks:
        made.add("cache_break_usd_total", each_reason.cost_micros / _MICROS, each_reason.kind)
        made.add("cache_break_tokens_total", each_reason.tokens, each_reason.kind)
    for worker, pool, homes, away in _homes(told):
        made.add("affinity_total", homes - away, worker, pool, "home")
        made.add("affinity_total", away, worker, pool, "away")
    made.add("build_info", 1, __version__, platform.python_version(), aiohttp.__version__)
    for version in dict.fromkeys(each.prices for each in told if each and each.prices):
        made.add("prices_info", 1, version or "")
    return made


def _homes(told: Sequence[WorkerTold | None]) -> Iterator[tuple[str, str, int, int]]:
    """Yield by worker and pool how many requests have a home there, and how many were answered elsewhere."""
    for place, each in enumerate(told):
        shares = [] if each is None else [share for of in each.upstreams for share in of.shares]
        for pool in dict.fromkeys(share.pool for share in shares if share.pool):
            counts = [share.count for share in shares if share.pool == pool]
            homes, away = (sum(of.homes for of in counts), sum(of.moved_away for of in counts))
            yield str(place), pool, homes, away


def _worker(made: Families, worker: str, told: WorkerTold) -> None:
    made.add("worker_start_time_seconds", told.started_at, worker)
    made.add("worker_restarts_total", told.restarts, worker)
    made.add("process_cpu_seconds_total", told.cpu_s, worker)
    if told.rss_bytes is not None:
        made.add("process_resident_memory_bytes", told.rss_bytes, worker)
    if told.connections is not None:
        made.add("connections", told.connections, worker)
    if told.refused_connections is not None:
        made.add("connections_refused_total", told.refused_connections, worker)
    made.add("event_loop_lag_seconds", told.loop_lag_s, worker)
    made.add("config_reloads_total", told.reloads, worker)
    if told.lost_lines is not None:
        made.add("access_lines_lost_total", told.lost_lines, worker)
    for pool, requests in told.no_retries:
        made.add("retry_budget_empty_total", requests, worker, pool)
    in_flight = dict(told.in_flight)
    # A gauge that comes and goes looks like one that stays: what is 0 is told, too.
    for upstream in (_NO_UPSTREAM, *(each.upstream for each in told.upstreams)):
        for phase in PHASES:
            made.add("in_flight", in_flight.get((upstream, phase), 0), worker, upstream, phase)


def _tally(made: Families, worker: str, tally: TallyTold) -> None:
    limited = dict.fromkeys(Rule, 0)
    for (endpoint, status, cause), requests in tally.kinds:
        made.add("requests_total", requests, worker, endpoint, status, cause)
        if cause in limited:
            limited[Rule(cause)] += requests
    for rule, requests in limited.items():
        made.add("limited_total", requests, worker, rule, "false")
    for rule_name, requests in tally.watched:
        made.add("limited_total", requests, worker, rule_name, "true")
    for key, of_key in tally.keys:
        for outcome, requests in zip(OUTCOMES, of_key.outcomes, strict=True):
            made.add("key_requests_total", requests, worker, key, outcome)
        for kind, tokens in zip(TOKEN_KINDS, of_key.tokens, strict=True):
            made.add("key_tokens_total", tokens, worker, key, kind)
        for source, micros in zip(SOURCES, of_key.micros, strict=True):
            made.add("key_cost_usd_total", micros / _MICROS, worker, key, source)
    made.add_times("gateway_seconds", GATEWAY_S, tally.gateway, worker)
    made.add("unpriced_requests_total", tally.unpriced, worker)
    made.add("metrics_folded_total", tally.folded, worker)


def _models(made: Families, worker: str, tally: TallyTold) -> None:
    for (model, upstream), of_model in tally.models:
        for kind, tokens in zip(TOKEN_KINDS, of_model.tokens, strict=True):
            made.add("model_tokens_total", tokens, worker, model, upstream, kind)
        made.add("model_cost_usd_total", of_model.micros / _MICROS, worker, model, upstream)
        made.add_times("request_seconds", REQUEST_S, of_model.request, worker, model, upstream)
        made.add_times(
            "first_byte_seconds", FIRST_BYTE_S, of_model.first_byte, worker, model, upstream
        )


def _upstream(made: Families, worker: str, report: Report) -> None:
    name = report.upstream
    whole = any(each.model is None for each in report.cooling)
    made.add("upstream_cooling", whole, worker, name)
    made.add("upstream_cooling_models", len(report.cooling) - whole, worker, name)
    for share in report.shares:
        pool, count = share.pool or "", share.count
        answered = count.requests - count.failures
        made.add("upstream_requests_total", answered, worker, name, pool, "ok")
        made.add("upstream_requests_total", count.failures, worker, name, pool, "failed")
        if pool:
            made.add("failovers_total", count.moved_away, worker, pool, name)
    if report.credential_age_s is not None:
        made.add("credential_age_seconds", report.credential_age_s, worker, name)
    if report.account is not None:
        for kind, headroom in report.account.kinds.items():
            made.add("upstream_account_limit", headroom.limit, worker, name, kind)
            made.add("upstream_account_remaining", headroom.remaining, worker, name, kind)


def _ledger(made: Families, worker: str, status: Status) -> None:
    waited_s = 0.0 if status.oldest_ms is None else max(0.0, time.time() - status.oldest_ms / 1000)
    made.add("ledger_store_up", status.store_up, worker)
    made.add("ledger_spooled_rows", status.spooled_rows, worker)
    made.add("ledger_oldest_row_seconds", waited_s, worker)
    made.add("ledger_stored_rows_total", status.stored_rows, worker)
    made.add("ledger_lost_rows_total", status.lost_rows, worker)


def _limits(made: Families, left: Mapping[str, Any]) -> None:
    subject, _, name = left["subject"].partition(" ")
    for rule, limit in left["limits"].items():
        is_rate = "remaining" in limit
        remaining = limit["remaining"] if is_rate else max(limit["limit"] - limit["in_flight"], 0)
        made.add("limit_remaining", remaining, subject, name, rule)
    for period, budget in left["budgets"].items():
        made.add("budget_usd", budget["limit_micros"] / _MICROS, subject, name, period)
        made.add("budget_spent_usd", budget["spent_micros"] / _MICROS, subject, name, period)
