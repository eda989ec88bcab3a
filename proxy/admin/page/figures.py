"""Figures for people: money, tokens, shares, spans and times as pages and commands show them. Pure."""

import datetime
from fractions import Fraction

# What is not known, or not there.
NONE = "-"

_MICROS = 1_000_000
# Below a dollar four decimals are shown, from there on two.
_MICROS_OF_LAST_DECIMAL = 100
_MICROS_OF_CENT = 10_000
# A million tokens at a nano-dollar each, in micro-dollars.
_MICROS_PER_NANO_OF_TOKEN = 1_000
_EXACT_TOKENS = 10_000
_UNITS = ((1_000, "k"), (1_000_000, "M"), (1_000_000_000, "B"))
_BYTE_UNITS = ((1_000, "kB"), (1_000_000, "MB"), (1_000_000_000, "GB"))
_MS = 1_000
_MINUTE_S = 60
_HOUR_S = 3_600
_DAY_S = 86_400
# Below which span, its unit and decimals; just below a bound, the next form is what it rounds to.
_SHORT_SPANS = (
    (9.95, 1, 1, "ms"),
    (999.5, 1, 0, "ms"),
    (9_995, _MS, 2, "s"),
    (59_950, _MS, 1, "s"),
)


def money(micros: int | None) -> str:
    """Return an amount: four decimals below a dollar, two above; what is not nothing never looks like it."""
    if micros is None:
        return NONE
    if micros < 0:
        return f"-{money(-micros)}"
    if micros == 0:
        return "$0"
    rounded = _rounded(micros, _MICROS_OF_LAST_DECIMAL)
    if rounded == 0:
        return "<$0.0001"
    if rounded < _MICROS:
        return f"$0.{rounded // _MICROS_OF_LAST_DECIMAL:04}"
    cents = _rounded(micros, _MICROS_OF_CENT) // _MICROS_OF_CENT
    return f"${cents // 100:,}.{cents % 100:02}"


def exact_money(micros: int | None) -> str:
    """Return an amount with all its decimals."""
    if micros is None:
        return NONE
    sign, whole = "-" if micros < 0 else "", abs(micros)
    return f"{sign}${whole // _MICROS:,}.{whole % _MICROS:06}"


def bound(micros: int) -> str:
    """Return an amount that somebody has set: exactly, with cents at least."""
    text = exact_money(micros)
    return f"{text[:-4]}{text[-4:].rstrip('0')}"


def rate(nanos_per_token: int | None) -> str:
    """Return the price of a million tokens, with cents at least."""
    if nanos_per_token is None:
        return NONE
    return f"{bound(nanos_per_token * _MICROS_PER_NANO_OF_TOKEN)}/M"


def nanos(amount: int) -> str:
    """Return an amount of nano-dollars with all its decimals, micro-dollars at least."""
    whole, part = divmod(amount, 1_000_000_000)
    digits = f"{part:09}"
    return f"${whole:,}.{digits[:6]}{digits[6:].rstrip('0')}"


def factor(num: int, den: int) -> str:
    """Return a fraction as a decimal number, if it is one of few digits; else as it is."""
    text = f"{num / den:.6f}".rstrip("0").rstrip(".")
    return text if Fraction(text) == Fraction(num, den) else f"{num}/{den}"


def count(number: int | None) -> str:
    """Return a number with its thousands apart."""
    return NONE if number is None else f"{number:,}"


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return how many there are of something, such as `1 request` and `2 requests`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def tokens(number: int | None) -> str:
    """Return a number of tokens: exact below 10,000, else such as 142.9 k and 31.2 M."""
    if number is None or abs(number) < _EXACT_TOKENS:
        return count(number)
    return _scaled(number, _UNITS)


def size(number_bytes: int | None) -> str:
    """Return a size such as 812 B and 12.3 kB."""
    if number_bytes is None:
        return NONE
    return f"{number_bytes} B" if number_bytes < _MS else _scaled(number_bytes, _BYTE_UNITS)


def share(part: float | None, whole: float | None) -> str:
    """Return a share as percent; only nothing is 0 %, and only everything is 100 %."""
    if part is None or not whole:
        return NONE
    if part == whole:
        return "100 %"
    percent = 100 * part / whole
    if percent == 0:
        return "0 %"
    if 0 < percent < 0.1:  # noqa: PLR2004 -- the last decimal shown
        return "<0.1 %"
    if 99.9 < percent < 100:  # noqa: PLR2004 -- the last decimal shown
        return ">99.9 %"
    return f"{percent:,.1f} %"


def change(now: float, before: float | None) -> str:
    """Return by how much something is more or less than before, such as +12 %."""
    if not before:
        return NONE
    percent = round(100 * (now - before) / before)
    return f"{percent:+,} %" if percent else "0 %"


def duration(ms: float | None) -> str:
    """Return a span such as 0.8 ms, 412 ms, 1.93 s, 6 min 12 s, 1 h 5 min and 3 d 4 h."""
    if ms is None:
        return NONE
    if ms < 0:
        return f"-{duration(-ms)}"
    for below_ms, unit_ms, decimals, name in _SHORT_SPANS:
        if ms < below_ms:
            return f"{ms / unit_ms:.{decimals if ms else 0}f} {name}"
    whole_s = round(ms / _MS)
    if whole_s < _HOUR_S:
        return _two(whole_s, _MINUTE_S, "min", 1, "s")
    if whole_s < _DAY_S:
        return _two(whole_s, _HOUR_S, "h", _MINUTE_S, "min")
    return _two(whole_s, _DAY_S, "d", _HOUR_S, "h")


def day(at_ms: int | None) -> str:
    """Return the day in UTC."""
    return _written(at_ms, "%Y-%m-%d")


def clock(at_ms: int | None) -> str:
    """Return the time of day in UTC."""
    return _written(at_ms, "%H:%M:%S")


def exact_clock(at_ms: int | None) -> str:
    """Return the time of day in UTC, with milliseconds."""
    return NONE if at_ms is None else f"{clock(at_ms)}.{at_ms % _MS:03}"


def moment(at_ms: int | None) -> str:
    """Return day and time in UTC."""
    return _written(at_ms, "%Y-%m-%d %H:%M:%S")


def minute(at_ms: int | None) -> str:
    """Return day and time in UTC, to the minute."""
    return _written(at_ms, "%Y-%m-%d %H:%M")


def ended(at_ms: int | None, began_ms: int | None) -> str:
    """Return the time of day in UTC of what began before; with its day, if that is another one."""
    return clock(at_ms) if day(at_ms) == day(began_ms) else moment(at_ms)


def _written(at_ms: int | None, form: str) -> str:
    if at_ms is None:
        return NONE
    return datetime.datetime.fromtimestamp(at_ms // _MS, datetime.UTC).strftime(form)


def _rounded(number: int, step: int) -> int:
    return (number + step // 2) // step * step


def _scaled(number: int, units: tuple[tuple[int, str], ...]) -> str:
    for unit, name in units:
        scaled = number / unit
        if abs(scaled) < _MS - 0.05 or (unit, name) == units[-1]:
            break
    return f"{scaled:,.1f} {name}"


def _two(number: int, large: int, large_name: str, small: int, small_name: str) -> str:
    """Return a number as two units, without the smaller one where there is none of it."""
    rest = number % large // small
    return f"{number // large} {large_name}" + (f" {rest} {small_name}" if rest else "")
