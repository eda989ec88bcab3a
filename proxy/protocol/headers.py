"""Which headers cross the gateway, in both directions. Pure.

Removed first, set afterwards: a client that lists one of our headers in `Connection` must not be able to
remove what we set (golang/go issue 50580). Hop-by-hop is RFC 9110 section 7.6.1.
"""

from collections.abc import Iterable, Iterator, Sequence

from multidict import CIMultiDict, CIMultiDictProxy, istr

from proxy.protocol.kept import Kept

RawHeaders = Sequence[tuple[bytes, bytes]]

X_API_KEY = istr("x-api-key")
AUTHORIZATION = istr("Authorization")
ANTHROPIC_VERSION = istr("anthropic-version")
ANTHROPIC_BETA = istr("anthropic-beta")
ACCEPT_ENCODING = istr("Accept-Encoding")
CONNECTION = istr("Connection")
CONTENT_TYPE = istr("Content-Type")
CONTENT_ENCODING = istr("Content-Encoding")
USER_AGENT = istr("User-Agent")
SESSION_ID = istr("x-claude-code-session-id")
JSON = "application/json"
AGENT_ID = istr("x-claude-code-agent-id")
TAG = istr("x-anyrouter-tag")

_CACHED_VALUES = 64
_CACHED_NAMES = 512
# What is shorter than the shortest key is no key, and may stand in any header by chance.
_MIN_KEY_BYTES = 8
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
# Checked before the request goes on: the client cannot have them taken off by naming them in `Connection`.
_CHECKED = frozenset({"anthropic-version", "content-type"})
# The body is decoded and its model replaced, so what describes its bytes is ours to set. `expect` was
# answered here. `host` names the upstream. Cookies and credentials are for the gateway alone.
_FOR_THE_GATEWAY = {
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
# By which a server behind the upstream's front is told another path or method than the one that was checked.
_REWRITES = frozenset({"x-http-path-override", "x-method-override", "proxy"})
_REWRITE_PREFIXES = ("x-envoy-", "x-http-method", "x-original-", "x-rewrite-")
# Who asked, and by which way: the gateway is the upstream's client, and no server in front of it is believed there.
_WAYS = frozenset(
    {
        "cdn-loop",
        "fastly-client-ip",
        "forwarded",
        "true-client-ip",
        "via",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-real-ip",
    }
)
_WAY_PREFIXES = ("cf-", "x-forwarded")
# What a browser says of the page: the API refuses requests that name one.
_BROWSERS = frozenset({"origin", "referer"})
_BROWSER_PREFIXES = ("sec-",)
_NOT_OUTBOUND = _HOP_BY_HOP | _FOR_THE_GATEWAY | _REWRITES | _WAYS | _BROWSERS
# Said to the gateway by its users.
_OWN_PREFIX = "x-anyrouter-"
_NOT_OUTBOUND_PREFIXES = (*_REWRITE_PREFIXES, *_WAY_PREFIXES, *_BROWSER_PREFIXES, _OWN_PREFIX)
# Cookies, transport policy, alternative services and the origins that may read speak of the upstream's host, not of the
# gateway's.
_NOT_INBOUND = _HOP_BY_HOP | {
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "access-control-allow-private-network",
    "access-control-expose-headers",
    "access-control-max-age",
    "alt-svc",
    "content-length",
    "set-cookie",
    "set-cookie2",
    "strict-transport-security",
}


def _listed(connection: str) -> frozenset[str]:
    """Return the names a `Connection` header lists, in lower case, without those that are hop-by-hop anyway."""
    return frozenset(name.strip().lower() for name in connection.split(",")) - _HOP_BY_HOP


_connection_options = Kept(_listed, _CACHED_VALUES)


class RequestHeaders:
    """Builds the header fields of the requests to one upstream, from the client's bytes as they came.

    Args:
        ours: the upstream's credential and further headers; each replaces the client's of that name, and None takes
            it off.
        betas: values of `anthropic-beta` that are sent beside the client's.
        dropped_betas: those of the client's that do not go on.

    Attributes:
        ours: the lines of the gateway's own.

    Raises:
        ValueError: one of ours holds a control character, a line's end perhaps.
    """

    def __init__(
        self,
        ours: Iterable[tuple[str, str | None]],
        betas: Iterable[str] = (),
        dropped_betas: Iterable[str] = (),
    ) -> None:
        # A compressed stream could not be watched for usage; an upstream that compresses all the same is relayed as it
        # is.
        set_here: CIMultiDict[str | None] = CIMultiDict({ACCEPT_ENCODING: "identity"})
        for name, value in ours:
            set_here[name] = value
        self._named = frozenset(_fold(name) for name in set_here)
        lines = []
        for name, value in set_here.items():
            if value is None:
                continue
            if not (name + value).isprintable():
                raise ValueError(f"the header {name!r} cannot be sent: a control character")
            lines.append(b"%b: %b\r\n" % (_bytes(name), _bytes(value)))
        if added := ",".join(betas):
            lines.append(b"%b: %b\r\n" % (_bytes(ANTHROPIC_BETA), _bytes(added)))
        self.ours = b"".join(lines)
        self._dropped_betas = frozenset(map(_bytes, dropped_betas))
        self._crosses = Kept(self._decide, _CACHED_NAMES)

    def render(self, raw: RawHeaders, read: CIMultiDictProxy[str]) -> bytes:
        """Return the fields.

        Args:
            raw: names and values, as the client sent them.
            read: the same as text.

        Returns:
            Lines, each with its end.

        Raises:
            ValueError: a header contains CR or LF. The parser never lets one through, but a host application's
                middleware can set one.
        """
        crosses = self._crosses
        kept = [field for field in raw if crosses[field[0]]]
        for value in read.getall(CONNECTION, ()):
            if names := _connection_options[value] - _CHECKED:
                kept = [field for field in kept if _text(field[0]).lower() not in names]
        if self._dropped_betas:
            kept = list(self._drop_betas(kept))
        lines = b"".join([b"%b: %b\r\n" % field for field in kept])
        for name in (X_API_KEY, AUTHORIZATION):
            for value in read.getall(name, ()):
                # The last word, as `access.keys` takes it: without any white space around it.
                key = _bytes("".join(value.split()[-1:]))
                if len(key) >= _MIN_KEY_BYTES and lines.find(key) >= 0:
                    kept = [field for field in kept if key not in field[1] or _is_checked(field[0])]
                    lines = b"".join([b"%b: %b\r\n" % field for field in kept])
        if not lines.count(b"\r") == lines.count(b"\n") == len(kept):
            raise ValueError("the end of a line in a header")
        return lines + self.ours

    def _drop_betas(self, fields: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
        """Take values of `anthropic-beta` off; a line that had no other is gone."""
        for name, value in fields:
            if _fold(_text(name)) != ANTHROPIC_BETA:
                yield name, value
                continue
            given = value.split(b",")
            left = [each for each in given if each.strip() not in self._dropped_betas]
            if len(left) == len(given):
                yield name, value
            elif left:
                yield name, b",".join(left).strip()

    def _decide(self, raw_name: bytes) -> bool:
        """Return whether the client's headers of a name go on."""
        name = _text(raw_name)
        folded = _fold(name)
        return not (
            folded in _NOT_OUTBOUND
            or folded in self._named
            or folded.startswith(_NOT_OUTBOUND_PREFIXES)
            or (folded in _CHECKED and "_" in name)
        )


def _fold(name: str) -> str:
    """Return a name as servers see it that make variables of headers (CGI, WSGI): `x_api_key` is `x-api-key`."""
    return name.lower().replace("_", "-")


def _is_checked(raw_name: bytes) -> bool:
    return _text(raw_name).lower() in _CHECKED


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def response_headers(upstream: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    """Return the headers of the client's response, made of the upstream's; its length is set by who writes the body."""
    dropped = _NOT_INBOUND
    for value in upstream.getall(CONNECTION, ()):
        if names := _connection_options[value]:
            dropped = dropped | names
    return CIMultiDict([item for item in upstream.items() if item[0].lower() not in dropped])
