"""A row in a spool is read by later versions; what cannot be stored is made storable."""

from typing import Any

import msgspec
import pytest

from proxy.ledger.row import FIELDS, Row, from_line, rows_of, storable, to_line, to_lines

ROW = Row("0" * 28, 1, "laptop", "messages")


def test_a_spool_of_an_older_version_is_read_with_defaults() -> None:
    assert msgspec.json.decode(b'["a",1,"laptop","messages"]', type=Row) == Row(
        "a", 1, "laptop", "messages"
    )


def test_a_spool_of_a_newer_version_is_read_without_what_it_added() -> None:
    values = [*msgspec.structs.astuple(ROW), "new", 1]
    assert msgspec.json.decode(msgspec.json.encode(values), type=Row) == ROW


def test_what_was_reported_as_none_is_not_zero() -> None:
    assert ROW.input_tokens is None
    assert msgspec.structs.replace(ROW, input_tokens=0).input_tokens == 0


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ("a\0b", "a?b"),
        ("\ud83d", "?"),
        ("\U0001f600", "\U0001f600"),
        ("x" * 501, "x" * 500),
    ],
    ids=["nul", "half", "astral", "long"],
)
def test_a_text_is_made_storable(value: str, stored: str) -> None:
    assert storable(msgspec.structs.replace(ROW, tag=value)).tag == stored


@pytest.mark.parametrize(
    ("value", "stored"),
    [(True, 1), (2**70, 2**63 - 1), (-(2**70), 1 - 2**63), (1.5, 1)],
    ids=["flag", "large", "small", "fraction"],
)
def test_a_number_is_made_storable(value: float, stored: int) -> None:
    one = storable(msgspec.structs.replace(ROW, bytes_in=value))
    assert (one.bytes_in, type(one.bytes_in)) == (stored, int)


def test_a_storable_row_is_left_as_it_is() -> None:
    assert storable(ROW) == ROW


ODD = {
    "nul": {"tag": "a\0b"},
    "half": {"tag": "\ud83d"},
    "long": {"tag": "x" * 9_000},
    "large": {"bytes_in": 2**70},
    "nothing": {},
}


@pytest.mark.parametrize("values", ODD.values(), ids=ODD)
def test_rows_are_written_together_as_each_alone(values: dict[str, Any]) -> None:
    rows = [ROW, msgspec.structs.replace(ROW, **values), ROW]
    lines = to_lines(rows)
    assert lines == b"".join(to_line(row) + b"\n" for row in rows)
    assert rows_of(lines.splitlines()) == [from_line(to_line(row)) for row in rows]


@pytest.mark.parametrize("torn", [b"", b"[", b'["a",1,"lap', b'["a",1,"laptop",', b"{}", b"\0\0"])
def test_lines_are_read_together_as_each_alone(torn: bytes) -> None:
    line = to_line(ROW)
    assert from_line(torn) is None
    assert rows_of([line, torn, line]) == [ROW, ROW]


def test_the_fields_that_every_spool_has_stay_in_front() -> None:
    assert [field.name for field in FIELDS[:4]] == ["id", "at_ms", "key", "endpoint"]
