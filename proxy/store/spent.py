"""What has been spent so far in a day and its month: what a process that starts adds its own to."""

import calendar
import datetime
import time
from typing import NamedTuple

import sqlalchemy as sa

from proxy.store.engine import reading
from proxy.store.tables import USAGE_DAY

_DAY_MS = 86_400_000
_DAYS = USAGE_DAY.c


class Spent(NamedTuple):
    """What was spent in a UTC day and its month, in micro-dollars, by key and owner; an owner of '' is none.

    Attributes:
        day: days since 1970. `month`: year times 12 and the month, January being 1.
        known_us: `time.monotonic()` in microseconds when that was known, or later.
    """

    day: int
    month: int
    known_us: int
    of_day: dict[tuple[str, str], int]
    of_month: dict[tuple[str, str], int]


def spent(engine: sa.Engine, now_ms: int) -> Spent:
    """Return what was spent in the day and the month of a moment."""
    day = now_ms // _DAY_MS
    date = datetime.date(1970, 1, 1) + datetime.timedelta(day)
    first = day - date.day + 1
    _, days = calendar.monthrange(date.year, date.month)
    with reading(engine) as connection:
        of_day = _by_key(connection, _DAYS.day == day)
        of_month = _by_key(connection, _DAYS.day.between(first, first + days - 1))
    known_us = time.monotonic_ns() // 1000
    return Spent(day, date.year * 12 + date.month, known_us, of_day, of_month)


def _by_key(connection: sa.Connection, when: sa.ColumnElement[bool]) -> dict[tuple[str, str], int]:
    # PostgreSQL's sums of integers are decimals.
    total = sa.cast(sa.func.sum(_DAYS.cost_micros), sa.BigInteger)
    sums = sa.select(_DAYS.key, _DAYS.owner, total).where(when).group_by(_DAYS.key, _DAYS.owner)
    return {(key, owner): micros for key, owner, micros in connection.execute(sums)}
