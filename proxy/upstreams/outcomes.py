"""What comes of asking one upstream: an answer that may be passed on, a refusal, or a failure; and the verdict."""

import asyncio
import time
from typing import Any, NamedTuple

from proxy.aiohttp_fast import UpstreamResponse
from proxy.errors import ProxyError, let_go
from proxy.exchange import Exchange, Phase
from proxy.progress import Progress
from proxy.protocol import message
from proxy.protocol.told import Told
from proxy.received import COUNT_TOKENS
from proxy.routing.router import Route
from proxy.upstreams import retry_after
from proxy.upstreams import verdict as verdicts
from proxy.upstreams.failures import READ_ERRORS, to_proxy_error
from proxy.upstreams.opening import Opening
from proxy.upstreams.verdict import Move, Refusal, Verdict

_MAX_REFUSAL_BYTES = 1 << 16
_REFUSAL_WITHIN_S = 2.0
_NOTHING_TOLD = message.ApiError("", "")


class Answer(NamedTuple):
    """What is to be passed on.

    Attributes:
        route: by which it came.
        response: the upstream's.
        begun: what was read of its body. `opening`: of its stream, when it is one and was held.
    """

    route: Route
    response: UpstreamResponse
    begun: tuple[bytes, ...] = ()
    opening: Opening | None = None


class Outcome(NamedTuple):
    """What came of an attempt that is no success, and what the exchange then knew of it.

    Attributes:
        route: by which it was asked.
        answer: what can be passed on; None: there is an `error`.
        verdict: on the refusal or the failure.
        is_whole: whether all of a refusal was read: only then it may be overtaken.
    """

    route: Route
    answer: Answer | None
    error: ProxyError | None
    verdict: Verdict
    is_whole: bool = True
    request_id: str | None = None
    progress: Progress = Progress.UNSENT
    usage: dict[str, Any] | None = None
    told: Told | None = None

    @property
    def what(self) -> str:
        """Return what came, in a word."""
        if self.error is not None:
            return self.error.cause
        return "" if self.answer is None else str(self.answer.response.status)

    def known_to(self, exchange: Exchange) -> "Outcome":
        """Return the outcome with what an exchange knows of it now."""
        return self._replace(
            request_id=exchange.upstream_request_id,
            progress=exchange.progress,
            usage=exchange.usage,
            told=exchange.told,
        )

    def given_to(self, exchange: Exchange) -> Answer:
        """Return what is passed on, and let an exchange be that of its upstream.

        Raises:
            ProxyError: it is a failure.
        """
        exchange.route, exchange.progress = self.route, self.progress
        exchange.upstream_request_id = self.request_id
        exchange.usage, exchange.told = self.usage, self.told
        if self.answer is None:
            raise self.error or RuntimeError("neither an answer nor a failure")
        exchange.stream = exchange.stream or self.answer.opening is not None
        return self.answer


def of_opening(route: Route, response: UpstreamResponse, opening: Opening) -> Answer | Outcome:
    """Return what comes of a stream that was held: declined when its first real event is an error that says so."""
    answer = Answer(route, response, (), opening)
    if (error_type := opening.declined_by) is not None:
        verdict = verdicts.of_event(error_type, has_begun=False)
        if verdict.move is Move.ALWAYS:
            return Outcome(route, answer, None, verdict._replace(why=error_type))
    return answer


async def of_refusal(exchange: Exchange, route: Route, response: UpstreamResponse) -> Outcome:
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
        let_go(broken)  # its frames hold the request, and the next one is asked for that
    told = message.read_error(b"".join(parts)) or _NOTHING_TOLD
    wait_s = retry_after.read(response.headers, time.time())
    counts = exchange.endpoint == COUNT_TOKENS
    verdict = verdicts.of_refusal(Refusal(response.status, wait_s, told.message, told.code, counts))
    answer = None if error is not None else Answer(route, response, tuple(parts))
    return Outcome(route, answer, error, verdict, is_whole)


async def _read_some(exchange: Exchange, response: UpstreamResponse, parts: list[bytes]) -> bool:
    """Read a body into `parts`, up to a bound; return whether that was all of it."""
    content = response.content
    size = 0
    while not content.at_eof() and size <= _MAX_REFUSAL_BYTES:
        with exchange.waiting(Phase.RESPONSE_BODY):
            parts.append(await content.readany())
        size += len(parts[-1])
    return content.at_eof()


def kindest(refusals: list[Outcome]) -> Outcome:
    """Return the refusal that the client can do most with; of equal ones the first, the home's."""
    return min(refusals, key=lambda each: each.verdict.rank)
