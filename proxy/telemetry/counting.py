"""The observer that counts: a few integers per request, and nothing per event of a stream."""

import time
from bisect import bisect_left

from proxy.exchange import Exchange
from proxy.money.bill import Bill, UsageSource
from proxy.money.prices import UNKNOWN
from proxy.progress import Progress
from proxy.routing.router import Route
from proxy.telemetry.series import (
    AT_UPSTREAM,
    FIRST_BYTE_S,
    GATEWAY_S,
    OTHER,
    OUTCOME_OF,
    PROBE,
    REQUEST_S,
    SOURCES,
)
from proxy.telemetry.tally import OfKey, OfModel, Tally

_UNPRICED = f"{UNKNOWN}@"
_SOURCE_OF = {name: place for place, name in enumerate(SOURCES)}
# Looked up once: of an enumeration's class each look-up is a call.
_UNBILLED, _COMPLETE, _BEGUN = UsageSource.NONE, Progress.COMPLETE, Progress.BEGUN
# Clients choose ids under a wildcard: what is kept by them is bounded.
_MAX_ROUTES, _MAX_ROUTE_CHARS = 1000, 200


class Counting:
    """Counts each exchange when it has ended.

    Attributes:
        tally: the counts.
        started_at: when it began, in Unix seconds.
    """

    def __init__(self) -> None:
        self.started_at = time.time()
        self.tally = Tally()
        # What is found here needs no look at names.
        self._kinds: dict[tuple[str | bool, int | None, str | None], list[int]] = {}
        self._keys: dict[str, OfKey] = {}
        self._models: dict[Route, OfModel] = {}

    def forget(self) -> None:
        """Look each model's name up anew: another configuration may have other ids and prices."""
        self._models.clear()

    def ended(self, exchange: Exchange) -> None:
        """Count an exchange."""
        status, cause = exchange.status, exchange.cause
        kind = (exchange.endpoint or exchange.is_probe, status, cause)
        try:
            self._kinds[kind][0] += 1
        except KeyError:
            self._kind(*kind)[0] += 1
        key, route = exchange.key or exchange.refused_key, exchange.route
        if key is None:
            return
        try:
            of_key = self._keys[key.name]
        except KeyError:
            of_key = self._key(key.name)
        of_key.outcomes[OUTCOME_OF[cause]] += 1
        if route is not None and (exchange.gateway_s is not None or cause in AT_UPSTREAM):
            of_model = self._models.get(route) or self._model(route, exchange)
            self._time(exchange, of_model)
            # Nothing costs anything that was not sent.
            bill = exchange.bill
            if bill is not None and bill.usage_source is not _UNBILLED:
                self._charge(bill, of_key, of_model)
        if exchange.grant is not None and (would := exchange.grant.would) is not None:
            self.tally.watched.at(would.rule)[0][0] += 1

    def _time(self, exchange: Exchange, of_model: OfModel) -> None:
        """Count how long a request took that an upstream was asked."""
        started_s, first_byte_s = exchange.received.started_s, exchange.first_byte_s
        gateway_s = exchange.gateway_s
        # Not by a method: three calls took a fifth of the whole time.
        took_s, times = time.monotonic() - started_s, of_model.request
        times.counts[bisect_left(REQUEST_S, took_s)] += 1
        times.sum_s += took_s
        progress = exchange.progress
        if first_byte_s is not None and (progress is _COMPLETE or progress is _BEGUN):
            took_s, times = first_byte_s - started_s, of_model.first_byte
            times.counts[bisect_left(FIRST_BYTE_S, took_s)] += 1
            times.sum_s += took_s
        if gateway_s is not None:
            times = self.tally.gateway
            times.counts[bisect_left(GATEWAY_S, gateway_s)] += 1
            times.sum_s += gateway_s

    def _charge(self, bill: Bill, of_key: OfKey, of_model: OfModel) -> None:
        of_key.micros[_SOURCE_OF[bill.usage_source]] += bill.cost_micros
        of_model.micros += bill.cost_micros
        by_key, by_model = of_key.tokens, of_model.tokens
        # By hand: a loop over lists takes twice as long.
        sums = bill.sums
        fresh, output, read = sums.input_tokens, sums.output_tokens, sums.cache_read_tokens
        write_5m, write_1h = sums.cache_write_5m_tokens, sums.cache_write_1h_tokens
        if fresh:
            by_key.input += fresh
            by_model.input += fresh
        if output:
            by_key.output += output
            by_model.output += output
        if write_5m:
            by_key.cache_write_5m += write_5m
            by_model.cache_write_5m += write_5m
        if write_1h:
            by_key.cache_write_1h += write_1h
            by_model.cache_write_1h += write_1h
        if read:
            by_key.cache_read += read
            by_model.cache_read += read
        if bill.price is not None and _UNPRICED in bill.price:
            self.tally.unpriced += 1

    def _kind(self, endpoint: str | bool, status: int | None, cause: str | None) -> list[int]:  # noqa: FBT001 - as it is looked up
        name = endpoint if isinstance(endpoint, str) else PROBE if endpoint else OTHER
        count, is_own = self.tally.kind(name, status, cause)
        if is_own:
            self._kinds[endpoint, status, cause] = count
        return count

    def _key(self, name: str) -> OfKey:
        of_key, is_own = self.tally.keys.at(name)
        if is_own:
            self._keys[name] = of_key
        return of_key

    def _model(self, route: Route, exchange: Exchange) -> OfModel:
        price = None if exchange.prices is None else exchange.prices.find(None, route.native)
        if price is not None and price.id != UNKNOWN:
            name = price.id
        else:
            name = OTHER if route.model.id.endswith("*") else route.model.id
        of_model, is_own = self.tally.models.at(name, route.upstream)
        if is_own and len(route.canonical) <= _MAX_ROUTE_CHARS:
            if len(self._models) >= _MAX_ROUTES:
                self._models.clear()
            self._models[route] = of_model
        return of_model
