"""Ask the upstreams of a pool, one after the other, until one gives what may be passed on to the client.

The gateway moves, the client waits: nothing here sleeps, and no upstream is asked twice for a request. What is declined
everywhere is answered with the kindest of the refusals, as it came: a stand-in's 404 never hides an overload at home.
"""

import functools
import logging
import re
import time
from collections.abc import Awaitable, Callable

from proxy.aiohttp_fast import UpstreamResponse
from proxy.errors import ProxyError
from proxy.exchange import Exchange
from proxy.pooled import Attempt, Pooled
from proxy.progress import Progress
from proxy.protocol.call import Call
from proxy.protocol.message import Echo
from proxy.received import COUNT_TOKENS
from proxy.routing.router import Route
from proxy.upstreams import marks, outcomes
from proxy.upstreams import verdict as verdicts
from proxy.upstreams.affinity import session_of
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
_THREAD_BYTES = 1 << 12
_PREVIOUS = re.compile(rb'"previous_message_id"[ \t\r\n]*:[ \t\r\n]*"([^"\\]{1,256})"')
_MS_PER_S = 1000


class Attempts:
    """The attempts of one request.

    Args:
        exchange: with a route that has choices.
        call: what is asked.
        ask: one of them.
        order: of the pool.
        standing: of all upstreams.
        asked: the model that answers are to name; None: they stay as they are.
    """

    def __init__(  # noqa: PLR0917 - one for each thing that takes part
        self,
        exchange: Exchange,
        call: Call,
        ask: Ask,
        order: PoolOrder,
        standing: Standing,
        asked: str | None,
    ) -> None:
        self._exchange = exchange
        self._ask = ask
        self._pool = order.pool.name
        self._standing = standing
        self._asked = asked
        now = time.monotonic()
        self._budget = standing.budget(self._pool, now)
        self._budget.earn()
        candidates, self._pooled = _candidates(exchange, call, order, standing, now)
        exchange.pooled = self._pooled
        is_costly = functools.partial(_is_costly, order.pool.prefer, call)
        self._refusals: list[Outcome] = []
        self._way = Detours(candidates, order, standing.health, self._budget, is_costly)

    async def first_fit(self) -> Answer:
        """Ask until there is an answer to pass on; the exchange's route then is that of the answer.

        Raises:
            ProxyError: there is none, and the kindest failure is this one.
        """
        way, exchange, refusals = self._way, self._exchange, self._refusals
        route: Route | None = way.first(time.monotonic())
        try:
            while route is not None:
                outcome = await self._attempt(route)
                if outcome.verdict is None:
                    return outcome.given_to(exchange)
                now = time.monotonic()
                refusals.append(outcome)
                marks.note(self._standing, route, outcome.verdict, outcome.what, now)
                route = way.next(outcome.verdict, now) if outcome.is_whole else None
                if way.is_broke and self._budget.is_news(now):
                    _log.warning(
                        "pool %s: its retry budget is empty, so requests that fail are not sent elsewhere: "
                        "most of its upstreams fail",
                        self._pool,
                    )
            self._pooled.is_noted = True
            chosen = outcomes.kindest(refusals)
            refusals.remove(chosen)
            return chosen.given_to(exchange)
        finally:
            for left in refusals:
                if left.answer is not None:
                    left.answer.response.close()

    async def _attempt(self, route: Route) -> Outcome:
        """Ask one upstream, and judge what comes of it."""
        exchange, began_s = self._exchange, time.monotonic()
        exchange.route, exchange.upstream_request_id = route, None
        exchange.usage = exchange.told = None
        status: int | None = None
        error: ProxyError | None = None
        try:
            response = await self._ask(route)
            status = response.status
            exchange.upstream_request_id = given_request_id(response)
            exchange.progress = Progress.BEGUN if response.is_success else Progress.REFUSED
            try:
                refuse_unfit(response, exchange)
                outcome = await self._judge(route, response)
            except BaseException:
                response.close()
                raise
        except ProxyError as failure:
            error = failure
            verdict = verdicts.of_failure(error.cause, counts=exchange.endpoint == COUNT_TOKENS)
            outcome = Outcome(route, None, error, verdict)
        outcome = outcome.known_to(exchange)
        attempt = Attempt(
            route.upstream, round((time.monotonic() - began_s) * _MS_PER_S, 2), status
        )
        attempt.cause = None if error is None else error.cause
        attempt.request_id = outcome.request_id
        if outcome.verdict is not None:
            attempt.cause = attempt.cause or outcome.verdict.why or None
            attempt.usage = outcome.usage or None
        self._pooled.attempts.append(attempt)
        return outcome

    async def _judge(self, route: Route, response: UpstreamResponse) -> Outcome:
        """Return what a response is; of a stream that could still be moved once its beginning is there."""
        if not response.is_success:
            return await outcomes.of_refusal(self._exchange, route, response)
        is_readable = is_stream(response) and not is_encoded(response)
        # Also the last one is held when there is something kinder to say than its error.
        if not is_readable or not (self._refusals or self._way.can_move(time.monotonic())):
            return Outcome(route, Answer(route, response))
        echo = None if self._asked is None else Echo(route.upstream_model, self._asked)
        opening = await hold(self._exchange, response, echo, until_content=True)
        return outcomes.of_opening(route, response, opening)


def _candidates(
    exchange: Exchange, call: Call, order: PoolOrder, standing: Standing, now: float
) -> tuple[list[Route], Pooled]:
    """Return the members that can serve a request, the home of its conversation first."""
    route = exchange.route
    if route is None or exchange.key is None:
        raise RuntimeError("the route's chain finds neither key nor route")
    session, affinity = "", None
    if not order.is_fixed:
        session, affinity = session_of(exchange.key.name, exchange.session_id, call)
    choices = route.choices
    candidates = [choices[name] for name in order.of(session) if name in choices]
    home = candidates[0].upstream
    thread = call.beginning("thread", _THREAD_BYTES)
    is_thread = thread not in (b"", b"null")
    # Its answer's id is told with what only costs depend on.
    exchange.reckoned |= is_thread
    if is_thread and (previous := _PREVIOUS.search(thread)) is not None:
        holder = standing.holder_of(previous[1].decode("utf-8", "replace"), now)
        candidates = [choices.get(holder or home, candidates[0])]
    elif call.beginning("container", 5) not in (b"", b"null"):
        # It names an object of one account.
        candidates = candidates[:1]
    return candidates, Pooled(home, affinity, is_thread, [])


def _is_costly(prefer: str, call: Call) -> bool:
    """Return whether a prompt is probably cached, and dear to be written anew elsewhere."""
    body = call.body
    return prefer == "cache" and len(body) >= _COSTLY_BYTES and body.find(b'"cache_control"') >= 0
