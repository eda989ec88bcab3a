"""One request in flight: what was received, whose it is, what it asks, where it goes, how it ended.

Nothing here has a timer of its own. An exchange records its phase and when it began: two attribute writes per chunk.
The gateway's `Deadlines` looks at all exchanges in flight and interrupts those that wait too long. An interruption
cancels the task and leaves its reason here, so that whoever awaits can tell it from a client that left.
"""

import asyncio
import dataclasses
import enum
import re
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

from proxy.access.user_agents import NOBODY, Client
from proxy.body_memory import Permit
from proxy.bounds import NO_BOUNDS, Bounds
from proxy.causes import Cause
from proxy.config import Key
from proxy.errors import ProxyError
from proxy.limits.verdict import Grant
from proxy.money.bill import Bill
from proxy.money.prices import PriceTable
from proxy.pooled import Pooled
from proxy.progress import Progress
from proxy.protocol.call import Call
from proxy.protocol.hints import Hints
from proxy.protocol.message import ApiError
from proxy.protocol.told import Told
from proxy.received import Received
from proxy.routing.router import Route

_MAX_ERROR_CHARS = 200
_MAX_RETRY_AFTER_CHARS = 40
_SECONDS = re.compile(r"[0-9]{1,9}", re.ASCII)


class Phase(enum.Enum):
    """What an exchange is waiting for."""

    NOTHING = enum.auto()
    REQUEST_BODY = enum.auto()
    QUEUE = enum.auto()
    RESPONSE_HEAD = enum.auto()
    OPENING = enum.auto()
    RESPONSE_BODY = enum.auto()
    CLIENT = enum.auto()


# Not a `msgspec.Struct`, which is as fast to make, but slower to change: each request changes 25 fields.
@dataclasses.dataclass(slots=True, eq=False)
class Exchange:
    """A request and its response, from head to last byte.

    It is a context manager for the sake of `waiting` alone.

    Attributes:
        received: the request's head.
        request_id: `request-id` of the response: the upstream's, once it has given one.
        upstream_request_id: the upstream's, when the client got another: it came too late, or with what was refused.
        client: what the client calls itself, and its version.
        is_probe: whether it asks how the gateway is, and nothing of the API.
        key: whose request it is; None until authenticated. `refused_key`: one that has expired, or is off.
        endpoint: what it asks for, in the ledger's words; empty before its key is known.
        session_id, agent_id: what Claude Code says of itself, cut. `model`: the id the client asked for, cut.
        call: the checked body; None before it was read, and again once the response head is there.
        body_permit: what the body has taken of the memory for all; None: little, or it was let go.
        route: where it goes; None until routed. `pooled`: what it did there; None: no pool has several that serve it.
        stream: whether the response is a stream; until there is one, whether the client asked for it.
        status: of the response; None until there is one, or when the client left before.
        first_byte_s: `time.monotonic()` of the response's first byte.
        bytes_in: of the request's body, as received. `bytes_out`: of the response's body, as sent.
        body_since_s: `time.monotonic()` when the body was first waited for.
        waited_s: how long it has waited for its client's body, and for its turn.
        body_bytes: of the request's body, decoded. `max_tokens`: that it asks for; None: it is no message.
        reckoned: whether somebody wants to know what it cost; else nothing that only costs depend on is read of it.
        speed, geo: that it asks for, when it is reckoned.
        progress: how far it has come with its upstream.
        sent_s: `time.monotonic()` when it was given to the upstream's connection, last.
        gateway_s: how long the gateway took until it was sent for the first time, without `waited_s`; None: it was not.
        opaque: whether the upstream's response is compressed, so that nothing of it is read.
        usage, told: as the upstream reported it, and, when reckoned, what else it says of itself; of a stream, so far.
        hints: what else the client says of it, when there is a ledger.
        grant: what it took of limits and budgets; None: of none.
        quota_lines: headers that say what its key has left, for a response that is no error; None: the upstream's do.
        queued_ms: how long it waited for its turn; None: not at all. `prices`: of its begin; None: of its end.
        bill: what it cost, once it has ended; None: nobody wants to know.
        cause: why it failed; None when it did not.
        error_type: `error.type` of the API's error that the client was told, ours or the upstream's.
        detail: the field at fault, or another word that says more than `cause`, and nothing of the request's content.
        error_message: that of the error, cut; it may quote the request.
        retry_after: as the response says, in seconds where it is a number.
        bounds: how long it may wait, as it was configured when it began.
        phase, since_s: what it waits for, and from when, as `time.monotonic()`.
        on_quiet: called when the upstream, asked or inside its response, has been silent for `timeouts.ping_after_s`,
            and after each further such silence, last at `pinged_s`; None when nobody wants to know.
        is_abandoned: tells whether the client has left; None where its leaving cancels the task.
    """

    received: Received
    request_id: str = ""
    upstream_request_id: str | None = None
    client: Client = NOBODY
    is_probe: bool = False
    key: Key | None = None
    refused_key: Key | None = None
    endpoint: str = ""
    session_id: str | None = None
    agent_id: str | None = None
    model: str | None = None
    call: Call | None = None
    body_permit: Permit | None = None
    route: Route | None = None
    pooled: Pooled | None = None
    stream: bool = False
    status: int | None = None
    first_byte_s: float | None = None
    bytes_in: int = 0
    body_since_s: float = 0.0
    waited_s: float = 0.0
    bytes_out: int = 0
    body_bytes: int = 0
    max_tokens: int | None = None
    reckoned: bool = False
    speed: str | None = None
    geo: str | None = None
    progress: Progress = Progress.UNSENT
    sent_s: float = 0.0
    gateway_s: float | None = None
    opaque: bool = False
    usage: dict[str, Any] | None = None
    told: Told | None = None
    hints: Hints | None = None
    grant: Grant | None = None
    quota_lines: bytes | None = None
    queued_ms: int | None = None
    prices: PriceTable | None = None
    bill: Bill | None = None
    cause: Cause | None = None
    error_type: str | None = None
    detail: str | None = None
    error_message: str | None = None
    retry_after: int | str | None = None
    bounds: Bounds = NO_BOUNDS
    phase: Phase = Phase.NOTHING
    since_s: float = 0.0
    on_quiet: Callable[[], None] | None = None
    pinged_s: float = 0.0
    is_abandoned: Callable[[], bool] | None = None
    _task: asyncio.Task[Any] | None = dataclasses.field(default_factory=asyncio.current_task)
    _reason: ProxyError | None = None

    def __post_init__(self) -> None:
        self.request_id = self.request_id or self.received.id

    @property
    def upstream(self) -> str:
        """The upstream's name; empty until routed."""
        return self.route.upstream if self.route is not None else ""

    def waiting(self, phase: Phase) -> "Exchange":
        """Record what is awaited inside the context.

        An interruption inside it becomes its reason, a `ProxyError`; any other cancellation, which is the client
        leaving, stays one.
        """
        self.phase = phase
        self.since_s = time.monotonic()
        return self

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.phase = Phase.NOTHING
        if isinstance(exc, asyncio.CancelledError) and (reason := self._take_reason()) is not None:
            try:
                raise reason from None
            finally:
                # The reason knows this frame: it must not know the reason, nor what it stands for.
                del reason, exc, traceback

    def sent(self) -> None:
        """Record that the request goes out to an upstream now."""
        self.progress, self.sent_s = Progress.SENT, time.monotonic()
        if self.gateway_s is None:
            self.gateway_s = self.sent_s - self.received.started_s - self.waited_s

    def response_started(self, status: int) -> None:
        """Record the response's status, and that its first byte goes out now."""
        self.status = status
        self.first_byte_s = time.monotonic()

    def let_body_go(self) -> None:
        """Forget the request's body, which nobody needs any more."""
        self.call = None
        permit, self.body_permit = self.body_permit, None
        if permit is not None:
            permit.hold(0)

    def interrupt(self, reason: ProxyError) -> None:
        """Break off what is awaited: `waiting` raises the reason there."""
        if self._reason is None and self._task is not None:
            self._reason = reason
            self._task.cancel()

    def abandon(self) -> None:
        """Cancel the task, as a server does when a client leaves that was asked to."""
        self.is_abandoned = None
        if self._task is not None:
            self._task.cancel()

    def fail(self, error: ProxyError) -> None:
        """Record why the exchange failed."""
        self.cause = error.cause
        self.error_type = error.error_type
        self.detail = error.detail
        self.error_message = error.message[:_MAX_ERROR_CHARS]
        self.retry_after = error.retry_after_s

    def failed_upstream(self, told: ApiError | None, retry_after: str | None = None) -> None:
        """Record that the client is told an error of the upstream's.

        Args:
            told: what the error says; None when it is no error of the API.
            retry_after: the header's value.
        """
        self.cause = Cause.UPSTREAM_ERROR
        if told is not None:
            self.error_type, self.detail = told.type, told.field
            self.error_message = told.message[:_MAX_ERROR_CHARS]
        if retry_after is not None:
            is_seconds = _SECONDS.fullmatch(retry_after) is not None
            self.retry_after = (
                int(retry_after) if is_seconds else retry_after[:_MAX_RETRY_AFTER_CHARS]
            )

    def _take_reason(self) -> ProxyError | None:
        """Return the reason of an interruption; None when the cancellation was none of ours, or not ours alone."""
        reason, self._reason = self._reason, None
        if reason is None or self._task is None or self._task.uncancel():
            return None
        return reason
