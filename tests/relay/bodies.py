"""Requests of every odd shape JSON allows, for property tests: as sent, and as they have to arrive."""

from hypothesis import strategies as st

from tests.support.gateways import MODEL

UPSTREAM_MODEL = b"claude-sonnet-4-6"

_SPACE = st.text(" \t\r\n", max_size=3).map(str.encode)
_STRING = st.sampled_from(
    [rb'"\u00e9\ud83d\ude00"', rb'"\/\b\f\n"', '"é😀\u2028"'.encode(), rb'"\""', rb'"a\\"', b'""']
)
_NUMBER = st.sampled_from(
    [b"1", b"-0", b"1.0", b"1e3", b"1E+2", b"0.1000", b"123456789012345678901234567890", b"1e-40"]
)
_WORD = st.sampled_from([b"null", b"true", b"false", b"[ ]", b"{\t}"])
_NAME = st.sampled_from(
    [b'"future_field"', rb'"m\u006fdels"', b'""', b'"Models"', '"é"'.encode(), b'"metadata"']
)


def _list(parts: tuple[bytes, list[bytes]]) -> bytes:
    space, values = parts
    return b"[" + (b"," + space).join(values) + space + b"]"


def _object(parts: tuple[bytes, list[tuple[bytes, bytes]]]) -> bytes:
    space, members = parts
    return b"{" + space + b",".join(b"%s%s:%s" % (n, space, v) for n, v in members) + b"}"


_VALUE: st.SearchStrategy[bytes] = st.recursive(
    _STRING | _NUMBER | _WORD,
    lambda inner: (
        st.tuples(_SPACE, st.lists(inner, max_size=3)).map(_list)
        | st.tuples(_SPACE, st.lists(st.tuples(_STRING, inner), max_size=3)).map(_object)
    ),
    max_leaves=8,
)


@st.composite
def bodies(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """Draw a good body: as sent, and as it has to arrive."""
    model = b'"%s"' % MODEL.encode()
    members = [
        (b'"messages"', b'[{"role": "user", "content": %s}]' % draw(_STRING)),
        (b'"max_tokens"', draw(st.sampled_from([b"1", b"64", b"0"]))),
        (draw(st.sampled_from([b'"model"', rb'"mod\u0065l"'])), model),
        *draw(st.lists(st.tuples(_NAME, _VALUE), max_size=3, unique_by=lambda got: got[0])),
    ]
    sent, due = [], []
    for name, value in draw(st.permutations(members)):
        start = draw(_SPACE) + name + draw(_SPACE) + b":" + draw(_SPACE)
        end = draw(_SPACE)
        arriving = b'"%s"' % UPSTREAM_MODEL if value == model else value
        sent.append(start + value + end)
        due.append(start + arriving + end)
    before, after = draw(_SPACE), draw(_SPACE)
    return (
        before + b"{" + b",".join(sent) + b"}" + after,
        before + b"{" + b",".join(due) + b"}" + after,
    )
