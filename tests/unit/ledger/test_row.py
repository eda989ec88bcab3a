"""A row in a spool is read by later versions; what cannot be stored is made storable."""

import msgspec
import pytest

from proxy.ledger.row import FIELDS, Row, storable

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


def test_the_fields_that_every_spool_has_stay_in_front() -> None:
    assert [field.name for field in FIELDS[:4]] == ["id", "at_ms", "key", "endpoint"]
