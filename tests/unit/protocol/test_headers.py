"""Which headers cross the gateway."""

from collections.abc import Sequence

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
REWRITES = [
    "X-Original-URL",
    "X-Original-URI",
    "X-Original-Host",
    "X-Rewrite-URL",
    "X-HTTP-Method-Override",
    "X-HTTP-Method",
    "X-Method-Override",
    "X-HTTP-Path-Override",
    "X-Envoy-Original-Path",
    "Proxy",
]
OF_THE_WAY_TO_US = [
    "Forwarded",
    "Via",
    "X-Forwarded",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Never-Heard-Of",
    "X-Real-IP",
    "X-Client-IP",
    "True-Client-IP",
    "CF-Connecting-IP",
    "CDN-Loop",
]
OF_THE_BROWSER = ["Origin", "Referer", "Sec-Fetch-Mode", "Sec-CH-UA", "Sec-WebSocket-Key"]
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


def outbound(
    received: CIMultiDictProxy[str], ours: Sequence[tuple[str, str | None]]
) -> CIMultiDict[str]:
    """Send headers out; give what arrives."""
    raw = [(name.encode(), value.encode()) for name, value in received.items()]
    lines = headers.RequestHeaders(ours).render(raw, received).decode()
    assert lines.endswith("\r\n")
    return CIMultiDict(line.partition(": ")[::2] for line in lines.split("\r\n")[:-1])


@pytest.mark.parametrize("spelled", [str.lower, str.upper, str], ids=["lower", "upper", "as_is"])
@pytest.mark.parametrize(
    "name", HOP_BY_HOP + FOR_THE_GATEWAY + REWRITES + OF_THE_WAY_TO_US + OF_THE_BROWSER
)
def test_outbound_drops_what_ends_at_the_gateway(name: str, spelled: type[str]) -> None:
    assert spelled(name) not in outbound(given((spelled(name), "x")), [])


@pytest.mark.parametrize(
    "name",
    [
        *(
            name.replace("-", "_")
            for name in HOP_BY_HOP + FOR_THE_GATEWAY + REWRITES
            if "-" in name
        ),
        *("X_Forwarded_For", "X_real-IP", "sec_fetch_mode", "Anthropic_Version", "content_type"),
        "x_tenant",
    ],
)
def test_outbound_drops_the_underscore_twin_of_what_is_dropped_checked_or_ours(name: str) -> None:
    """Servers that make variables of headers take both for one: CGI, WSGI, PHP."""
    assert name not in outbound(given((name, "x")), [("X-Tenant", "ours")])


def test_a_name_with_an_underscore_crosses_when_it_is_no_twin() -> None:
    assert outbound(given(("session_id", "s")), [])["session_id"] == "s"


LEAKS = ["ar-0123456789", "Bearer ar-0123456789", "key=ar-0123456789; v=1", "xar-0123456789x"]


@pytest.mark.parametrize("leak", LEAKS)
@pytest.mark.parametrize("name", ["api-key", "x-goog-api-key", "X-Custom", "user-agent"])
@pytest.mark.parametrize(
    "credential",
    [
        ("x-api-key", "ar-0123456789"),
        ("Authorization", "Bearer ar-0123456789"),
        ("authorization", "bearer  ar-0123456789"),
        ("authorization", "bearer \tar-0123456789\u00a0"),
        ("x-api-key", " ar-0123456789 "),
        ("x-api-key", "\x85ar-0123456789\t"),
    ],
    ids=["x-api-key", "bearer", "spaces", "odd spaces", "spaces around it", "odd ones around it"],
)
def test_a_header_that_repeats_the_credential_is_dropped(
    credential: tuple[str, str], name: str, leak: str
) -> None:
    received = given((name, leak), credential, ("x-other", "ar-"))
    assert outbound(received, []) == {"x-other": "ar-", "Accept-Encoding": "identity"}


def test_each_of_two_credentials_is_looked_for() -> None:
    pair = given(("authorization", "Bearer sk-0123456789"), ("x-api-key", "ar-0123456789"))
    received = given(*pair.items(), ("a", "sk-0123456789"), ("b", "ar-0123456789"), ("c", "1"))
    assert outbound(received, []) == {"c": "1", "Accept-Encoding": "identity"}


@pytest.mark.parametrize("credential", ["", " ", "a", "Bearer", "Bearer ", "2023-06-01"])
def test_what_is_no_key_drops_nothing_that_was_checked(credential: str) -> None:
    """Two SDK generations send an empty one."""
    kept = [("anthropic-version", "2023-06-01"), ("content-type", "application/json")]
    received = given(("x-api-key", credential), ("authorization", credential), *kept)
    assert list(outbound(received, []).items())[:2] == kept


@pytest.mark.parametrize("spelled", [str.lower, str.upper], ids=["lower", "upper"])
@pytest.mark.parametrize("name", ["anthropic-version", "content-type"])
def test_connection_cannot_take_off_what_was_checked(name: str, spelled: type[str]) -> None:
    received = given((name, "x"), ("y", "1"), ("Connection", spelled(f"y, {name} ,close")))
    assert outbound(received, []) == {name: "x", "Accept-Encoding": "identity"}


@pytest.mark.parametrize("spelled", ["anthropic-beta", "Anthropic-Beta", "ANTHROPIC-BETA"])
def test_a_header_can_be_taken_off_for_an_upstream(spelled: str) -> None:
    received = given(("anthropic-beta", "a"), ("Anthropic-Beta", "b"), ("anthropic_beta", "c"))
    assert outbound(received, [(spelled, None)]) == {"Accept-Encoding": "identity"}


def test_no_credential_can_be_taken_off_by_a_null_before_it() -> None:
    sent = outbound(given(("x-api-key", "client's")), [("X-API-KEY", None), ("x-api-key", "ours")])
    assert sent == {"Accept-Encoding": "identity", "x-api-key": "ours"}


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
    fields = headers.RequestHeaders([]).render([(b"X-oDD", b"\xff\xfe \xe9")], given())
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
        headers.RequestHeaders([]).render([(b"x-tenant", value)], given())


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


def test_the_names_that_clients_invent_fill_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(headers, "_CACHED_NAMES", 10)
    ours = headers.RequestHeaders([])
    for n in range(100):
        name = f"x-{n}"
        sent = CIMultiDictProxy(CIMultiDict({name: "v"}))
        assert f"{name}: v\r\n".encode() in ours.render([(name.encode(), b"v")], sent)
        assert len(ours._crosses) <= 10
