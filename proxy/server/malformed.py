"""What is answered to bytes that are not HTTP, or not the HTTP that is served here."""

import re

from aiohttp import HttpVersion11
from aiohttp.http_exceptions import BadStatusLine, LineTooLong

from proxy.errors import HeadTooLarge, InvalidRequest, ProxyError, VersionNotSupported

_MAX_REASON_CHARS = 200
# Ends a request line, as the parser quotes it.
_VERSION = re.compile(r"HTTP/(\d{1,9})(?:\.(\d{1,9}))?['\"]")
_AFTER_HTTP_2_PREFACE = "Pause on PRI/Upgrade"


STATUSES = (InvalidRequest.status, HeadTooLarge.status, VersionNotSupported.status)


def to_proxy_error(status: int, exc: BaseException | None, reason: str) -> ProxyError:
    """Return the failure that stands for what the parser, or the connection, refuses.

    Args:
        status: as refused: 431, 505, or 400 for whatever else.
        exc: the parser's, if it was the parser.
        reason: what is wrong; as the parser words it, it quotes the client's bytes.
    """
    if status == HeadTooLarge.status:
        return HeadTooLarge(reason)
    if isinstance(exc, LineTooLong) or reason.startswith("Too many headers"):
        return HeadTooLarge("a line of the request head is over 8190 bytes, or it has over 128")
    if status == VersionNotSupported.status:
        return VersionNotSupported(reason)
    if reason.startswith(_AFTER_HTTP_2_PREFACE):
        return VersionNotSupported("HTTP/2 with prior knowledge")
    if isinstance(exc, BadStatusLine) and (version := _VERSION.search(reason)) is not None:
        major, minor = version.groups()
        if (int(major), int(minor or 0)) > HttpVersion11:
            return VersionNotSupported(version[0][:-1])
    return InvalidRequest(f"malformed HTTP request: {' '.join(reason.split())[:_MAX_REASON_CHARS]}")
