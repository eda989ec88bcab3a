"""Ask the upstreams of a pool, one after the other, until one gives what may be passed on to the client.

The gateway moves, the client waits: nothing here sleeps, and no upstream is asked twice for a request. What is declined
everywhere is answered with the kindest of the refusals, as it came: a stand-in's 404 never hides an overload at home.
"""

import asyncio
import functools
import logging
import re
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from proxy.aiohttp_fast import UpstreamResponse
from proxy.errors import ProxyError
from proxy.exchange import Exchange, Phase
from proxy.pooled import Attempt, Pooled
from proxy.progress import Progress
from proxy.protocol import message
from proxy.protocol.call import Call
from proxy.received import COUNT_TOKENS
from proxy.routing.router import Route
from proxy.upstreams import marks, retry_after
from proxy.upstreams import verdict as verdicts
from proxy.upstreams.affinity import session_of
from proxy.upstreams.detours import Detours
from proxy.upstreams.failures import READ_ERRORS, given_request_id, refuse_unfit, to_proxy_error
from proxy.upstreams.pools import PoolOrder
from proxy.upstreams.standing import Standing
from proxy.upstreams.verdict import Refusal, Verdict

_log = logging.getLogger(__name__)

# Sends the request by a route; returns the response's head, or raises a `ProxyError`.
Ask = Callable[[Route], Awaitable[UpstreamResponse]]

_MAX_REFUSAL_BYTES = 1 << 16
_REFUSAL_WITHIN_S = 2.0
_COSTLY_BYTES = 1 << 16
_THREAD_BYTES = 1 << 12
_PREVIOUS = re.compile(rb'"previous_message_id"[ \t\r\n]*:[ \t\r\n]*"([^"\\]{1,256})"')
_MS_PER_S = 1000
_NOTHING_TOLD = message.ApiError("", "")


class Answer(NamedTuple):
    """What is to be passed on.

    Attributes:
        route: by which it came.
        response: the upstream's.
        begun: what was read of its body.
    """

    route: Route
    response: UpstreamResponse
    begun: tuple[bytes, ...] = ()


class _Outcome(NamedTuple):
    """What came of an attempt: a success without a verdict; or a refusal to be passed on, or a failure."""

    route: Route
    answer: Answer | None = None
    error: ProxyError | None = None
    verdict: Verdict | None = None
    request_id: str | None = None
    progress: Progress = Progress.UNSENT
    is_whole: bool = True

    @property
    def what(self) -> str:
        """Return what came, in a word."""
        if self.error is not None:
            return self.error.cause
        return "" if self.answer is None else str(self.answer.response.status)


async def first_fit(
    exchange: Exchange, call: Call, ask: Ask, order: PoolOrder, standing: Standing
) -> Answer:
    """Ask the upstreams of a pool.

    Args:
        exchange: with a route that has choices; gets that of the answer.
        call: what is asked.
        ask: one of them.
        order: of the pool.
        standing: of all upstreams.

    Raises:
        ProxyError: none gives an answer, and the kindest failure is this one.
    """
    began_s = time.monotonic()
    way = _way(exchange, call, order, standing, began_s)
    pooled = exchange.pooled
    refusals: list[_Outcome] = []
    route: Route | None = way.first(began_s)
    try:
        while route is not None and pooled is not None:
            exchange.route = route
            outcome = await _attempt(exchange, pooled, route, ask)
            if outcome.verdict is None:
                return _give(exchange, outcome)
            now = time.monotonic()
            refusals.append(outcome)
            marks.note(standing, route, outcome.verdict, outcome.what, now)
            route = way.next(outcome.verdict, now) if outcome.is_whole else None
            if way.is_broke and standing.budget(order.pool.name, now).is_news(now):
                _log.warning(
                    "pool %s: its retry budget is empty, so requests that fail are not sent elsewhere: "
                    "most of its upstreams fail",
                    order.pool.name,
                )
        if pooled is not None:
            pooled.is_noted = True
        chosen = _kindest(refusals)
        refusals.remove(chosen)
        return _give(exchange, chosen)
    finally:
        for left in refusals:
            if left.answer is not None:
                left.answer.response.close()


def _way(
    exchange: Exchange, call: Call, order: PoolOrder, standing: Standing, now: float
) -> Detours:
    """Return whom to ask: the home of the request's conversation, and then the others."""
    route, pool = exchange.route, order.pool
    if route is None or exchange.key is None:
        raise RuntimeError("the route's chain finds neither key nor route")
    session, affinity = "", None
    if not order.is_fixed:
        session, affinity = session_of(exchange.key.name, exchange.session_id, call)
    choices = route.choices
    candidates = [choices[name] for name in order.of(session) if name in choices]
    home = candidates[0].upstream
    thread = call.beginning("thread", _THREAD_BYTES)
    is_thread = bool(thread) and thread != b"null"
    if is_thread and (previous := _PREVIOUS.search(thread)) is not None:
        holder = standing.holder_of(previous[1].decode("utf-8", "replace"), now)
        candidates = [choices.get(holder or home, candidates[0])]
    elif call.beginning("container", 5) not in (b"", b"null"):
        # It names an object of one account.
        candidates = candidates[:1]
    exchange.pooled = Pooled(home, affinity, is_thread, [])
    budget = standing.budget(pool.name, now)
    budget.earn()
    is_costly = functools.partial(_is_costly, pool.prefer, call)
    return Detours(candidates, order, standing.health, budget, is_costly)


def _is_costly(prefer: str, call: Call) -> bool:
    """Return whether a prompt is probably cached, and dear to be written anew elsewhere."""
    body = call.body
    return prefer == "cache" and len(body) >= _COSTLY_BYTES and body.find(b'"cache_control"') >= 0


async def _attempt(exchange: Exchange, pooled: Pooled, route: Route, ask: Ask) -> _Outcome:
    """Ask one upstream, and judge what comes of it."""
    began_s = time.monotonic()
    exchange.upstream_request_id = None
    status: int | None = None
    error: ProxyError | None = None
    outcome = _Outcome(route)
    try:
        response = await ask(route)
        status = response.status
        exchange.upstream_request_id = given_request_id(response)
        exchange.progress = Progress.BEGUN if response.is_success else Progress.REFUSED
        try:
            refuse_unfit(response, exchange)
            if response.is_success:
                outcome = _Outcome(route, Answer(route, response))
            else:
                outcome = await _refused(exchange, route, response)
        except BaseException:
            response.close()
            raise
    except ProxyError as failure:
        error = failure
        verdict = verdicts.of_failure(error.cause, counts=exchange.endpoint == COUNT_TOKENS)
        outcome = _Outcome(route, None, error, verdict)
    ms = round((time.monotonic() - began_s) * _MS_PER_S, 2)
    cause = None if error is None else error.cause
    pooled.attempts.append(Attempt(route.upstream, ms, status, cause, exchange.upstream_request_id))
    return outcome._replace(request_id=exchange.upstream_request_id, progress=exchange.progress)


async def _refused(exchange: Exchange, route: Route, response: UpstreamResponse) -> _Outcome:
    """Read a refusal, which may be overtaken, and judge it; one that is long or slow is final."""
    parts: list[bytes] = []
    is_whole = True
    error: ProxyError | None = None
    try:
        async with asyncio.timeout(_REFUSAL_WITHIN_S):
            is_whole = await _read_some(exchange, response, parts)
    except TimeoutError:
        is_whole = False
    except READ_ERRORS as broken:
        # It cannot be passed on, but its status has said that nothing was served.
        error = to_proxy_error(broken, exchange)
        response.close()
    told = message.read_error(b"".join(parts)) or _NOTHING_TOLD
    wait_s = retry_after.read(response.headers, time.time())
    counts = exchange.endpoint == COUNT_TOKENS
    verdict = verdicts.of_refusal(Refusal(response.status, wait_s, told.message, told.code, counts))
    answer = None if error is not None else Answer(route, response, tuple(parts))
    return _Outcome(route, answer, error, verdict, is_whole=is_whole)


async def _read_some(exchange: Exchange, response: UpstreamResponse, parts: list[bytes]) -> bool:
    """Read a body into `parts`, up to a bound; return whether that was all of it."""
    content = response.content
    size = 0
    while not content.at_eof() and size <= _MAX_REFUSAL_BYTES:
        with exchange.waiting(Phase.RESPONSE_BODY):
            parts.append(await content.readany())
        size += len(parts[-1])
    return content.at_eof()


def _kindest(refusals: list[_Outcome]) -> _Outcome:
    """Return the refusal that the client can do most with; of equal ones the first, the home's."""
    return min(refusals, key=lambda each: each.verdict.rank if each.verdict else (0, 0.0))


def _give(exchange: Exchange, outcome: _Outcome) -> Answer:
    """Return what is passed on, and let the exchange be that of its upstream."""
    exchange.route, exchange.progress = outcome.route, outcome.progress
    exchange.upstream_request_id = outcome.request_id
    if outcome.answer is None:
        raise outcome.error or RuntimeError("neither an answer nor a failure")
    return outcome.answer
