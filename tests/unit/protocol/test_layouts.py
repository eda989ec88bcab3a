"""A body that is read by the layout of one before it is accepted, refused and sent on as without any such knowledge."""

import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import InvalidRequest
from proxy.protocol import layouts, parse
from proxy.protocol.call import COUNT_TOKENS, MESSAGES, Call
from proxy.protocol.parse import parse_call, parse_steps
from tests.unit.protocol.json_texts import VALUES

LIKE = b'{"model":"m","messages":[],"max_tokens":1,"x":{},"stream":true}'


@pytest.fixture(autouse=True)
def _every_body_is_like_the_last(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(layouts, "LEAST_BYTES", 0)
    monkeypatch.setattr(parse, "_SMALL_BYTES", 0)
    monkeypatch.setattr(layouts, "kind", lambda _, schema_name: (schema_name, b"", b"", 0))
    yield
    layouts._kept.clear()


def read(body: bytes, schema_name: str = MESSAGES) -> Call | None:
    try:
        return parse_call(body, schema_name)
    except InvalidRequest:
        return None


def read_afresh(body: bytes, schema_name: str = MESSAGES) -> Call | None:
    layouts._kept.clear()
    return read(body, schema_name)


def known(call: Call | None) -> tuple[object, ...] | None:
    if call is None:
        return None
    beginnings = {name: call.beginning(name, 100) for name in (*call.members, *call.spans)}
    sent = b"".join(call.body_for("up"))
    return call.model, call.stream, call.max_tokens, call.named, beginnings, sent


# Whoever wants the gateway to find a member where none is.
_BAIT = [
    '"a,\\"max_tokens\\":1"',
    '{"model":"other","messages":[],"max_tokens":2,"x":3,"stream":false}',
    '[1],"max_tokens":2',
    '1,"x":2,"x":3',
    '"m","model":"other"',
    '"m","mod\\u0065l":"other"',
    '[{"role":"user","content":[{"type":"tool_use","input":{"a":[],"max_tokens":2,"x":[{}],"stream":1}}]}]',
    '[{"role":"user","content":"hi"}]',
    '[{"role":"user","content":[{"type":"x","tool":{"definition":{"model":"other"}}}]}]',
    " 1 ",
    "1 ",
    "\tnull",
    "\r\n[]",
    "[]\n",
    ' "m"',
    '"\\ud800"',
    '"m"',
    "1",
    "null",
    "true",
    "",
    "}",
    '"',
]
_names = st.sampled_from(
    ["model", "messages", "max_tokens", "x", "stream", "Model", "tools", "mod\\u0065l"]
)
_bodies = st.lists(st.tuples(_names, st.sampled_from(_BAIT) | VALUES), max_size=6).map(
    lambda members: "{" + ",".join(f'"{name}":{value}' for name, value in members) + "}"
)


@given(
    st.lists(_bodies, min_size=1, max_size=4),
    st.dictionaries(_names, st.sampled_from(_BAIT) | VALUES),
    st.sampled_from([MESSAGES, COUNT_TOKENS]),
)
def test_a_body_means_the_same_whichever_came_before_it(
    before: list[str], values: dict[str, str], schema_name: str
) -> None:
    usual = {"model": '"m"', "messages": "[]", "max_tokens": "1", "x": "{}", "stream": "true"}
    near = "{" + ",".join(f'"{name}":{value}' for name, value in (usual | values).items()) + "}"
    bodies = [LIKE, *(each.encode() for each in [*before, near])]
    alone = [known(read_afresh(each, schema_name)) for each in bodies]
    layouts._kept.clear()
    assert [known(read(each, schema_name)) for each in bodies] == alone
    read(LIKE, schema_name)
    assert known(read(bodies[-1], schema_name)) == alone[-1]


@pytest.mark.parametrize("value", _BAIT)
@pytest.mark.parametrize("name", ["model", "messages", "max_tokens", "x", "stream"])
def test_no_value_is_taken_for_the_members_it_is_written_like(name: str, value: str) -> None:
    members = {"model": '"m"', "messages": "[]", "max_tokens": "1", "x": "{}", "stream": "true"}
    body = "{" + ",".join(f'"{each}":{members[each]}' for each in members) + "}"
    assert read(body.encode()) is not None
    members[name] = value
    body = "{" + ",".join(f'"{each}":{members[each]}' for each in members) + "}"
    by_layout = known(read(body.encode()))
    assert by_layout == known(read_afresh(body.encode()))


@pytest.mark.parametrize("place", [b'"x":"%s"', b'"messages":[{"role":"user","content":"%s"}]'])
def test_bytes_that_are_not_utf8_are_found_in_every_member(place: bytes) -> None:
    name = place.partition(b":")[0]
    value = dict(zip((b'"x"', b'"messages"'), (b"{}", b"[]"), strict=True))[name]
    assert read(LIKE) is not None
    for text, is_taken in ((b"\xc3\xa9", True), (b"\xc3", False), (b"\xed\xa0\x80", False)):
        body = LIKE.replace(b"%b:%b" % (name, value), place % text)
        assert body != LIKE
        assert (read(body) is not None) is is_taken


def test_the_second_of_two_alike_is_read_by_the_layout_of_the_first() -> None:
    first, second = read_afresh(LIKE), read(LIKE.replace(b"{}", b'"other"'))
    assert first is not None
    assert second is not None
    assert not second.members
    assert list(second.spans) == ["model", "messages", "max_tokens", "x", "stream"]
    assert second.beginning("x", 100) == b'"other"'


@pytest.mark.parametrize(
    "body",
    [
        LIKE.replace(b",", b", "),
        LIKE.replace(b'"x"', b'"\\u0078"'),
        LIKE.replace(b"{}", b'{},"x":{}'),
        LIKE.replace(b'"x"', b'"%s"' % (b"x" * 65)),
    ],
    ids=["white space", "an escaped name", "a name twice", "a long name"],
)
def test_what_no_other_body_need_be_like_is_not_remembered(body: bytes) -> None:
    assert read_afresh(body) is not None
    assert layouts.suppose(body, MESSAGES) is None


@pytest.mark.parametrize("bytes_of_blocks", [500_000, 700_000], ids=["500 kB", "700 kB"])
def test_what_is_read_with_care_is_so_whichever_came_before_it(bytes_of_blocks: int) -> None:
    def messages(block: bytes) -> bytes:
        blocks = b",".join([block] * (bytes_of_blocks // (len(block) + 1)))
        return LIKE.replace(b"[]", b'[{"role":"user","content":[%b]}]' % blocks)

    many, few = (
        messages(b'{"type":"text"}'),
        messages(b'{"type":"text","text":"%b"}' % (b"x" * 9999)),
    )
    alone = known(read_afresh(many))
    assert read_afresh(few) is not None
    assert known(read(many)) == alone
    assert (alone is None) is (bytes_of_blocks > 1 << 19)


def test_others_get_a_turn_when_it_shows_that_a_layout_was_supposed_wrongly() -> None:
    assert read_afresh(LIKE) is not None
    other = LIKE.replace(b"{}", b'{},"y":1')
    assert len(list(parse_steps(other, MESSAGES))) == 1
    layouts._kept.clear()
    assert not list(parse_steps(other, MESSAGES))


def test_layouts_that_clients_invent_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layouts, "kind", lambda body, schema_name: (schema_name, body, b"", 0))
    for number in range(500):
        assert read(
            json.dumps({**json.loads(LIKE), f"x{number}": 1}, separators=(",", ":")).encode()
        )
    assert len(layouts._kept) == 128
