"""The words and bounds by which requests are counted: for the worker that counts, and for whoever shows it. Pure."""

from proxy.causes import Cause
from proxy.ledger.row import BROKEN_BY_UPSTREAM, BROKEN_BY_US, CLIENT_LEFT

OTHER = "other"
PROBE = "probe"
NO_STATUS = "none"

OUTCOMES = ("ok", "limited", "refused", "failed", "left")
TOKEN_KINDS = ("input", "output", "cache_read", "cache_write_5m", "cache_write_1h")
SOURCES = ("reported", "partial", "estimated")
# Upper bounds of buckets; behind the last one is one more, without.
REQUEST_S = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0)
FIRST_BYTE_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
GATEWAY_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25)

_OK, _LIMITED, _REFUSED, _FAILED, _LEFT = range(len(OUTCOMES))


def _outcome(cause: str) -> int:
    if cause in CLIENT_LEFT:
        return _LEFT
    if cause.startswith(("limited_", "budget_")):
        return _LIMITED
    is_failed = cause in BROKEN_BY_US or cause.startswith(BROKEN_BY_UPSTREAM)
    return _FAILED if is_failed else _REFUSED


OUTCOME_OF: dict[str | None, int] = {None: _OK, **{each: _outcome(each) for each in Cause}}
"""How a request ended for its key, by its cause, as a place in `OUTCOMES`."""

AT_UPSTREAM = frozenset(each for each in Cause if each.startswith(BROKEN_BY_UPSTREAM))
"""The causes of those that an upstream was asked, though nothing may have reached it."""
