"""The head of the client's response, made of the upstream's."""

import re

from multidict import CIMultiDict

from proxy.aiohttp_fast import UpstreamResponse
from proxy.aiohttp_fast.keys import ResponseKey
from proxy.causes import Cause
from proxy.errors import REQUEST_ID, SERVER, SERVER_NAME, UpstreamFailed
from proxy.exchange import Exchange
from proxy.limits.wording import UPSTREAMS_OWN, fields_of
from proxy.protocol import headers

# Marks the responses of a gateway, for the middlewares and signals of the application that holds it.
FROM_GATEWAY = ResponseKey("from_gateway", bool)

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_FIRST_ERROR = 400


def response_headers(exchange: Exchange, response: UpstreamResponse) -> CIMultiDict[str]:
    """Build the headers of the client's response."""
    fields, lines = headers_and_lines(exchange, response)
    if lines:
        fields.extend(fields_of(lines))
    return fields


def headers_and_lines(
    exchange: Exchange, response: UpstreamResponse
) -> tuple[CIMultiDict[str], bytes]:
    """Build the same; what the key has left, in place of what the operator's account has left, as lines of their own.

    Where an application holds the gateway, whose middlewares may look at headers, there are no such lines.
    """
    fields = headers.response_headers(response.headers)
    fields[REQUEST_ID] = exchange.request_id
    fields.setdefault(SERVER, SERVER_NAME)
    lines = exchange.quota_lines
    if lines is None or response.status >= _FIRST_ERROR:
        return fields, b""
    for name in [name for name in fields if name.lower().startswith(UPSTREAMS_OWN)]:
        fields.popall(name, None)
    if exchange.is_abandoned is not None:
        fields.extend(fields_of(lines))
        lines = b""
    return fields, lines


def refuse_unsendable(reason: str | None, fields: CIMultiDict[str]) -> None:
    """Refuse a head that aiohttp reads, and does not write.

    Raises:
        UpstreamFailed: now, while there can be another answer.
    """
    if _CONTROL.search("".join((reason or "", *fields.keys(), *fields.values()))):
        raise unsendable()


def unsendable() -> UpstreamFailed:
    """Return the failure that says that the head of a response cannot be sent on."""
    return UpstreamFailed("the upstream's headers are not HTTP", Cause.UPSTREAM_GARBAGE)
