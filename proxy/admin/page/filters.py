"""What templates can call: the functions of figures and charts, and times. Pure."""

import datetime
from collections.abc import Callable
from typing import Any

_MS = 1000


def clock(at_ms: int) -> str:
    """Return the time of day in UTC."""
    return _utc(at_ms).strftime("%H:%M:%S")


def moment(at_ms: int) -> str:
    """Return day and time in UTC."""
    return _utc(at_ms).strftime("%Y-%m-%d %H:%M:%S")


def _utc(at_ms: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(at_ms / _MS, datetime.UTC)


FILTERS: dict[str, Callable[..., Any]] = {"clock": clock, "moment": moment}
GLOBALS: dict[str, Callable[..., Any]] = {}
