"""The members of an object keep their bytes, whatever the text looks like."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.protocol import json_members
from tests.unit.protocol.json_texts import VALUES, Written, objects

MODEL = b'"claude-sonnet-4-6"'


@given(objects(unique=True), st.data())
def test_every_byte_but_the_values_stays_when_names_are_single(
    written: Written, data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(written.members) - 1))
    _, name, own = written.members[place]
    value = data.draw(VALUES)
    body = written.text()
    replaced = json_members.replace(body, json_members.read(body), name, value.encode())
    spaces = own[len(own.rstrip(" \t\r\n")) :]
    assert replaced == written.text(place, value + spaces)


@given(objects(unique=False), st.data())
def test_the_result_parses_to_the_same_thing_with_the_value_replaced(
    written: Written, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from([name for _, name, _ in written.members]))
    body = written.text()
    replaced = json_members.replace(body, json_members.read(body), name, MODEL)
    assert json.loads(replaced) == {**json.loads(body), name: json.loads(MODEL)}


@given(objects(unique=False))
def test_a_body_with_doubled_names_is_written_anew_with_the_last_of_each(written: Written) -> None:
    twice = [*written.members, *written.members]
    body = ",".join(before.lstrip(" \t\r\n{,") + own for before, _, own in twice)
    body = f"{{{body}}}"
    name = twice[0][1]
    last = {member: own.rstrip(" \t\r\n") for _, member, own in twice} | {name: MODEL.decode()}
    replaced = json_members.replace(body.encode(), json_members.read(body.encode()), name, MODEL)
    members = json_members.read(replaced)
    assert [(each, bytes(raw).decode()) for each, raw in members.items()] == list(last.items())
    assert len(replaced) == len("{}") + sum(
        len(msgspec.json.encode(each)) + len(own.encode()) + 2 for each, own in last.items()
    ) - len(",")


@given(objects(unique=True))
def test_each_member_is_its_own_bytes(written: Written) -> None:
    members = json_members.read(written.text())
    assert [(name, bytes(raw).decode()) for name, raw in members.items()] == [
        (name, own.rstrip(" \t\r\n")) for _, name, own in written.members
    ]


@pytest.mark.parametrize(
    ("body", "replaced"),
    [
        (b'{"model":"a","model":"b"}', b'{"model":M}'),
        (b'{"model":"a","model":"a"}', b'{"model":M}'),
        (b'{"model":"a","x":1,"model":"a"}', b'{"model":M,"x":1}'),
        (b'{"x":1,"x":2, "model" : "a"}', b'{"x":2,"model":M}'),
        (b'{"x":12,"x":1,"model":"a"}', b'{"x":1,"model":M}'),
        (b'{"x":12,"model":"a","x":1}', b'{"x":1,"model":M}'),
        (b'{"x":1,"model":12,"model":1}', b'{"x":1,"model":M}'),
        (b'{"model":"a","mod\\u0065l":"b"}', b'{"model":M}'),
        (b'{"x":{"model":1},"model":"a"}', b'{"x":{"model":1},"model":M}'),
        (b'{"x":"\\"model\\":1","model":"a"}', b'{"x":"\\"model\\":1","model":M}'),
        (b' {"mod\\u0065l" :"a"} ', b' {"mod\\u0065l" :M} '),
        (b'{"x":"\xff","model":"a"}', b'{"x":"\xff","model":M}'),
    ],
    ids=repr,
)
def test_doubled_names_cannot_split_what_is_checked_from_what_is_served(
    body: bytes, replaced: bytes
) -> None:
    members = json_members.read(body)
    assert json_members.replace(body, members, "model", b"M") == replaced


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"1", b'"x"', b"{", b"{}x", b'{"a":}', b"{1:2}", b'{"a":1,}']
)
def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        json_members.read(body)


def test_a_name_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(UnicodeDecodeError):
        json_members.read(b'{"\xff":1}')


def test_long_names_are_not_remembered() -> None:
    before = json_members._short_layout.cache_info().currsize
    body = b'{"%s":1,"model":"a"}' % (b"x" * 100_000)
    assert json_members.replace(body, json_members.read(body), "model", b"M").endswith(b":M}")
    assert json_members._short_layout.cache_info().currsize == before
