"""Paths and bodies of the Vertex dialect, byte for byte; what a body has besides stays as it is."""

import msgspec
import pytest

from proxy.config import Auth, Drop, Upstream
from proxy.protocol import json_members
from proxy.protocol.call import COUNT_TOKENS, MESSAGES, Call
from proxy.protocol.json_members import places
from proxy.protocol.parse import parse_call
from proxy.upstreams import dialects

MODELS = "/publishers/anthropic/models/"
OURS = b'"anthropic_version":"vertex-2023-10-16"'
UPSTREAM = Upstream("v", "https://h/v1", Auth("bearer", "t"), dialect="vertex")

BODIES = {
    "the only member": (b'{"model":"m"}', b"{%b}"),
    "first": (b'{"model":"m","max_tokens":1}', b'{%b,"max_tokens":1}'),
    "last": (b'{"max_tokens":1.0,"model":"m"}', b'{"max_tokens":1.0,%b}'),
    "between": (b'{"a":1,"model":"m","b":"m"}', b'{"a":1,%b,"b":"m"}'),
    "with white space": (
        b'\n{ "a" : 1e2 ,\t"model" \n:\r "m" , "b" : "\\u00e4" } ',
        b'\n{ "a" : 1e2 ,\t%b , "b" : "\\u00e4" } ',
    ),
    "with an escaped name": (b'{"a":1,"mod\\u0065l":"m"}', b'{"a":1,%b}'),
    "beside escaped names": (b'{"\\"model\\"":"x","model":"m"}', b'{"\\"model\\"":"x",%b}'),
    "beside models further in": (
        b'{"a":{"model":"x"},"model":"m","b":["\\"model\\":"]}',
        b'{"a":{"model":"x"},%b,"b":["\\"model\\":"]}',
    ),
    "twice": (b'{"model":"x","a": 1,"model":"m"}', b'{%b,"a":1}'),
    "beside a name that comes twice": (b'{"a":1, "model":"m","a":2}', b'{"a":2,%b}'),
    "with a quote in its id": (b'{"model":"m\\":\\"","a":1}', b'{%b,"a":1}'),
}


@pytest.mark.parametrize(("body", "sent"), BODIES.values(), ids=BODIES)
def test_the_version_takes_the_place_of_the_model(body: bytes, sent: bytes) -> None:
    assert b"".join(dialects.vertex_body(*places(body), keep_model=False)) == sent % OURS


COUNTED = {
    "first": (b'{"model":"m","a":1}', b'{%b,"model":"m","a":1}'),
    "last": (b'{ "a": 1, "model": "m" }', b'{ "a": 1, %b,"model": "m" }'),
    "with an escaped name": (b'{"mod\\u0065l":"m"}', b'{%b,"mod\\u0065l":"m"}'),
    "twice": (b'{"model":"x","a":1,"model":"m"}', b'{%b,"model":"m","a":1}'),
}


@pytest.mark.parametrize(("body", "sent"), COUNTED.values(), ids=COUNTED)
def test_a_count_keeps_its_model(body: bytes, sent: bytes) -> None:
    assert b"".join(dialects.vertex_body(*places(body), keep_model=True)) == sent % OURS


@pytest.mark.parametrize(
    ("keep_model", "sent"),
    [
        (False, b'{"anthropic_version":"vertex-x","a":1.0}'),
        (True, b'{"anthropic_version":"vertex-x","model":"m","a":1.0}'),
    ],
    ids=["a message", "a count"],
)
def test_a_version_of_the_clients_own_stays(keep_model: bool, sent: bytes) -> None:  # noqa: FBT001 - a parameter of the table
    body = b'{"anthropic_version":"vertex-x","model":"m","a":1.0}'
    assert b"".join(dialects.vertex_body(*places(body), keep_model=keep_model)) == sent


PATHS = {
    "plain": ("claude-opus-5-5", "claude-opus-5-5"),
    "with a date": ("claude-opus-4-1@20250805", "claude-opus-4-1@20250805"),
    "that would leave the path": ("../x?a#b", "..%2Fx%3Fa%23b"),
    "with another verb": ("m:predict;x", "m%3Apredict%3Bx"),
    "with escapes": ("a%2Fb c", "a%252Fb%20c"),
    "beyond ASCII": ("ä", "%C3%A4"),
}


@pytest.mark.parametrize(("model", "segment"), PATHS.values(), ids=PATHS)
def test_a_model_is_one_segment_of_the_path(model: str, segment: str) -> None:
    assert dialects.vertex_path(model, stream=False) == f"{MODELS}{segment}:rawPredict"
    assert dialects.vertex_path(model, stream=True) == f"{MODELS}{segment}:streamRawPredict"


WHOLE = b'{"model":"a", "max_tokens":1,"messages":[{"role":"user","content":"x"}]%b}'
REQUESTS = {
    "whole": (b"", MESSAGES, "/v1/messages", "o@1:rawPredict"),
    "no stream": (b',"stream":false', MESSAGES, "/v1/messages", "o@1:rawPredict"),
    "a stream": (b',"stream":true', MESSAGES, "/v1/messages", "o@1:streamRawPredict"),
    "with a query": (b',"stream":true', MESSAGES, "/v1/messages?beta=true", "o@1:streamRawPredict"),
    "a count": (
        b"",
        COUNT_TOKENS,
        "/v1/messages/count_tokens?beta=true",
        "count-tokens:rawPredict",
    ),
}


@pytest.mark.parametrize(("more", "schema", "path_qs", "path"), REQUESTS.values(), ids=REQUESTS)
def test_a_call_is_asked_in_the_dialect(more: bytes, schema: str, path_qs: str, path: str) -> None:
    call = parse_call(WHOLE % more, schema)
    found, pieces = dialects.rewritten(UPSTREAM, path_qs, call, "o@1")
    kept = b',"model":"o@1"' if schema == COUNT_TOKENS else b""
    assert found == MODELS + path
    assert b"".join(pieces) == (WHOLE % more).replace(b'"model":"a"', OURS + kept)


@pytest.mark.parametrize(
    ("dialect", "path", "sent"),
    [
        ("messages", "/v1/messages?x", b'{"model":"m","a":1.0}'),
        ("vertex", f"{MODELS}m:rawPredict", b'{%b,"a":1.0}' % OURS),
    ],
)
def test_what_is_dropped_is_so_in_every_dialect(dialect: str, path: str, sent: bytes) -> None:
    upstream = Upstream("u", "https://h", drop=Drop(members=("metadata",)), dialect=dialect)
    assert dialects.is_rewritten(upstream)
    body = b'{"model":"m","metadata":{},"a":1.0}'
    call = Call(body, "m", stream=False, max_tokens=1, members=json_members.read(body))
    found, pieces = dialects.rewritten(upstream, "/v1/messages?x", call, "m")
    assert (found, b"".join(pieces)) == (path, sent)


LARGE = (
    b'{"metadata":{"user_id":"u"}, "model":"a","messages":[{"role":"user","content":"%b"}],"max_tokens":1,'
    b'"fallbacks":[{"model":"b"}] ,"tools":[]}' % (b"x" * 3_000_000)
)


@pytest.mark.parametrize("dropped", [(), ("metadata",), ("metadata", "tools")], ids=len)
@pytest.mark.parametrize("dialect", ["messages", "vertex"])
def test_a_large_body_is_written_as_a_small_one_and_not_decoded_again(
    dialect: str, dropped: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream = Upstream("u", "https://h", drop=Drop(members=dropped), dialect=dialect)
    small = parse_call(LARGE.replace(b"x" * 3_000_000, b"x"), MESSAGES)
    large = parse_call(LARGE, MESSAGES)
    assert not large.members
    assert large.named
    monkeypatch.setattr(json_members, "read", None)  # of a large one it takes 50 ms
    _, pieces = dialects.rewritten(upstream, "/v1/messages", large, "longer", ("b@2",))
    monkeypatch.undo()
    _, expected = dialects.rewritten(upstream, "/v1/messages", small, "longer", ("b@2",))
    assert b"".join(pieces).replace(b"x" * 3_000_000, b"x") == b"".join(expected)
    sent = msgspec.json.decode(b"".join(expected))
    assert sent["fallbacks"] == [{"model": "b@2"}]
    assert sent.keys().isdisjoint(dropped)
    assert (sent.get("model"), sent.get("anthropic_version")) == (
        (None, "vertex-2023-10-16") if dialect == "vertex" else ("longer", None)
    )


def test_an_upstream_of_the_api_itself_is_asked_as_ever() -> None:
    assert not dialects.is_rewritten(Upstream("u", "https://h", drop=Drop(betas=("b",))))
