"""Make HTTP/1.1 requests that two parsers may read in two ways, with others hidden in and behind them."""

from random import Random

from fuzz.http_texts import chunked, message, plain, request

_TARGETS = (
    *(
        b"/api/v1/messages",
        b"/v1/messages",
        b"/v1/messages?beta=true",
        b"/v1/messages/count_tokens",
    ),
    *(
        b"http://elsewhere.test/v1/messages",
        b"//v1/messages",
        b"/v1/messages#x",
        b"*",
        b"/v1/%6dessages",
    ),
    *(
        b"http://[::1/v1/messages",
        b"/v1/messages/../messages",
        b"/\xff",
        b"http://169.254.169.254/latest",
    ),
)
_ODD_LINES = (
    *(
        b"x-a: b\r\n c: d",
        b"x-a: b\nx-c: d",
        b"x-a: b\rx-c: d",
        b"x-a: b\x00",
        b"x-\x00a: b",
        b"x a: b",
    ),
    *(
        b"x-a : b",
        b": b",
        b"x-a",
        b"x-a:",
        b"x-a: \xff\xfe",
        b"x-a:\x0bb",
        b"\tx-a: b",
        b"x-a: b\r",
    ),
    *(
        b"Host: other",
        b"upgrade: h2c",
        b"upgrade: websocket",
        b"http2-settings: AAMAAABk",
        b"te: trailers",
    ),
    *(
        b"connection: upgrade",
        b"connection: close",
        b"connection: keep-alive",
        b"connection: close, te",
    ),
    *(
        b"connection: content-length",
        b"connection: transfer-encoding, x-api-key",
        b"expect: 100-continue",
    ),
    *(
        b"expect: 200-ok",
        b"expect: 100-continue, x",
        b"trailer: x-api-key",
        b"content-encoding: gzip",
    ),
    *(b"transfer-encoding: gzip", b"content-encoding: identity", b"content-type: text/plain"),
    *(
        b"keep-alive: timeout=0",
        b"proxy-connection: keep-alive",
        b"x-api-key: ar-other",
        b"range: bytes=0-1",
    ),
)


def ambiguous(random: Random, number: int) -> bytes:
    """Write a request whose end is not where every parser looks for it; what is hidden has a number over 100."""
    body, hidden = message(number), plain(message(number + 100), b"x-smuggled: 1")
    lines, wire = _framed(random, body, hidden)
    odd = [random.choice(_ODD_LINES) for _ in range(random.choice((0, 0, 0, 1, 1, 2)))]
    lines = [*lines, *odd]
    random.shuffle(lines)
    line = b"POST %b HTTP/1.1" % random.choice((b"/v1/messages", b"/v1/messages", *_TARGETS))
    if random.random() < 0.1:
        line = random.choice(
            (line[:-1] + b"0", line[:-1] + b"2", b"GET /v1/models HTTP/1.1", b" " + line)
        )
    made = request(wire, *lines, line=line)
    return made.replace(b"\r\n", b"\n") if random.random() < 0.02 else made


def _framed(random: Random, body: bytes, hidden: bytes) -> tuple[list[bytes], bytes]:
    """Give the lines that say where a body ends, and the body with what is hidden in or behind it."""
    length = b"content-length: %d" % len(body)
    coded = b"transfer-encoding: chunked"
    chunks = chunked(body, random.choice((7, 1000)))
    part = random.randrange(len(body) + len(hidden))
    return random.choice(
        (
            ([length], body),
            ([coded], chunks),
            ([length, coded], chunks + hidden),
            ([coded, b"content-length: %d" % random.choice((0, 4, len(body)))], chunks + hidden),
            ([length, b"content-length: %d" % random.choice((0, len(body)))], body + hidden),
            ([_odd_length(random, length)], body + hidden),
            ([_odd_coding(random)], chunks + hidden),
            ([_odd_coding(random), length], body + hidden),
            ([coded], _odd_chunks(random, body, hidden)),
            ([b"content-length: %d" % len(hidden)], hidden),
            (random.choice(([], [b"content-length: 0"])), hidden),
            ([b"content-length: %d" % part], body + hidden),
            ([coded], chunked(hidden, random.choice((len(hidden), 30)))),
        )
    )


def _odd_length(random: Random, length: bytes) -> bytes:
    name, _, digits = length.partition(b": ")
    odd = (
        *(b"+" + digits, b"-" + digits, digits + b", 0", digits + b"," + digits, b"0x" + digits),
        *(
            digits + b"_0",
            b"0" + digits,
            digits + b" 0",
            b"",
            b'"' + digits + b'"',
            digits + b";a=b",
        ),
        *(
            "\u0661".encode(),
            b"9" * 40,
            digits + b"\x0b",
            digits + b".0",
            b"1e2",
            digits + b"\r\n 0",
        ),
    )
    return random.choice((name, name, name + b" ", b"Content_Length")) + b": " + random.choice(odd)


def _odd_coding(random: Random) -> bytes:
    odd = (
        *(
            b"chunked, identity",
            b"identity",
            b"xchunked",
            b"\x0bchunked",
            b'"chunked"',
            b"chunked, chunked",
        ),
        *(
            b"CHUNKED",
            b"chunked;a=b",
            b"gzip, chunked",
            b"chunked ",
            b"\r\n chunked",
            b"chu\x00nked",
            b"",
        ),
        *(b"chunked\r\nTransfer-Encoding: x", b"chunked,", b",chunked", b"chunke\xc4\x8f"),
    )
    name = random.choice(
        (b"transfer-encoding", b"transfer-encoding ", b"transfer_encoding", b"\ttransfer-encoding")
    )
    return name + b": " + random.choice(odd)


def _odd_chunks(random: Random, body: bytes, hidden: bytes) -> bytes:
    size = b"%x" % len(body)
    sizes = (
        *(
            b"+" + size,
            b"-" + size,
            b"0x" + size,
            size + b" ",
            b" " + size,
            size + b";a=b",
            size + b";a\nb",
        ),
        *(
            size + b';a="\r\n0\r\n\r\n"',
            b"0" * 20 + size,
            b"f" * 20,
            size.upper(),
            size + b"_",
            b"",
            b"zz",
        ),
        *(
            b"%x" % (len(body) - 3),
            b"%x" % (len(body) + 3),
            size + b"\x00",
            size + b"\t;",
            b"1" + b"0" * 16,
        ),
    )
    ends = (b"\r\n", b"\r\n", b"\n", b"\r", b"", b"\r\r\n", b" \r\n")
    lasts = (
        *(
            b"0\r\n\r\n",
            b"0\r\n\r\n",
            b"0\n\n",
            b"00\r\n\r\n",
            b"0;a\r\n\r\n",
            b"0\r\nx-a: b\r\n\r\n",
        ),
        *(
            b"0\r\ncontent-length: 5\r\n\r\n",
            b"0\r\nx y: 1\r\n\r\n",
            b"0\r\n x: 1\r\n\r\n",
            b"0\r\n",
        ),
        *(b"0\r\nx-api-key: ar-other\r\n\r\n", b"0\r\nx\r\n\r\n", b"-0\r\n\r\n", b"0\r\n\n", b""),
    )
    first = random.choice((size, random.choice(sizes))) + random.choice(ends)
    return first + body + random.choice(ends) + random.choice(lasts) + hidden
