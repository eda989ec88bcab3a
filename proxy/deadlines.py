"""One clock over all requests in flight: deadlines and pings without a timer per request."""

import asyncio
import time
from collections.abc import Callable

from proxy import errors
from proxy.bounds import Bounds
from proxy.causes import Cause
from proxy.config import Timeouts
from proxy.errors import ProxyError
from proxy.exchange import Exchange, Phase
from proxy.standstill import Standstill

_LONGEST_TICK_S = 1.0
_RETRY_S = 5
_TICKS_PER_TIMEOUT = 20
# A second less than is promised: of that the clock may be late.
OPENING_S = 4.0
_UPSTREAMS_TURN = (Phase.RESPONSE_HEAD, Phase.RESPONSE_BODY)


class OpeningIsLongError(ProxyError):
    """The beginning of a stream has been held for long enough. Nobody is told: what is held goes out."""

    def __init__(self) -> None:
        super().__init__("what was held goes out")


class Deadlines:
    """Looks at every exchange in flight, several times within the shortest timeout, at least once per second.

    So a deadline is kept to within a twentieth of the shortest timeout, or a second. Costs 0.2 µs per exchange per
    sweep.

    Attributes:
        in_flight: the exchanges looked at.
        lag_s: by how much a look was late at most, since somebody took note of it.
    """

    def __init__(
        self,
        timeouts: Timeouts,
        min_body_bytes_per_s: float = 0,
        queue_s: float = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._timer: asyncio.TimerHandle | None = None
        self._emptied = asyncio.Event()
        self._emptied.set()
        self.in_flight: set[Exchange] = set()
        self.lag_s = 0.0
        self._due_s = 0.0
        self.change(timeouts, min_body_bytes_per_s, queue_s)

    def change(
        self, timeouts: Timeouts, min_body_bytes_per_s: float = 0, queue_s: float = 0
    ) -> None:
        """Have other bounds for the exchanges that begin from now on; those in flight keep theirs."""
        self._bounds = Bounds(timeouts, min_body_bytes_per_s, queue_s)
        shortest = min(
            timeouts.first_byte_s,
            timeouts.idle_s,
            timeouts.ping_after_s,
            timeouts.request_body_idle_s,
            queue_s or timeouts.idle_s,
        )
        self._tick_s = min(shortest / _TICKS_PER_TIMEOUT, _LONGEST_TICK_S)
        self._standstill = Standstill(self._tick_s)

    def begin(self, exchange: Exchange) -> None:
        """Look at an exchange from now on."""
        exchange.bounds = self._bounds
        self.in_flight.add(exchange)
        if self._timer is None:
            self._standstill.forget()
            self._arm()

    def end(self, exchange: Exchange) -> None:
        """Look at it no more."""
        self.in_flight.discard(exchange)
        if not self.in_flight:
            self._emptied.set()

    async def idle(self) -> None:
        """Wait until nothing is in flight."""
        while self.in_flight:
            self._emptied.clear()
            await self._emptied.wait()

    def interrupt_all(self) -> None:
        """End every exchange in flight, because the process is about to."""
        for exchange in self.in_flight:
            if exchange.phase is not Phase.NOTHING:
                exchange.interrupt(errors.Draining())

    def take_lag_s(self) -> float:
        """Return by how much the event loop was late at most since this was last asked."""
        lag_s, self.lag_s = self.lag_s, 0.0
        return lag_s

    def _arm(self) -> None:
        self._due_s = self._clock() + self._tick_s
        self._timer = asyncio.get_running_loop().call_later(self._tick_s, self._sweep)

    def _sweep(self) -> None:
        self._timer = None
        now = self._clock()
        self.lag_s = max(self.lag_s, now - self._due_s)
        if not self._standstill.before(now):
            self._judge(now)
        if self.in_flight:
            self._arm()

    def _judge(self, now: float) -> None:
        for exchange in self.in_flight:
            if exchange.is_abandoned is not None and exchange.is_abandoned():
                exchange.abandon()
            elif (reason := self._overdue(exchange, now)) is not None:
                exchange.interrupt(reason)
            elif exchange.on_quiet is not None and exchange.phase in _UPSTREAMS_TURN:
                quiet_since = max(exchange.since_s, exchange.pinged_s)
                if now - quiet_since >= exchange.bounds.timeouts.ping_after_s:
                    exchange.pinged_s = now
                    exchange.on_quiet()

    def _overdue(self, exchange: Exchange, now: float) -> ProxyError | None:  # noqa: PLR0911 - one a phase
        waited = now - exchange.since_s
        bounds, limits = exchange.bounds, exchange.bounds.timeouts
        match exchange.phase:
            case Phase.REQUEST_BODY if waited >= limits.request_body_idle_s:
                return errors.RequestBodyTimeout(
                    f"no byte of the request body came for {limits.request_body_idle_s:g} s"
                )
            case Phase.REQUEST_BODY if _is_too_slow(exchange, now):
                return errors.RequestBodyTimeout(
                    f"the request body came at less than {bounds.min_body_bytes_per_s:g} bytes per second"
                )
            case Phase.QUEUE if waited >= bounds.queue_s:
                return errors.LimitExceeded(
                    f"no request in flight ended within {bounds.queue_s:g} s",
                    Cause.LIMITED_IN_FLIGHT,
                    _RETRY_S,
                )
            case Phase.RESPONSE_HEAD if waited >= limits.first_byte_s:
                return errors.UpstreamTimeout(
                    f"the upstream did not answer within {limits.first_byte_s:g} s"
                )
            case Phase.OPENING if waited >= min(OPENING_S, limits.ping_after_s) < limits.idle_s:
                return OpeningIsLongError()
            case Phase.RESPONSE_BODY | Phase.OPENING if waited >= limits.idle_s:
                return errors.UpstreamTimeout(
                    f"the upstream was silent for {limits.idle_s:g} s inside its answer"
                )
            case Phase.CLIENT if waited >= limits.idle_s:
                return errors.ClientStalled(f"the client read nothing for {limits.idle_s:g} s")
        return None


def _is_too_slow(exchange: Exchange, now: float) -> bool:
    """Return whether a body comes too slowly: a byte now and then would hold it, and its memory, for ever."""
    bounds = exchange.bounds
    if not bounds.min_body_bytes_per_s:
        return False
    granted_s = (
        bounds.timeouts.request_body_idle_s + exchange.bytes_in / bounds.min_body_bytes_per_s
    )
    return now - exchange.body_since_s >= granted_s
