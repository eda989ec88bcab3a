"""When an upstream wants to be asked again: `retry-after` in seconds or as a date, `retry-after-ms`. Pure."""

import datetime
import email.utils
import math
import re

from multidict import MultiMapping, istr

from proxy.errors import RETRY_AFTER

_RETRY_AFTER_MS = istr("retry-after-ms")
_NUMBER = re.compile(r"\d{1,12}(\.\d{1,12})?", re.ASCII)
_MAX_DATE_CHARS = 40
_MS_PER_S = 1000.0


def read(fields: MultiMapping[str], now_unix_s: float) -> float | None:
    """Return the seconds after which to ask again, 0 or more; None: nothing that can be read says so.

    Args:
        fields: of the response.
        now_unix_s: the time, for a date.
    """
    if (millis := _number(fields.get(_RETRY_AFTER_MS))) is not None:
        return millis / _MS_PER_S
    value = fields.get(RETRY_AFTER)
    if (seconds := _number(value)) is not None:
        return seconds
    return None if value is None else _until(value, now_unix_s)


def _number(value: str | None) -> float | None:
    if value is None or _NUMBER.fullmatch(value.strip()) is None:
        return None
    return float(value)


def _until(value: str, now_unix_s: float) -> float | None:
    if len(value) > _MAX_DATE_CHARS:
        return None
    try:
        at = email.utils.parsedate_to_datetime(value)
        seconds = at.replace(tzinfo=at.tzinfo or datetime.UTC).timestamp() - now_unix_s
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
    return max(0.0, seconds) if math.isfinite(seconds) else None
