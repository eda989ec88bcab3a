"""A property for each pure function that reads what strangers send, as a function of bytes, for a guided fuzzer."""

import gzip
import re
import zlib
from collections.abc import Callable, Iterable
from random import Random

import msgspec
from multidict import CIMultiDict, CIMultiDictProxy

from fuzz import ambiguous_texts, event_streams, json_texts, stream_texts
from fuzz.json_bodies import JsonBodies, compare_replaced
from fuzz.json_reader import Unreadable, members
from fuzz.program import Broken
from proxy import Model
from proxy.errors import InvalidRequest, RequestTooLarge, UnknownModel
from proxy.protocol import content_encoding, headers, json_members
from proxy.protocol.call import COUNT_TOKENS, MESSAGES
from proxy.routing.model_ids import canonical
from proxy.routing.router import Router, permits

Target = tuple[Callable[[bytes], object], Callable[[Random], bytes]]

_BODIES = JsonBodies()
_OURS = (("x-api-key", "sk-up"), ("x-tenant", "a"))
_OUTBOUND = headers.RequestHeaders(_OURS)
_NEVER_OUT = frozenset(
    (
        *(
            b"connection",
            b"keep-alive",
            b"proxy-connection",
            b"te",
            b"trailer",
            b"transfer-encoding",
        ),
        *(b"upgrade", b"proxy-authorization", b"authorization", b"cookie", b"host", b"expect"),
        *(b"content-length", b"content-encoding"),
    )
)
_NEVER_IN = frozenset(
    (
        *("connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"),
        *("set-cookie", "alt-svc"),
    )
)
_ROUTER = Router(
    (
        Model(id="anthropic/claude-a-4.6", upstream="one", aliases=("anthropic/claude-a",)),
        Model(id="anthropic/claude-b*", upstream="two", upstream_model="prefix.claude-b*"),
        Model(id="anthropic/*", upstream="three"),
    )
)
_KEY = ("anthropic/claude-a", "anthropic/claude-b-4-6", "anthropic/claude-c")
_PERMITTED = {"anthropic/claude-a-4-6", "anthropic/claude-b-4-6", "anthropic/claude-c"}
_DECODED_BYTES = (0, 100, 1 << 20)
_STEP_BYTES = 1 << 18
_MAX_MEMBERS = 1024


def parse_call(data: bytes) -> None:
    """Compare both readings of a body, as both kinds of requests."""
    for schema_name in (MESSAGES, COUNT_TOKENS):
        _BODIES.compare(data, schema_name)


def json_object(data: bytes) -> None:
    """Replace some members of an object, one at a time."""
    try:
        read = json_members.read(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    try:
        plainly = members(data)
    except Unreadable:
        return  # inside of values, which `read` does not look at
    if list(read) != list(dict.fromkeys(each.name for each in plainly)):
        raise Broken("other names", list(read))
    for name in list(read)[:5]:
        compare_replaced(
            data, json_members.replace(data, read, name, b"[1]"), plainly, name, b"[1]"
        )


def stream(data: bytes) -> None:
    """Feed a stream in chunks, whose size is the first byte."""
    size = data[0] + 1 if data else 1
    chunks = [data[start : start + size] for start in range(1, len(data), size)]
    for framed in (False, True):
        event_streams.compare(chunks, None, framed=framed)
        event_streams.compare(chunks, event_streams.ECHO, framed=framed)


def header_fields(data: bytes) -> None:
    """Build the fields of both directions from lines, each of which a parser would let through."""
    fields = [
        (match[1], match[2])
        for line in data.split(b"\n")
        if (match := re.fullmatch(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([\t -~\x80-\xff]*)", line))
    ]
    pairs = [(name.decode(), value.decode("utf-8", "surrogateescape")) for name, value in fields]
    received = CIMultiDictProxy(CIMultiDict(pairs))
    lines = iter(_OUTBOUND.render(fields, received).split(b"\r\n"))
    sent = [tuple(line.split(b": ", 1)) for line in lines if line]
    ours = {name.encode() for name, _ in _OURS} | {b"accept-encoding"}
    theirs = [field for field in sent if field[0].lower() not in ours]
    if len(sent) - len(theirs) != len(ours) or (b"x-api-key", b"sk-up") not in sent:
        raise Broken("not ours alone", sent)
    if not _is_part(theirs, fields) or any(name.lower() in _NEVER_OUT for name, _ in theirs):
        raise Broken("what must not go out", theirs)
    passed = headers.response_headers(received)
    if not _is_part(passed.items(), pairs) or any(name.lower() in _NEVER_IN for name in passed):
        raise Broken("what must not come in", list(passed.items()))


def _is_part(some: Iterable[object], of: Iterable[object]) -> bool:
    """Tell whether fields are some of others, in their order."""
    rest = iter(of)
    return all(each in rest for each in some)


def model_id(data: bytes) -> None:
    """Find the route of an id: it goes to the model that it names, and only to one the key permits."""
    wanted = data.decode("utf-8", "replace")
    try:
        route = _ROUTER.find(wanted)
    except UnknownModel:
        if wanted.startswith("anthropic/claude-"):
            raise Broken("an id that a wildcard covers is unknown", wanted) from None
        return
    served = "anthropic/" + route.upstream_model.removeprefix("prefix.").replace(".", "-")
    if served != route.canonical.replace(".", "-"):
        raise Broken("another model is served", (route.canonical, route.upstream_model))
    if route.canonical not in {canonical(wanted), canonical(route.model.id)}:
        raise Broken("another model is found", route)
    if permits(_KEY, route) and served not in _PERMITTED:
        raise Broken("permits another model", route)
    if not permits(_KEY, route) and route.canonical in _PERMITTED:
        raise Broken("does not permit the model", route)


def encoded_body(data: bytes) -> None:
    """Undo an encoding, named by the first byte, and compare with zlib at one go."""
    if not data:
        return
    encoding = ("gzip", "deflate")[data[0] % 2]
    max_bytes = _DECODED_BYTES[data[0] // 2 % 3]
    body = data[1:]
    expected = _undone(body, encoding)
    parts = []
    try:
        for part in content_encoding.decode_steps(body, encoding, max_bytes):
            parts.append(part)
            if len(part) > _STEP_BYTES:
                raise Broken("too large a step", len(part))
    except RequestTooLarge:
        if expected is not None and len(expected) <= max_bytes:
            raise Broken("refuses what is not too large", len(expected)) from None
    except InvalidRequest:
        if expected is not None and len(expected) <= max_bytes:
            raise Broken("refuses what is well encoded") from None
    else:
        if b"".join(parts) != expected or len(expected) > max_bytes:
            raise Broken("decodes to something else", b"".join(parts)[:200])


def _undone(body: bytes, encoding: str) -> bytes | None:
    headless = encoding == "deflate" and body[:1] != b"" and body[0] & 0x0F != zlib.DEFLATED
    done = b""
    for _ in range(_MAX_MEMBERS):
        decoder = zlib.decompressobj(-zlib.MAX_WBITS if headless else zlib.MAX_WBITS | 32)
        try:
            done += decoder.decompress(body)
        except zlib.error:
            return None
        if not decoder.eof:
            return None
        if not (body := decoder.unused_data):
            return done
    return None


def _some_fields(random: Random) -> bytes:
    lines = ambiguous_texts.ambiguous(random, 1).partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    return b"\n".join(lines)


def _some_stream(random: Random) -> bytes:
    return bytes([random.randrange(256)]) + b"".join(stream_texts.stream(random))


def _some_id(random: Random) -> bytes:
    vendor = random.choice((b"anthropic/", b"", b"openai/"))
    return vendor + random.choice((b"claude-a-4.6", b"claude-b-4-6[1m]", b"claude-c", b"gpt-4.1"))


def _some_encoded(random: Random) -> bytes:
    text = b"x" * random.choice((0, 1, 200, 300_000))
    flat = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    encoded = (gzip.compress(text), zlib.compress(text), flat.compress(text) + flat.flush())
    return bytes([random.randrange(6)]) + random.choice(
        (*encoded, encoded[0] * 2, encoded[0] + b"\0")
    )


TARGETS: dict[str, Target] = {
    "parse_call": (parse_call, json_texts.body),
    "json_members": (json_object, json_texts.body),
    "stream_tap": (stream, _some_stream),
    "headers": (header_fields, _some_fields),
    "model_ids": (model_id, _some_id),
    "content_encoding": (encoded_body, _some_encoded),
}
