"""Note what came of upstreams' answers, and tell the operator when one begins to cool, and when it is back."""

import logging
import random
import time
from http import HTTPStatus

from proxy.causes import Cause
from proxy.exchange import Exchange
from proxy.notices.events import Event
from proxy.notices.notice import notice
from proxy.pooled import Pooled
from proxy.progress import Progress
from proxy.received import COUNT_TOKENS
from proxy.routing.router import Route
from proxy.upstreams import verdict as verdicts
from proxy.upstreams.health import Place
from proxy.upstreams.standing import Standing
from proxy.upstreams.verdict import Mark, Refusal, Verdict

_log = logging.getLogger(__name__)

_JITTER = (0.9, 1.1)
_SHOWN_CHARS = 100
_ADVICE = {
    "401": "it refuses the gateway's credential: look at upstreams.%s.auth",
    "402": "its account may spend no more: see to its billing",
    "account empty": "its account may spend no more: see to its billing and its spend limit",
    "403": "it does not allow this there: look at the model's access in its account",
    "404": "it does not know the model: look at upstreams.%s.model_ids",
    "429": "its limit is reached: a higher limit or one more account would help",
}
_IS_ILL = (
    "it is overloaded or ill, of which its status page may say more; it is asked again by itself"
)
_ADVICE |= dict.fromkeys(("500", "503", "529", "overloaded_error", "api_error"), _IS_ILL)
_NO_FAULT = (Mark.NOTHING, Mark.ALIVE)
_OTHER_ADVICE = "the lines of upstream %s say what failed; it is asked again by itself"


class Marks:
    """Notes what comes of requests to upstreams, when they have ended.

    Args:
        standing: of all upstreams.
    """

    def __init__(self, standing: Standing) -> None:
        self._standing = standing

    def ended(self, exchange: Exchange) -> None:
        """Note what came of the answer that was passed on."""
        if exchange.route is not None:
            ended(self._standing, exchange)


def note(standing: Standing, exchange: Exchange, verdict: Verdict, what: str, now: float) -> None:
    """Note what an answer means for the upstream that gave it, unless its name is another account's by now.

    Args:
        standing: of all upstreams.
        exchange: with the route by which it was asked.
        verdict: on its answer.
        what: came, in a word.
        now: `time.monotonic()`.
    """
    route = exchange.route
    if route is None or standing.is_older(exchange.received.started_s, route.upstream):
        return
    health, upstream, why = standing.health, route.upstream, verdict.why or what
    _count(standing, exchange, route, verdict, why, now)
    place = Place(upstream, None)
    cooling_s = 0.0
    match verdict.mark:
        case Mark.ALIVE:
            _note_alive(standing, route, now)
        case Mark.STRIKE | Mark.STRIKE_MODEL:
            if verdict.mark is Mark.STRIKE_MODEL:
                place = Place(upstream, route.upstream_model)
            jitter = random.uniform(*_JITTER)  # noqa: S311 - no secret
            cooling_s = health.strike(place, now, why, jitter)
        case Mark.COOL | Mark.COOL_MODEL:
            if verdict.mark is Mark.COOL_MODEL:
                place = Place(upstream, route.upstream_model)
            cooling_s = health.cool(place, now, why, verdict.cool_s, verdict.most_s)
    if cooling_s:
        model = "" if place.model is None else f" for {place.model[:_SHOWN_CHARS]!a}"
        advice = _ADVICE.get(why, _OTHER_ADVICE)
        level = logging.ERROR if verdict.mark is Mark.COOL else logging.WARNING
        _log.log(
            level,
            "upstream %s cools %g s%s: %s: %s",
            upstream,
            round(cooling_s, 1),
            model,
            why,
            advice % upstream if "%s" in advice else advice,
            extra=notice(Event.UPSTREAM_COOLS, upstream, model=(place.model or "")[:_SHOWN_CHARS]),
        )


def ended(standing: Standing, exchange: Exchange) -> None:
    """Note what came of the answer that was passed on, now that it has come to its end.

    A success counts at its end, not at its head: streams that begin with a 200 end in errors, too.
    """
    pooled, route = exchange.pooled, exchange.route
    if route is None or standing.is_older(exchange.received.started_s, route.upstream):
        return
    if exchange.progress is Progress.COMPLETE and (pooled is None or not pooled.is_noted):
        standing.counts.asked(route, exchange.usage, None if pooled is None else pooled.home)
        if standing.failing.runs and exchange.endpoint != COUNT_TOKENS:
            _tell_if_back(route, is_back=standing.failing.alive(route.upstream, time.monotonic()))
        if pooled is not None and (pooled.is_thread or not standing.health.is_well):
            _note_complete(standing, exchange, route, pooled)
        return
    if pooled is not None:
        standing.counts.at_home(pooled.home, route)
        if pooled.is_noted:
            return
    if (verdict := _verdict_on_end(exchange)) is not None:
        what = exchange.error_type if exchange.cause is Cause.UPSTREAM_ERROR else exchange.cause
        now = time.monotonic()
        if pooled is not None:
            note(standing, exchange, verdict, what or "error", now)
            return
        if exchange.gateway_s is not None or verdict.mark not in _NO_FAULT:
            _count(standing, exchange, route, verdict, what or "error", now)
        is_back = standing.failing.note(route.upstream, verdict, what or "error", now)
        _tell_if_back(route, is_back=is_back)


def _note_complete(standing: Standing, exchange: Exchange, route: Route, pooled: Pooled) -> None:
    now = time.monotonic()
    told = exchange.told
    if exchange.endpoint != COUNT_TOKENS:
        _note_alive(standing, route, now)
    if pooled.is_thread and told is not None and told.id is not None:
        standing.holds(told.id, route.upstream, now)


def _verdict_on_end(exchange: Exchange) -> Verdict | None:
    """Return what it means that an answer did not come to its end; None: nobody knows why."""
    counts = exchange.endpoint == COUNT_TOKENS
    status = exchange.status or 0
    if exchange.cause is not Cause.UPSTREAM_ERROR:
        return (
            None if exchange.cause is None else verdicts.of_failure(exchange.cause, counts=counts)
        )
    if status >= HTTPStatus.BAD_REQUEST:
        return verdicts.of_refusal(Refusal(status, counts=counts))
    has_begun = exchange.progress is not Progress.REFUSED
    return verdicts.of_event(exchange.error_type or "", has_begun=has_begun)


def _count(  # noqa: PLR0917 - as of `note`
    standing: Standing, exchange: Exchange, route: Route, verdict: Verdict, why: str, now: float
) -> None:
    """Count what has not come to its end."""
    standing.counts.asked(route, exchange.usage)
    if verdict.mark not in _NO_FAULT:
        standing.counts.failed(route, why, now)


def _note_alive(standing: Standing, route: Route, now: float) -> None:
    is_back = standing.health.alive(route.upstream, route.upstream_model, now)
    _tell_if_back(route, is_back=is_back)


def _tell_if_back(route: Route, *, is_back: bool) -> None:
    if is_back:
        _log.warning(
            "upstream %s is back", route.upstream, extra=notice(Event.UPSTREAM_BACK, route.upstream)
        )
