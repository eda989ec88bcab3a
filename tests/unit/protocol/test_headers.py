"""Which headers cross the gateway."""

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from proxy.protocol import headers

HOP_BY_HOP = [
    "Connection",
    "Keep-Alive",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "Proxy-Connection",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
]
FOR_THE_GATEWAY = [
    "Authorization",
    "Content-Encoding",
    "Content-Length",
    "Cookie",
    "Cookie2",
    "Expect",
    "Host",
    "HTTP2-Settings",
    "X-Api-Key",
]
OF_THE_UPSTREAM_HOST = [
    "Alt-Svc",
    "Content-Length",
    "Set-Cookie",
    "Set-Cookie2",
    "Strict-Transport-Security",
]
END_TO_END = [
    ("anthropic-version", "2023-06-01"),
    ("Anthropic-Beta", "a,b-2026-07-01"),
    ("anthropic-never-heard-of", "x"),
    ("x-claude-code-session-id", "s"),
    ("X-Stainless-Lang", "python"),
    ("User-Agent", "claude-cli/2"),
    ("Accept", "application/json"),
    ("Content-Type", "application/json"),
    ("x-odd", "  \tspaced \xe9"),
]


def given(*items: tuple[str, str]) -> CIMultiDictProxy[str]:
    return CIMultiDictProxy(CIMultiDict(items))


def outbound(received: CIMultiDictProxy[str], ours: list[tuple[str, str]]) -> CIMultiDict[str]:
    """Send headers out; give what arrives."""
    raw = [(name.encode(), value.encode()) for name, value in received.items()]
    lines = headers.RequestHeaders(ours).render(raw, received.getall("Connection", ())).decode()
    assert lines.endswith("\r\n")
    return CIMultiDict(line.partition(": ")[::2] for line in lines.split("\r\n")[:-1])


@pytest.mark.parametrize("spelled", [str.lower, str.upper, str], ids=["lower", "upper", "as_is"])
@pytest.mark.parametrize("name", HOP_BY_HOP + FOR_THE_GATEWAY)
def test_outbound_drops_what_ends_at_the_gateway(name: str, spelled: type[str]) -> None:
    assert spelled(name) not in outbound(given((spelled(name), "x")), [])


@pytest.mark.parametrize("name", HOP_BY_HOP + OF_THE_UPSTREAM_HOST)
def test_inbound_drops_what_speaks_of_the_upstreams_connection_or_host(name: str) -> None:
    assert headers.response_headers(given((name, "x"), ("request-id", "r"))) == {"request-id": "r"}


def test_outbound_keeps_everything_else_in_order_and_untouched() -> None:
    sent = outbound(given(*END_TO_END), [])
    assert list(sent.items()) == [*END_TO_END, ("Accept-Encoding", "identity")]


def test_inbound_keeps_everything_else_in_order_and_untouched() -> None:
    answered = [
        ("request-id", "r"),
        ("retry-after", "7"),
        ("x-should-retry", "false"),
        ("anthropic-ratelimit-requests-remaining", "0"),
        ("Content-Encoding", "gzip"),
        ("Content-Type", "application/json"),
    ]
    assert list(headers.response_headers(given(*answered)).items()) == answered


def test_bytes_that_are_no_text_go_out_as_they_came() -> None:
    fields = headers.RequestHeaders([]).render([(b"X-oDD", b"\xff\xfe \xe9")], ())
    assert fields.startswith(b"X-oDD: \xff\xfe \xe9\r\n")


def test_a_header_that_comes_twice_goes_twice() -> None:
    twice = [("anthropic-beta", "a"), ("x", "1"), ("anthropic-beta", "b")]
    assert outbound(given(*twice), []).getall("anthropic-beta") == ["a", "b"]


@pytest.mark.parametrize(
    "connection",
    [["close, X-Hop"], ["x-hop ,keep-alive"], ["keep-alive", "X-HOP"], [",, x-hop,"]],
    ids=repr,
)
def test_names_listed_in_connection_are_dropped_both_ways(connection: list[str]) -> None:
    received = given(("x-hop", "1"), *(("Connection", value) for value in connection), ("y", "2"))
    assert headers.response_headers(received) == {"y": "2"}
    assert outbound(received, []) == {"y": "2", "Accept-Encoding": "identity"}


def test_a_client_cannot_remove_our_headers_by_listing_them_in_connection() -> None:
    """golang/go issue 50580."""
    received = given(("Connection", "x-api-key, accept-encoding, x-own"), ("x-own", "client's"))
    ours = [("x-api-key", "ours"), ("X-Own", "ours")]
    sent = outbound(received, ours)
    assert sent == {"Accept-Encoding": "identity", "x-api-key": "ours", "X-Own": "ours"}


def test_ours_replaces_every_header_of_the_clients_of_that_name() -> None:
    received = given(("X-Own", "1"), ("x-own", "2"))
    assert outbound(received, [("x-OWN", "ours")]).getall("x-own") == ["ours"]


def test_the_credential_wins_over_a_header_of_its_name() -> None:
    ours = [("Accept-Encoding", "gzip"), ("X-Api-Key", "placeholder"), ("x-api-key", "credential")]
    sent = outbound(given(("x-api-key", "client's")), ours)
    assert list(sent.items()) == [("Accept-Encoding", "gzip"), ("x-api-key", "credential")]


@pytest.mark.parametrize("value", [b"a\r\nTransfer-Encoding: chunked", b"a\n", b"a\r"])
def test_a_header_that_an_application_set_cannot_break_out_of_its_line(value: bytes) -> None:
    with pytest.raises(ValueError, match="line"):
        headers.RequestHeaders([]).render([(b"x-tenant", value)], ())


@pytest.mark.parametrize("value", ["a\r\nx-other: b", "a\n", "\0", "\x7f"])
def test_ours_cannot_break_out_of_its_line(value: str) -> None:
    with pytest.raises(ValueError, match="x-own"):
        headers.RequestHeaders([("x-own", value)])


def test_the_upstream_is_asked_not_to_compress() -> None:
    received = given(("accept-encoding", "gzip, br"))
    assert outbound(received, []).getall("accept-encoding") == ["identity"]


def test_the_received_headers_are_left_alone() -> None:
    received = given(("x-api-key", "k"), ("Connection", "x"), ("x", "1"))
    before = list(received.items())
    outbound(received, [("x", "2")])
    assert list(received.items()) == before
