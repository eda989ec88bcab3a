"""W3C Trace Context: which trace a request belongs to, and the ids of the gateway's own spans in it. Pure.

The ids of spans follow from the id of the request, which ends in 64 random bits: whoever has the ledger's row knows
them, and no worker keeps any. A request without a trace begins one, whose id is the request's behind four zeros.
"""

import hashlib
import re

from multidict import istr

HEADER = istr("traceparent")
# Ids of zeros are none, and only versions after 00 may go on behind the flags.
_FIELDS = re.compile(
    r"(?!ff|00.{53}.)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?"
)
_OURS = re.compile(r"(?:req_)?([0-9a-f]{28})")
_NONE = (None, None)
_HEX, _SPAN_DIGITS = 16, 16
_SPANS = 1 << 4 * _SPAN_DIGITS
_SAMPLED, _USUAL_FLAGS = "01", ("00", "01")
# Sampled, and whether the trace's id is random: the others mean nothing yet, and are not passed on.
_KNOWN_FLAGS = 3


def ids_in(value: str) -> tuple[str, str] | tuple[None, None]:
    """Return the trace and the span that a header names; None: it is none that counts."""
    found = _FIELDS.fullmatch(value)
    return _NONE if found is None else (found[1], found[2])


def begun_by(request_id: str) -> str:
    """Return the id of the trace that a request begins which comes without one."""
    found = _OURS.fullmatch(request_id)
    return "0000" + (_hash(request_id)[:28] if found is None else found[1])


def span_of(request_id: str, attempt: int = 0) -> str:
    """Return the id of a span: of a request, or of one of its attempts at an upstream, counted from 1."""
    try:
        number = int(request_id[-_SPAN_DIGITS:], _HEX)
    except ValueError:  # no id of ours
        number = int(_hash(request_id)[:_SPAN_DIGITS], _HEX)
    return f"{(number + attempt) % _SPANS or 1:016x}"


def line(value: str | None, request_id: str, attempt: int) -> bytes:
    """Return the header, with its name and its end, that tells an upstream which attempt it is asked by.

    Args:
        value: of the client's header; None: there is none.
        request_id: ours.
        attempt: which of the request's it is, counted from 1.
    """
    found = None if value is None else _FIELDS.fullmatch(value)
    if found is None:
        trace_id, flags = begun_by(request_id), _SAMPLED
    else:
        trace_id, _, flags = found.groups()
        if flags not in _USUAL_FLAGS:
            flags = f"{int(flags, _HEX) & _KNOWN_FLAGS:02x}"
    return f"traceparent: 00-{trace_id}-{span_of(request_id, attempt)}-{flags}\r\n".encode()


def _hash(request_id: str) -> str:
    return hashlib.sha256(request_id.encode()).hexdigest()
