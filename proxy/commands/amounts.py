"""Numbers, money and times as they are typed in a command line, and as they are shown there."""

import argparse
import datetime
import re

from proxy.admin import moments
from proxy.config_file.tenancy import to_micros

# Takes a limit off.
NONE = "none"
_MAX = 2**53
_DOLLARS = re.compile(r"\d{1,9}(\.\d{1,6})?", re.ASCII)
_MICROS = 1_000_000


def count(text: str) -> int | None:
    """Read a limit: a whole number; `none` is no limit."""
    if text == NONE:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < len(str(_MAX)) and int(text)):
        raise argparse.ArgumentTypeError("must be a whole number from 1, or none")
    return int(text)


def dollars(text: str) -> int | None:
    """Read an amount of dollars as micro-dollars; `none` is no bound."""
    if text == NONE:
        return None
    if _DOLLARS.fullmatch(text) is None:
        raise argparse.ArgumentTypeError(
            "must be dollars such as 25 or 0.50, with no more than six decimals, or none"
        )
    return to_micros(text)


def span_s(text: str) -> int:
    """Read a span of time, in seconds."""
    found = 0 if text == "0" else moments.span_s(text)
    if found is None:
        raise argparse.ArgumentTypeError("must be a time such as 30m, 24h, 7d or 2w, or 0")
    return found


def until(text: str) -> datetime.datetime | None:
    """Read a time to come: a span from now on, a date or a time; `none` is never."""
    return None if text == NONE else _moment(text, direction=1)


def since(text: str) -> datetime.datetime:
    """Read a time that was: a span up to now, a date or a time."""
    return _moment(text, direction=-1)


def _moment(text: str, direction: int) -> datetime.datetime:
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    try:
        return moments.moment(text, now, direction)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def shown_dollars(micros: int) -> str:
    """Write an amount exactly, with cents at least."""
    text = exact_dollars(micros)
    return text[:-4] + text[-4:].rstrip("0")


def exact_dollars(micros: int) -> str:
    """Write an amount with all its decimals, so that a column of amounts is aligned."""
    return f"{micros // _MICROS}.{micros % _MICROS:06}"
