"""Times as people give them, to the command line and to the admin API alike. Pure."""

import datetime
import re

_SPAN = re.compile(r"(\d{1,6})([mhdw])", re.ASCII)
_SPAN_S = {"m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


def span_s(text: str) -> int | None:
    """Return the seconds of a span such as 30m, 24h, 7d or 2w; None: it is none."""
    found = _SPAN.fullmatch(text)
    return None if found is None else int(found[1]) * _SPAN_S[found[2]]


def moment(text: str, now: datetime.datetime, direction: int = -1) -> datetime.datetime:
    """Return a time that is given as a date, as a time, or as a span from now on.

    Args:
        text: a date or a time without a zone is of UTC.
        now: timezone-aware.
        direction: of a span: -1 back, 1 forth.

    Raises:
        ValueError: it is none, or too far away; in a sentence.
    """
    if (span := span_s(text)) is not None:
        try:
            return now + datetime.timedelta(seconds=direction * span)
        except OverflowError:
            raise ValueError("there is no time so far away") from None
    try:
        at = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            "must be a span such as 24h or 7d, a date such as 2027-01-31 or a time such as 2027-01-31T00:00:00Z"
        ) from None
    try:
        return at.astimezone(datetime.UTC) if at.tzinfo else at.replace(tzinfo=datetime.UTC)
    except OverflowError:  # the first or last hours of the calendar, in a zone of their own
        raise ValueError("there is no time so far away") from None
