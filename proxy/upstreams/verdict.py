"""What an answer of an upstream, or its absence, means: may another be asked, how is this one, what is the client told.

The principle: a request is sent to another upstream when the first one declined it, or never got it. What may have been
served, and billed, is never sent twice: a cut, a reset, silence, and whatever a server in between answers.

| what came | another one | this upstream |
|---|---|---|
| it could not be reached | yes | a strike |
| 401 | yes | cools 60 s, doubled up to 600 |
| 402; 400 or 429 that says that the account is empty or capped | yes | cools 600 s |
| 403 | yes | a strike of the model |
| 404 | yes, at another base URL | a strike of the model |
| 429 with `retry-after` | yes; from a warm cache only when that is over 5 s | the model cools so long, 300 s at most |
| 429 without | yes | the model cools 5 s, doubled up to 60 |
| 529, 503, 500 | yes; from a warm cache only once it cools | a strike of the model |
| a stream whose first real event is an `error` of overload, API or rate limit | yes | a strike of the model |
| any other `error` event | no | a strike of the model, of overload and API |
| 408, 502, 504, any other 5xx; a cut, silence; a redirect; no HTTP | no | a strike |
| count_tokens: 404, 405, 501 | yes | nothing, as all of count_tokens |
| any other 4xx | no | it is alive |

Three strikes in a row and it cools (`health.py`). Pure.
"""

import enum
import re
from typing import NamedTuple

from proxy.causes import Cause

_MAX_COOLING_S = 300.0
_EMPTY_COOLING_S = 600.0
_REFUSED_COOLING_S, _LONGEST_REFUSED_S = 60.0, 600.0
_LIMITED_COOLING_S, _LONGEST_LIMITED_S = 5.0, 60.0
# What a client waits for anyway, rather than to have its cache written anew.
SHORT_WAIT_S = 5.0
_CLIENT_ERRORS = range(400, 500)
_NOT_COUNTING = (404, 405, 501)
_MAY_BE_EMPTY = (400, 429)
_TOO_MANY, _OVERLOADED = 429, 529

# How the API says it, at the beginning of the message: further back a client's own text may be quoted.
_ACCOUNT_IS_EMPTY = re.compile(
    r"(Your credit balance is too low"
    r"|You have reached your specified (workspace )?API usage limits"
    r"|(You have|Your organization has|This organization has) (reached|exceeded) (your|its|the) "
    r"([a-z]+ )?(usage|spend|spending) limit)",
    re.IGNORECASE,
)
_SPEND_LIMIT = "enforced_spend_limit_reached"
_DECLINING_EVENTS = ("overloaded_error", "api_error", "rate_limit_error")
_FAILING_EVENTS = ("overloaded_error", "api_error")


class Move(enum.Enum):
    """Whether another member may be asked."""

    NEVER = enum.auto()
    ALWAYS = enum.auto()
    ELSEWHERE = enum.auto()
    """At another base URL."""
    UNLESS_COSTLY = enum.auto()
    """Unless that costs more than to wait."""
    UNLESS_COSTLY_OR_COOLING = enum.auto()
    """The same, until the upstream cools."""


class Mark(enum.Enum):
    """What is noted of the upstream."""

    NOTHING = enum.auto()
    ALIVE = enum.auto()
    STRIKE = enum.auto()
    STRIKE_MODEL = enum.auto()
    COOL = enum.auto()
    COOL_MODEL = enum.auto()


class Verdict(NamedTuple):
    """What is to be done.

    Attributes:
        move: whether another member may be asked.
        mark: what is noted. `cool_s`, `most_s`: how long it cools, and up to what that doubles; 0: it does not double.
        rank: among several answers the lowest is the kindest to the client.
        why: in a word, for the operator; empty: the status or the cause says it.
    """

    move: Move
    mark: Mark
    rank: tuple[int, float]
    cool_s: float = 0.0
    most_s: float = 0.0
    why: str = ""


class Refusal(NamedTuple):
    """An answer that is no success.

    Attributes:
        status: of its head.
        retry_after_s: as it says; None: it does not, or nothing that can be read.
        message, code: of the API's error in its body; empty: there is none.
        counts: whether tokens were to be counted.
    """

    status: int
    retry_after_s: float | None = None
    message: str = ""
    code: str = ""
    counts: bool = False


_LAST = (3, 0.0)
_BROKEN = (2, 0.0)
_LATER = (1, 0.0)
# The client left, the process ends, or the request cannot be sent: no other answer counts.
_GONE = Verdict(Move.NEVER, Mark.NOTHING, (-1, 0.0))
_MAY_BE_SERVED = Verdict(Move.NEVER, Mark.STRIKE, _BROKEN)
_DECLINED = Verdict(Move.UNLESS_COSTLY_OR_COOLING, Mark.STRIKE_MODEL, _LATER)
_EMPTY = Verdict(Move.ALWAYS, Mark.COOL, _LAST, _EMPTY_COOLING_S, why="account empty")
_CLIENTS_FAULT = Verdict(Move.NEVER, Mark.ALIVE, _LAST)
_BY_STATUS = {
    402: _EMPTY,
    403: Verdict(Move.ALWAYS, Mark.STRIKE_MODEL, _LAST),
    404: Verdict(Move.ELSEWHERE, Mark.STRIKE_MODEL, _LAST),
    408: _MAY_BE_SERVED,
    429: Verdict(Move.ALWAYS, Mark.COOL_MODEL, _LATER, _LIMITED_COOLING_S, _LONGEST_LIMITED_S),
    500: _DECLINED,
    503: _DECLINED,
    529: _DECLINED,
}
_BY_CAUSE = {
    Cause.UPSTREAM_UNREACHABLE: Verdict(Move.ALWAYS, Mark.STRIKE, _BROKEN),
    Cause.UPSTREAM_AUTH: Verdict(
        Move.ALWAYS, Mark.COOL, _LAST, _REFUSED_COOLING_S, _LONGEST_REFUSED_S, "401"
    ),
    Cause.UPSTREAM_CUT: _MAY_BE_SERVED,
    Cause.UPSTREAM_FAILED: _MAY_BE_SERVED,
    Cause.UPSTREAM_GARBAGE: _MAY_BE_SERVED,
    Cause.UPSTREAM_REDIRECT: _MAY_BE_SERVED,
    Cause.UPSTREAM_TIMEOUT: _MAY_BE_SERVED,
}


def of_failure(cause: Cause, *, counts: bool = False) -> Verdict:
    """Return what it means that there is no answer that could be passed on.

    Args:
        cause: why; what is no fault of the upstream's, as a client that left, means nothing.
        counts: whether tokens were to be counted.
    """
    return _of_count(_BY_CAUSE.get(cause, _GONE), counts=counts)


def of_refusal(refusal: Refusal) -> Verdict:
    """Return what an answer means that is no success."""
    if refusal.counts and refusal.status in _NOT_COUNTING:
        return Verdict(Move.ALWAYS, Mark.NOTHING, _LAST)
    return _of_count(_of_status(refusal), counts=refusal.counts)


def _of_status(refusal: Refusal) -> Verdict:
    status, wait_s = refusal.status, refusal.retry_after_s
    if status in _MAY_BE_EMPTY and is_empty(refusal):
        return _EMPTY
    if status == _TOO_MANY and wait_s is not None:
        move = Move.UNLESS_COSTLY if wait_s <= SHORT_WAIT_S else Move.ALWAYS
        return Verdict(move, Mark.COOL_MODEL, (0, wait_s), min(wait_s, _MAX_COOLING_S))
    if status == _OVERLOADED and wait_s is not None:
        return _DECLINED._replace(rank=(0, wait_s))
    default = _CLIENTS_FAULT if status in _CLIENT_ERRORS else _MAY_BE_SERVED
    return _BY_STATUS.get(status, default)


def is_empty(refusal: Refusal) -> bool:
    """Return whether an error says that the account may spend no more."""
    return refusal.code == _SPEND_LIMIT or _ACCOUNT_IS_EMPTY.match(refusal.message) is not None


def of_event(error_type: str, *, has_begun: bool) -> Verdict:
    """Return what an `error` event means.

    Args:
        error_type: that it tells; empty: none.
        has_begun: whether content came before it.
    """
    mark = Mark.STRIKE_MODEL if error_type in _FAILING_EVENTS else Mark.NOTHING
    if has_begun or error_type not in _DECLINING_EVENTS:
        return Verdict(Move.NEVER, mark, _LATER)
    return Verdict(Move.ALWAYS, Mark.STRIKE_MODEL, _LATER)


def _of_count(verdict: Verdict, *, counts: bool) -> Verdict:
    return verdict._replace(mark=Mark.NOTHING) if counts else verdict
