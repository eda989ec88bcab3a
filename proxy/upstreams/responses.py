"""What can be told from the head of an upstream's response: its id, whether it is a stream, whether it can be read."""

import re

from aiohttp import hdrs

from proxy.aiohttp_fast import UpstreamResponse
from proxy.errors import REQUEST_ID
from proxy.protocol import headers, sse
from proxy.protocol.content_encoding import encodings
from proxy.protocol.message import Echo

# What can stand in a header, a log line and an error's body alike.
_ADOPTABLE_ID = re.compile(r"[!-~]{1,100}")
_EVENT_STREAM = re.compile(r"\s*text/event-stream\s*(;|$)", re.IGNORECASE)


def given_request_id(response: UpstreamResponse) -> str | None:
    """Return the upstream's id; None when it gives no good one."""
    given = response.headers.get(REQUEST_ID)
    return given if given is not None and _ADOPTABLE_ID.fullmatch(given) else None


def is_stream(upstream: UpstreamResponse) -> bool:
    """Return whether a response is to be copied chunk by chunk. An error never is, whatever it calls itself."""
    content_type = upstream.headers.get(headers.CONTENT_TYPE)
    if content_type is None or content_type == headers.JSON:
        return False
    return upstream.is_success and _EVENT_STREAM.match(content_type) is not None


def is_encoded(response: UpstreamResponse) -> bool:
    """Return whether a body is compressed, or encoded otherwise, so that it can only be passed on as it is."""
    fields = response.headers
    # Nearly every response names no encoding: that is found out in a tenth of the time.
    return headers.CONTENT_ENCODING in fields and bool(
        encodings(fields.getall(headers.CONTENT_ENCODING))
    )


def tap_for(upstream: UpstreamResponse, echo: Echo | None) -> sse.Tap:
    """Return what watches a stream: its model is named as `echo` says, if it can be read."""
    framed = _is_framed(upstream)
    if is_encoded(upstream):
        return sse.BlindTap(framed=framed)
    return sse.StreamTap(echo, framed=framed)


def _is_framed(upstream: UpstreamResponse) -> bool:
    """Return whether the end of a body can be told from a cut: by its length, or by its last chunk."""
    fields = upstream.headers
    last = fields.getall(hdrs.TRANSFER_ENCODING, ("",))[-1].rpartition(",")[2]
    return hdrs.CONTENT_LENGTH in fields or last.strip().lower() == "chunked"
