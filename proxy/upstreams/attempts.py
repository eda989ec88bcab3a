"""Ask the upstreams of a pool, one after the other, until one gives what may be passed on to the client.

The gateway moves, the client waits: nothing here sleeps, and no upstream is asked twice for a request. What is declined
everywhere is answered with the kindest of the refusals, as it came: a stand-in's 404 never hides an overload at home.
"""

import functools
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import NamedTuple

from proxy.aiohttp_fast import UpstreamResponse
from proxy.errors import ProxyError, let_go
from proxy.exchange import Exchange
from proxy.notices.events import Event
from proxy.notices.notice import notice
from proxy.pooled import Attempt
from proxy.progress import Progress
from proxy.protocol.call import Call
from proxy.protocol.message import Echo
from proxy.received import COUNT_TOKENS
from proxy.routing.router import Route
from proxy.upstreams import marks, outcomes
from proxy.upstreams import verdict as verdicts
from proxy.upstreams.budget import RetryBudget
from proxy.upstreams.detours import Detours
from proxy.upstreams.failures import refuse_unfit
from proxy.upstreams.opening import hold
from proxy.upstreams.outcomes import Answer, Outcome
from proxy.upstreams.pools import PoolOrder
from proxy.upstreams.responses import given_request_id, is_encoded, is_stream
from proxy.upstreams.standing import Standing

_log = logging.getLogger(__name__)

# Sends the request by a route; returns the response's head, or raises a `ProxyError`.
Ask = Callable[[Route], Awaitable[UpstreamResponse]]

_COSTLY_BYTES = 1 << 16
_MS_PER_S = 1000


# What came of an upstream, as far as that is known.
_Found = UpstreamResponse | ProxyError | Outcome


class First(NamedTuple):
    """What came of the first that was asked, and when it was asked."""

    found: _Found
    began_s: float


async def first_fit(  # noqa: PLR0917 - one for each thing that takes part
    exchange: Exchange,
    call: Call,
    ask: Ask,
    candidates: Sequence[Route],
    order: PoolOrder,
    standing: Standing,
    asked: str | None,
    first: First | None,
) -> Answer:
    """Ask the upstreams of a pool until there is an answer to pass on; the exchange's route then is that of the answer.

    Args:
        exchange: of the request.
        call: what is asked.
        ask: one of them.
        candidates: who can serve it, its home first.
        order: of the pool.
        standing: of all upstreams.
        asked: the model that answers are to name; None: they stay as they are.
        first: what came of the home, when that has been asked already.

    Raises:
        ProxyError: there is none, and the kindest failure is this one.
    """
    now, asks_stream = time.monotonic(), exchange.stream
    budget = standing.budget(order.pool.name, now)
    if first is not None and isinstance(first.found, UpstreamResponse) and is_stream(first.found):
        can_move = len(candidates) > 1 and order.pool.attempts > 1 and budget.has_one(now)
        if can_move and not is_encoded(first.found):
            begun = await _begun(exchange, candidates[0], first.found, asked)
            if isinstance(begun, Answer):
                return begun
            first = First(begun, first.began_s)
    is_costly = functools.partial(_is_costly, order.pool.prefer, call)
    way = Detours(candidates, order, standing.health, budget, is_costly)
    attempts = _Attempts(exchange, ask, way, asked, asks_stream=asks_stream)
    try:
        return await attempts.run(standing, budget, first)
    finally:
        attempts.close()


async def _begun(
    exchange: Exchange, route: Route, response: UpstreamResponse, asked: str | None
) -> Answer | Outcome | ProxyError:
    """Return what a stream of the home is once it has begun, where all are well and another one could be asked."""
    exchange.upstream_request_id = given_request_id(response)
    exchange.progress = Progress.BEGUN
    echo = None if asked is None else Echo(route.upstream_model, asked)
    try:
        opening = await hold(exchange, response, echo, until_content=True)
    except ProxyError as error:
        response.close()
        return error
    except BaseException:
        response.close()
        raise
    return outcomes.of_opening(route, response, opening)


class _Attempts:
    """The attempts of one request.

    Args:
        exchange: with a route that has choices.
        ask: one of them.
        way: through them.
        asked: the model that answers are to name; None: they stay as they are.
        asks_stream: whether the client asked for a stream.
    """

    def __init__(
        self, exchange: Exchange, ask: Ask, way: Detours, asked: str | None, *, asks_stream: bool
    ) -> None:
        self._exchange = exchange
        self._asks_stream = asks_stream
        self._ask = ask
        self._way = way
        self._asked = asked
        self._refusals: list[Outcome] = []

    async def run(
        self,
        standing: Standing,
        budget: RetryBudget,
        first: First | None,
    ) -> Answer:
        """Ask until there is an answer; `first` came of the home, if that has been asked."""
        way, exchange, refusals = self._way, self._exchange, self._refusals
        began_s = time.monotonic() if first is None else first.began_s
        route: Route | None = way.first(began_s) if first is None else way.home_first()
        found = None if first is None else first.found
        while route is not None:
            outcome = await self._attempt(route, found, began_s)
            if isinstance(outcome, Answer):
                return outcome
            found, began_s = None, time.monotonic()
            refusals.append(outcome)
            marks.note(standing, exchange, outcome.verdict, outcome.what, began_s)
            if outcome.answer is not None:
                told = outcome.answer.response.headers
                standing.counts.told(outcome.route.upstream, told, began_s)
            route = way.next(outcome.verdict, began_s) if outcome.is_whole else None
            if way.is_broke and budget.miss(began_s):
                _log.warning(
                    "pool %s: its retry budget is empty: what fails is not sent elsewhere, as most of its upstreams do",
                    outcome.route.pool,
                    extra=notice(Event.POOL_OUT_OF_RETRIES, outcome.route.pool or ""),
                )
        if exchange.pooled is not None:
            exchange.pooled.is_noted = True
        chosen = outcomes.kindest(refusals)
        refusals.remove(chosen)
        return chosen.given_to(exchange)

    def close(self) -> None:
        """Close what is not passed on."""
        for left in self._refusals:
            if left.answer is not None:
                left.answer.response.close()

    async def _attempt(
        self, route: Route, first: _Found | None, began_s: float
    ) -> Answer | Outcome:
        """Ask one upstream, unless it has been; return what can be passed on, or what else came, with a verdict."""
        exchange = self._exchange
        exchange.route = route
        if self._refusals:
            # Of the one before, which has been recorded.
            exchange.upstream_request_id = exchange.usage = exchange.told = None
            exchange.progress, exchange.stream = Progress.UNSENT, self._asks_stream
        status: int | None = None
        if isinstance(first, Outcome):
            return self._recorded(route, first, HTTPStatus.OK, time.monotonic() - began_s)
        try:
            if isinstance(first, ProxyError):
                raise first
            response = await self._ask(route) if first is None else first
            status = response.status
            exchange.upstream_request_id = given_request_id(response)
            exchange.progress = Progress.BEGUN if response.is_success else Progress.REFUSED
            try:
                refuse_unfit(response, exchange)
                found = await self._judge(route, response)
            except BaseException:
                response.close()
                raise
        except ProxyError as error:
            # It is kept while others are asked, and must not keep the request's body.
            let_go(error)
            verdict = verdicts.of_failure(error.cause, counts=exchange.endpoint == COUNT_TOKENS)
            found = Outcome(route, None, error, verdict)
        if isinstance(found, Outcome) or self._refusals:
            found = self._recorded(route, found, status, time.monotonic() - began_s)
        return found

    def _recorded(
        self, route: Route, found: Answer | Outcome, status: int | None, took_s: float
    ) -> Answer | Outcome:
        """Return what came of an attempt with what the exchange knows of it, and record it for the log."""
        attempt = Attempt(route.upstream, round(took_s * _MS_PER_S, 2), status)
        attempt.request_id = self._exchange.upstream_request_id
        if isinstance(found, Outcome):
            found = found.known_to(self._exchange)
            attempt.cause = None if found.error is None else found.error.cause
            attempt.cause = attempt.cause or found.verdict.why or None
            attempt.usage = found.usage or None
        else:
            attempt.request_id = given_request_id(found.response)
        if self._exchange.pooled is not None:
            self._exchange.pooled.attempts.append(attempt)
        return found

    async def _judge(self, route: Route, response: UpstreamResponse) -> Answer | Outcome:
        """Return what a response is; of a stream that could still be moved once its beginning is there."""
        if not response.is_success:
            return await outcomes.of_refusal(self._exchange, route, response)
        is_readable = is_stream(response) and not is_encoded(response)
        # Also the last one is held when there is something kinder to say than its error.
        if not is_readable or not (self._refusals or self._way.can_move(time.monotonic())):
            return Answer(route, response)
        echo = None if self._asked is None else Echo(route.upstream_model, self._asked)
        opening = await hold(self._exchange, response, echo, until_content=True)
        return outcomes.of_opening(route, response, opening)


def _is_costly(prefer: str, call: Call) -> bool:
    """Return whether a prompt is probably cached, and dear to be written anew elsewhere."""
    body = call.body
    return prefer == "cache" and len(body) >= _COSTLY_BYTES and body.find(b'"cache_control"') >= 0
