"""How a key is, in one word, for commands and pages alike."""

import datetime

import pytest

from proxy.access.records import KeyRecord
from proxy.admin.shown import shown_key, shown_static_key, state_of
from proxy.config import Key

AT_MS = 1_795_000_000_000
DAY_MS = 86_400_000


@pytest.mark.parametrize(
    ("ends_in_ms", "disabled", "state"),
    [
        (None, False, "active"),
        (8 * DAY_MS, False, "active"),
        (6 * DAY_MS, False, "expiring"),
        (1_000, False, "expiring"),
        (0, False, "expired"),
        (-400 * DAY_MS, False, "expired"),
        (None, True, "disabled"),
        (-DAY_MS, True, "disabled"),
    ],
)
def test_a_key_of_the_store_and_one_of_the_configuration_are_in_the_same_state(
    ends_in_ms: int | None,
    disabled: bool,  # noqa: FBT001 - a column of the table
    state: str,
) -> None:
    ends_ms = None if ends_in_ms is None else AT_MS + ends_in_ms
    kept = KeyRecord(name="k", expires_at_ms=ends_ms, disabled=disabled)
    ends = (
        None if ends_ms is None else datetime.datetime.fromtimestamp(ends_ms / 1000, datetime.UTC)
    )
    static = Key("k", expires_at=ends, disabled=disabled)
    assert state_of(shown_key(kept), AT_MS) == state
    assert state_of(shown_static_key(static), AT_MS) == state
