"""Make the HTTP/1.1 requests that clients send, change their bytes, and cut them into writes."""

import gzip
from random import Random

from fuzz.gateway import KEY

# Stands in a model's id for the case, so that its requests are known upstream.
CASE = b"00000000"

HEAD = (
    b"Host: gateway",
    b"x-api-key: " + KEY,
    b"anthropic-version: 2023-06-01",
    b"content-type: application/json",
)
_PIECES = (
    *(
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b" ",
        b"\t",
        b":",
        b",",
        b";",
        b"0\r\n\r\n",
        b"\r\n\r\n",
        b"\n\n",
    ),
    *(
        b"\x0b",
        b"\x0c",
        b"\x85",
        b"\xff",
        b'"',
        b"\\",
        b"0x",
        b"+",
        b"-",
        b"_",
        b"HTTP/1.1",
        b"chunked",
    ),
    *(
        b"content-length: 3\r\n",
        b"transfer-encoding: chunked\r\n",
        b"GET / HTTP/1.1\r\n",
        b"f" * 17,
    ),
)


def message(number: int, *, stream: bool = False) -> bytes:
    """Write the body of a call, told from all others by its model."""
    more = b', "stream": true' if stream else b""
    return b'{"model": "anthropic/case-%b-%d", "max_tokens": 1, "messages": []%b}' % (
        CASE,
        number,
        more,
    )


def request(body: bytes, *lines: bytes, line: bytes = b"POST /v1/messages HTTP/1.1") -> bytes:
    """Write a request; nothing is said of its body but in `lines`."""
    return b"\r\n".join([line, *HEAD, *lines, b"", body])


def plain(body: bytes, *lines: bytes, line: bytes = b"POST /v1/messages HTTP/1.1") -> bytes:
    """Write a request with its length."""
    return request(body, *lines, b"content-length: %d" % len(body), line=line)


def chunked(body: bytes, size: int) -> bytes:
    """Write a chunked body."""
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def well_formed(random: Random) -> bytes:
    """Write one of the requests that clients send."""
    body = message(random.randrange(10), stream=random.random() < 0.3)
    end = random.choice(((), (b"connection: close",)))
    match random.randrange(6):
        case 0:
            return plain(gzip.compress(body, mtime=0), b"content-encoding: gzip", *end)
        case 1:
            framed = chunked(body, random.choice((1, 16, 1000)))
            return request(framed, b"transfer-encoding: chunked", *end)
        case 2:
            path = random.choice(
                (b"/v1/models", b"/v1/models?limit=2", b"/v1/models/claude-x", b"/healthz")
            )
            return request(b"", *end, line=b"GET %b HTTP/1.1" % path)
        case 3:
            return plain(body, *end, line=b"POST /v1/messages/count_tokens HTTP/1.1")
        case _:
            return plain(body, *end)


def mutated(random: Random, data: bytes) -> bytes:
    """Change some bytes: leave out, put in, repeat, replace, cut."""
    for _ in range(random.choice((1, 1, 2, 4))):
        at = random.randrange(len(data) + 1)
        until = min(len(data), at + random.choice((0, 1, 1, 2, 5, 20)))
        match random.randrange(7):
            case 0 | 1:
                put = random.choice(_PIECES)
            case 2:
                put = bytes([random.randrange(256)])
            case 3:
                put = data[at:until] * 2
            case 4:
                put = data[random.randrange(len(data) + 1) :][: random.choice((1, 10, 100))]
            case 5 if random.random() < 0.3:
                return data[:at]
            case _:
                put = b""
        data = data[:at] + put + data[until:]
    return data


def segments(random: Random, data: bytes) -> list[bytes]:
    """Cut what goes over a connection into writes."""
    count = random.choice((0, 0, 1, 3))
    places = sorted(random.randrange(len(data) + 1) for _ in range(count))
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]
