"""The head of the client's response, made of the upstream's."""

import re
from collections.abc import Sequence

from multidict import CIMultiDict

from proxy.aiohttp_fast import UpstreamResponse
from proxy.aiohttp_fast.keys import ResponseKey
from proxy.causes import Cause
from proxy.errors import REQUEST_ID, SERVER, SERVER_NAME, UpstreamFailed
from proxy.exchange import Exchange
from proxy.limits.wording import UPSTREAMS_OWN
from proxy.protocol import headers

# Marks the responses of a gateway, for the middlewares and signals of the application that holds it.
FROM_GATEWAY = ResponseKey("from_gateway", bool)

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_FIRST_ERROR = 400


def response_headers(exchange: Exchange, response: UpstreamResponse) -> CIMultiDict[str]:
    """Build the headers of the client's response."""
    fields = headers.response_headers(response.headers)
    fields[REQUEST_ID] = exchange.request_id
    fields.setdefault(SERVER, SERVER_NAME)
    if exchange.quota_headers is not None and response.status < _FIRST_ERROR:
        _tell_quota(fields, exchange.quota_headers)
    return fields


def _tell_quota(fields: CIMultiDict[str], ours: Sequence[tuple[str, str]]) -> None:
    """Say what the key has left, in place of what the operator's account has left."""
    for name in [name for name in fields if name.lower().startswith(UPSTREAMS_OWN)]:
        fields.popall(name, None)
    fields.extend(ours)


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
