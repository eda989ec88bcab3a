"""Which headers cross the gateway, in both directions. Pure.

Removed first, set afterwards: a client that lists one of our headers in `Connection` must not be able to
remove what we set (golang/go issue 50580). Hop-by-hop is RFC 9110 section 7.6.1.
"""

import functools
from collections.abc import Iterable

from multidict import CIMultiDict, CIMultiDictProxy, istr

RawHeaders = Iterable[tuple[bytes, bytes]]

X_API_KEY = istr("x-api-key")
AUTHORIZATION = istr("Authorization")
ANTHROPIC_VERSION = istr("anthropic-version")
ACCEPT_ENCODING = istr("Accept-Encoding")
CONNECTION = istr("Connection")
CONTENT_TYPE = istr("Content-Type")
CONTENT_ENCODING = istr("Content-Encoding")
SESSION_ID = istr("x-claude-code-session-id")
AGENT_ID = istr("x-claude-code-agent-id")

_CACHED_VALUES = 64
_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
# The body is decoded and its model replaced, so what describes its bytes is ours to set. `expect` was
# answered here. `host` names the upstream. Cookies and credentials are for the gateway alone.
_NOT_OUTBOUND = _HOP_BY_HOP | {
    "accept-encoding",
    "authorization",
    "content-encoding",
    "content-length",
    "cookie",
    "cookie2",
    "expect",
    "host",
    "http2-settings",
    "x-api-key",
}
# Cookies, transport policy and alternative services speak of the upstream's host, not of the gateway's.
_NOT_INBOUND = _HOP_BY_HOP | {
    "alt-svc",
    "content-length",
    "set-cookie",
    "set-cookie2",
    "strict-transport-security",
}


@functools.lru_cache(_CACHED_VALUES)
def _listed(connection: str) -> frozenset[str]:
    """Give the names a `Connection` header lists, in lower case, without those that are hop-by-hop anyway."""
    return frozenset(name.strip().lower() for name in connection.split(",")) - _HOP_BY_HOP


class RequestHeaders:
    """Builds the header fields of the requests to one upstream, from the client's bytes as they came.

    Args:
        ours: the upstream's credential and further headers; each replaces the client's of that name.

    Raises:
        ValueError: one of ours holds a control character, a line's end perhaps.
    """

    def __init__(self, ours: Iterable[tuple[str, str]]) -> None:
        # A compressed stream could not be watched for usage; an upstream that compresses all the same is relayed as it
        # is.
        set_here = CIMultiDict({ACCEPT_ENCODING: "identity"})
        for name, value in ours:
            set_here[name] = value
        for name, value in set_here.items():
            if not (name + value).isprintable():
                raise ValueError(f"the header {name!r} cannot be sent: a control character")
        dropped = _NOT_OUTBOUND | {name.lower() for name in set_here}
        self._dropped = frozenset(map(_bytes, dropped))
        self._ours = b"".join(b"%b: %b\r\n" % (_bytes(n), _bytes(v)) for n, v in set_here.items())

    def render(self, raw: RawHeaders, connection: Iterable[str]) -> bytes:
        """Return the fields.

        Args:
            raw: names and values, as the client sent them.
            connection: the values of its `Connection` headers.

        Returns:
            Lines, each with its end.

        Raises:
            ValueError: a header contains CR or LF. The parser never lets one through, but a host application's
                middleware can set one.
        """
        dropped = self._dropped
        for value in connection:
            if names := _listed(value):
                dropped = dropped | set(map(_bytes, names))
        kept = [b"%b: %b\r\n" % field for field in raw if field[0].lower() not in dropped]
        lines = b"".join(kept)
        if not lines.count(b"\r") == lines.count(b"\n") == len(kept):
            raise ValueError("the end of a line in a header")
        return lines + self._ours


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def response_headers(upstream: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    """Return the headers of the client's response, made of the upstream's; its length is set by who writes the body."""
    dropped = _NOT_INBOUND
    for value in upstream.getall(CONNECTION, ()):
        if names := _listed(value):
            dropped = dropped | names
    return CIMultiDict([item for item in upstream.items() if item[0].lower() not in dropped])
