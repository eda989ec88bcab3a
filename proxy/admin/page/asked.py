"""What the query of a page asks for: since when, by what, of whom. Pure."""

import datetime
from collections.abc import Mapping
from typing import Any

from proxy.admin.moments import moment
from proxy.errors import InvalidRequest

_MS = 1000
_DAY_MS = 86_400_000
# As links of a page; any other span, date or time can be typed.
SPANS = (("today", "today"), ("24h", "24 h"), ("7d", "7 d"), ("30d", "30 d"))


def since_ms(query: Mapping[str, str], now_ms: int, default: str) -> int:
    """Return since when, in Unix milliseconds.

    Args:
        query: with `since`: `today`, a span such as 7d, a date or a time.
        now_ms: the time.
        default: what counts without it.

    Raises:
        InvalidRequest: it is none of them.
    """
    text = query.get("since") or default
    if text == "today":
        return now_ms // _DAY_MS * _DAY_MS
    try:
        # A `+` of a zone comes as a space when nobody has encoded it.
        at = moment(
            text.replace(" ", "+"), datetime.datetime.fromtimestamp(now_ms / _MS, datetime.UTC)
        )
    except ValueError as error:
        raise InvalidRequest(f"since: {error}") from None
    return int(at.timestamp() * _MS)


def filters(query: Mapping[str, str], *names: str) -> dict[str, Any]:
    """Return what of a scope the query asks for; what is empty in a form is not asked for."""
    return {name: query[name] for name in names if query.get(name)}


def number(query: Mapping[str, str], name: str) -> int:
    """Return a number of the query; 0: it is not there.

    Raises:
        InvalidRequest: it is none, or too large for a page.
    """
    text = query.get(name) or "0"
    if not (text.isascii() and text.isdigit() and len(text) <= 6):  # noqa: PLR2004 - digits of a million pages
        raise InvalidRequest(f"{name}: must be a whole number below 1000000")
    return int(text)
