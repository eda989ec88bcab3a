"""Requests that two parsers could read in two ways: each answered or closed, none becomes a second one upstream."""

import pytest

from tests.support.client import answers, connected, request, talk
from tests.support.gateways import BODY, KEY, Running
from tests.support.raw import RawUpstream
from tests.support.refusals import raw_refusal

SMUGGLED = request(b"x-smuggled: 1")
LENGTH = b"content-length: %d" % len(BODY)
CHUNKED = b"transfer-encoding: chunked"
CHUNKS = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)


def framed(*lines: bytes, body: bytes = BODY + SMUGGLED) -> bytes:
    """Frame a request with nothing said of its body but in `lines`."""
    return request(*lines, body=body, length=False)


def lines(*wanted: bytes) -> bytes:
    """Frame a request from its very lines."""
    return b"\r\n".join([*wanted, b"", b""])


GOOD_LINES = (b"x-api-key: " + KEY.encode(), b"anthropic-version: 2023-06-01")
MALFORMED = {
    "length and chunked": framed(LENGTH, CHUNKED, body=CHUNKS + SMUGGLED),
    "chunked and length": framed(CHUNKED, b"content-length: 4", body=CHUNKS + SMUGGLED),
    "chunked twice": framed(CHUNKED, CHUNKED, body=CHUNKS + SMUGGLED),
    "an empty transfer-encoding": framed(b"transfer-encoding:", body=SMUGGLED),
    "an empty transfer-encoding and a length": framed(b"transfer-encoding:", LENGTH),
    "a blank transfer-encoding": framed(b"transfer-encoding: \t", LENGTH),
    "gzip, chunked": framed(b"transfer-encoding: gzip, chunked", body=CHUNKS + SMUGGLED),
    "chunked in HTTP/1.0 that is to stay open": framed(
        CHUNKED, b"connection: keep-alive", body=CHUNKS + SMUGGLED
    ).replace(b"HTTP/1.1", b"HTTP/1.0", 1),
    "chunked, identity": framed(b"transfer-encoding: chunked, identity", body=CHUNKS + SMUGGLED),
    "xchunked": framed(b"transfer-encoding: xchunked", LENGTH),
    "chunked with a vertical tab": framed(b"transfer-encoding: \x0bchunked", LENGTH),
    "chunked behind a space before the colon": framed(b"transfer-encoding : chunked", LENGTH),
    "chunked in quotes": framed(b'transfer-encoding: "chunked"', LENGTH),
    "identity with a length": framed(b"transfer-encoding: identity", LENGTH),
    "two lengths": framed(LENGTH, b"content-length: 0"),
    "two equal lengths": framed(LENGTH, LENGTH),
    "a list of lengths": framed(LENGTH + b", 0"),
    "a signed length": framed(LENGTH.replace(b": ", b": +")),
    "a negative length": framed(b"content-length: -1"),
    "a length with an underscore": framed(b"content-length: 1_0"),
    "a hexadecimal length": framed(b"content-length: 0x10"),
    "an endless length": framed(b"content-length: " + b"9" * 40),
    "no digits in a length": framed(b"content-length: "),
    "other digits in a length": framed("content-length: \u0661".encode()),
    "obs-fold": framed(LENGTH, b"x-a: b\r\n c: d"),
    "obs-fold in transfer-encoding": framed(b"transfer-encoding:\r\n chunked", LENGTH),
    "a bare LF ends a line": framed(LENGTH, b"x-a: b\nx-c: d"),
    "a bare CR inside a value": framed(LENGTH, b"x-a: b\rx-c: d"),
    "NUL in a value": framed(LENGTH, b"x-a: b\x00"),
    "NUL in a name": framed(LENGTH, b"x-\x00a: b"),
    "a space in a name": framed(LENGTH, b"x a: b"),
    "a space before the colon": framed(LENGTH, b"x-a : b"),
    "no name": framed(LENGTH, b": b"),
    "no colon": framed(LENGTH, b"x-a"),
    "chunk size that is none": framed(CHUNKED, body=b"zz\r\n" + BODY + SMUGGLED),
    "a signed chunk size": framed(CHUNKED, body=b"+5\r\nabcde\r\n0\r\n\r\n" + SMUGGLED),
    "a chunk size with 0x": framed(CHUNKED, body=b"0x5\r\nabcde\r\n0\r\n\r\n" + SMUGGLED),
    "an endless chunk size": framed(CHUNKED, body=b"f" * 20 + b"\r\n" + SMUGGLED),
    "a chunk longer than said": framed(CHUNKED, body=b"3\r\nabcde\r\n0\r\n\r\n" + SMUGGLED),
    "a chunk size ended by LF": framed(CHUNKED, body=b"5\nabcde\r\n0\r\n\r\n" + SMUGGLED),
    "a bare LF in a chunk extension": framed(
        CHUNKED, body=b"5;a\nb\r\nabcde\r\n0\r\n\r\n" + SMUGGLED
    ),
    "two hosts": framed(LENGTH, b"Host: other"),
    "no host": framed(LENGTH).replace(b"Host: gateway\r\n", b""),
    "bytes before the method": b"\x00" + request(),
    "a space before the method": b" " + request(),
    "a request behind one that closes": request(b"connection: close") + SMUGGLED,
    "a request behind one in HTTP/1.0": request().replace(b"HTTP/1.1", b"HTTP/1.0") + SMUGGLED,
    "no version": request().replace(b" HTTP/1.1", b""),
    "HTTP/3.7": request().replace(b"HTTP/1.1", b"HTTP/3.7"),
    "HTTP/1.10": request().replace(b"HTTP/1.1", b"HTTP/1.10"),
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
    "a header of 16 KiB": framed(LENGTH, b"x-a: " + b"b" * 16384),
    "a target of 16 KiB": request(path=b"/api/v1/messages?" + b"a" * 16384),
    "200 headers": framed(LENGTH, *(b"x-%d: 1" % number for number in range(200))),
    "an authority as target": request(path=b"gateway:80"),
    "an asterisk as target of POST": request(path=b"*"),
    "no slash before the target": request(path=b"api/v1/messages"),
    "bytes over 127 in the target": request(path="/api/v1/m\u00fc".encode()),
    "a method of 5,000 letters": b"A" * 5000 + b" / HTTP/1.1\r\nHost: gateway\r\n\r\n",
    "lines ended by LF alone": request().replace(b"\r\n", b"\n"),
    "chunked in HTTP/1.0": framed(CHUNKED, body=CHUNKS + SMUGGLED).replace(b"1.1", b"1.0", 1),
    "a length among the trailers": framed(
        CHUNKED, body=CHUNKS[:-2] + b"content-length: 5\r\n\r\n" + SMUGGLED
    ),
    "a trailer with a space in its name": framed(
        CHUNKED, body=CHUNKS[:-2] + b"x y: 1\r\n\r\n" + SMUGGLED
    ),
}
CLOSING = b"connection: close"
GOOD_GET = (b"GET /api/v1/models HTTP/1.1", b"Host: gateway", *GOOD_LINES)


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
async def test_malformed_http_is_refused_in_the_apis_shape_and_closed(
    gateway: Running, upstream: RawUpstream, data: bytes
) -> None:
    answered = answers(await talk(gateway.host, gateway.port, data))
    assert answered
    raw_refusal(answered[0], answered[0].status, answered[0].kind)
    assert 400 <= answered[0].status < 500 or answered[0].status == 505
    assert not upstream.requests
    assert not [line for line in gateway.log if line["status"] == 200]


# What is legal, however odd: its answers, in order, and how many of the requests reached the upstream.
LEGAL = {
    "a length of 0 and a request behind it": (
        framed(b"content-length: 0", body=request(CLOSING)),
        [400, 200],
        1,
    ),
    "no length and a request behind it": (framed(body=request(CLOSING)), [400, 200], 1),
    "a request inside the body of another": (request(CLOSING, body=SMUGGLED), [400], 0),
    "a request inside the body of a GET": (
        lines(*GOOD_GET, CLOSING, b"content-length: %d" % len(SMUGGLED)) + SMUGGLED,
        [200],
        0,
    ),
    "three at once": (request() * 2 + request(CLOSING), [200, 200, 200], 3),
    "a bad one between two good ones": (
        request() + request().replace(KEY.encode(), b"ar-bad") + request(CLOSING),
        [200, 401, 200],
        2,
    ),
    "a chunk extension": (
        framed(CHUNKED, CLOSING, body=CHUNKS.replace(b"\r\n", b';a="b"\r\n', 1)),
        [200],
        1,
    ),
    "a trailer": (framed(CHUNKED, CLOSING, body=CHUNKS[:-2] + b"x-a: b\r\n\r\n"), [200], 1),
    "a credential among the trailers": (
        framed(CHUNKED, CLOSING, body=CHUNKS[:-2] + b"x-api-key: ar-b\r\n\r\n").replace(
            KEY.encode(), b"ar-a"
        ),
        [401],
        0,
    ),
    "an absolute target": (
        request(CLOSING, path=b"http://elsewhere.test/api/v1/messages"),
        [200],
        1,
    ),
    "an absolute target elsewhere": (
        request(CLOSING, path=b"http://169.254.169.254/latest"),
        [404],
        0,
    ),
    "a path that goes up": (request(CLOSING, path=b"/api/../api/v1/messages"), [404], 0),
    "an asterisk": (lines(b"OPTIONS * HTTP/1.1", b"Host: gateway", CLOSING), [204], 0),
    "TRACE": (lines(b"TRACE /api/v1/messages HTTP/1.1", b"Host: gateway", CLOSING), [405], 0),
    "CONNECT": (
        lines(b"CONNECT gateway:80 HTTP/1.1", b"Host: gateway:80", *GOOD_LINES, CLOSING),
        [404],
        0,
    ),
    "an upgrade to HTTP/2": (
        request(b"connection: close, upgrade, http2-settings", b"upgrade: h2c"),
        [200],
        1,
    ),
    "an upgrade to a web socket": (
        lines(*GOOD_GET, b"connection: close, upgrade", b"upgrade: websocket"),
        [200],
        0,
    ),
    "HTTP/1.0": (request().replace(b"HTTP/1.1", b"HTTP/1.0"), [200], 1),
    "HTTP/1.0 that asks to stay": (
        request(b"connection: x, Keep-Alive").replace(b"1.1", b"1.0", 1) + request(CLOSING),
        [200, 200],
        2,
    ),
    "HTTP/1.0 that asks a proxy to stay": (
        request(b"proxy-connection: keep-alive").replace(b"1.1", b"1.0", 1) + SMUGGLED,
        [200],
        1,
    ),
}


@pytest.mark.parametrize(("data", "statuses", "relayed"), LEGAL.values(), ids=LEGAL)
async def test_each_request_is_answered_once_and_none_is_made_up(
    gateway: Running, upstream: RawUpstream, data: bytes, statuses: list[int], relayed: int
) -> None:
    answered = answers(await talk(gateway.host, gateway.port, data))
    assert [each.status for each in answered] == statuses
    # A GET of the model list makes the gateway ask for what stands behind its wildcard.
    posted = [each for each in upstream.requests if each.head.startswith(b"POST ")]
    assert len(posted) == relayed
    assert not any(b"x-smuggled" in each.head for each in upstream.requests)


async def test_what_frames_or_upgrades_a_connection_stays_on_it(
    gateway: Running, upstream: RawUpstream
) -> None:
    odd = (b"te: trailers", b"upgrade: h2c", b"trailer: x", b"connection: close, upgrade, te")
    await talk(gateway.host, gateway.port, request(*odd))
    head = upstream.requests[0].head.lower()
    assert not [name for name in (b"\nte:", b"\nupgrade", b"\ntrailer", b"h2c") if name in head]


async def test_a_chunk_that_goes_wrong_later_is_400_and_closed(
    gateway: Running, upstream: RawUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    async with connected(gateway.host, gateway.port) as client:
        await client.send(framed(CHUNKED, b"expect: 100-continue", body=b""))
        await client.until(b"\r\n\r\n")
        await client.send(b'5\r\n{"mod\r\nzz\r\n' + SMUGGLED)
        answered = answers(await client.until_closed())
    raw_refusal(answered[0], 400, "invalid_request_error")
    assert {each.status for each in answered} == {400}
    assert not upstream.requests
    assert "Traceback" not in caplog.text
