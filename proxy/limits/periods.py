"""The periods of budgets: a day and a month, in UTC. Pure.

A request belongs to the period in which its head came, and is settled there, even after midnight. Each period has a
counter of its own, so nothing is reset, and nothing moves when a wall clock jumps.
"""

import datetime
import functools

import msgspec

_DAY_MS = 86_400_000
_DAY_S = 86_400
_EPOCH = datetime.date(1970, 1, 1).toordinal()
_MONTHS = 12
_CACHED_DAYS = 8
_DROPPED = 8


class Periods(msgspec.Struct, frozen=True):
    """A day and its month.

    Attributes:
        day: days since 1970-01-01.
        month: year x 12 + month, January being 1.
        day_name, month_name: what their counters are called: `d20783`, `m24323`.
        day_ends_s, month_ends_s: when the next begins, in Unix seconds.
    """

    day: int
    month: int
    day_name: str
    month_name: str
    day_ends_s: int
    month_ends_s: int


def periods_at(at_ms: int) -> Periods:
    """Return the periods of a moment, given in Unix milliseconds."""
    return periods_of_day(at_ms // _DAY_MS)


@functools.lru_cache(_CACHED_DAYS)
def periods_of_day(day: int) -> Periods:
    """Return the periods of a day, given as days since 1970-01-01."""
    date = datetime.date.fromordinal(_EPOCH + day)
    month = date.year * _MONTHS + date.month
    following = datetime.date(month // _MONTHS, month % _MONTHS + 1, 1)
    return Periods(
        day=day,
        month=month,
        day_name=f"d{day}",
        month_name=f"m{month}",
        day_ends_s=(day + 1) * _DAY_S,
        month_ends_s=(following.toordinal() - _EPOCH) * _DAY_S,
    )


def is_past(name: str, now: str) -> bool:
    """Return whether a counter can go: its period ended before the one that came before that of another of its kind."""
    return int(name[1:]) < int(now[1:]) - 1


def long_past(name: str) -> list[str]:
    """Return the counters, of the kind of one, that may still be there and can go: some before the last."""
    number = int(name[1:])
    return [f"{name[0]}{number - age}" for age in range(2, 2 + _DROPPED)]
