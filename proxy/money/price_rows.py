"""From the price file's words to a `PriceTable`, with everything that is wrong told by its place. Pure.

Amounts are read as the decimal numbers that were written. A rate that is no whole number of nano-dollars per token, a
misspelt or missing member, or an id that comes twice stops the start: no request is charged by a guess.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any

from proxy.money.prices import UNKNOWN, Factor, Price, PriceTable, Rates, spelled

CONFIGURED = "config"
"""The version of rows that are configured."""

_RATES = {
    "input": "input",
    "output": "output",
    "cache_write_5m": "write_5m",
    "cache_write_1h": "write_1h",
    "cache_read": "read",
}
_FILE = {"version", "unknown", "web_search_per_1000", "geo", "tier", "models"}
_NANOS_PER_TOKEN = 1000
_NANOS_PER_SEARCH = 10**6
_MAX_RATE = 10**9
_MAX_FACTOR = 1000
_MAX_DIGITS = 12
_MAX_CHARS = 100


class PriceError(Exception):
    """The prices cannot be used.

    Attributes:
        faults: everything wrong with them, each `place: what is wrong`, on one line.
    """

    def __init__(self, *faults: str) -> None:
        self.faults = faults
        super().__init__("\n".join(faults))


def build(
    document: Any,
    *,
    overrides: Sequence[Mapping[str, Any]] = (),
    multiplier: Any = 1,
    upstreams: Mapping[str, Any] | None = None,
) -> PriceTable:
    """Build the table.

    Args:
        document: of the price file, decoded.
        overrides: rows of the file's shape that count before it.
        multiplier: of every price.
        upstreams: factors of what each serves, by its name.

    Raises:
        PriceError: with everything that is wrong.
    """
    reader = _Reader()
    file = reader.mapping(document, "file", _FILE)
    version = reader.text(file, "version", "file")
    search = reader.whole(file.get("web_search_per_1000"), "web_search_per_1000", _NANOS_PER_SEARCH)
    rates = reader.rates(reader.mapping(file.get("unknown"), "unknown", set(_RATES)), "unknown")
    models = reader.rows(file.get("models"), "models", version, search)
    configured = reader.rows(overrides, "overrides", CONFIGURED, search)
    table = PriceTable(
        version,
        Price(UNKNOWN, f"{UNKNOWN}@{version}", rates, web_search=search),
        (configured, models),
        tiers=reader.factors(file.get("tier", {}), "tier"),
        geos=reader.factors(file.get("geo", {}), "geo"),
        multiplier=reader.factor(multiplier, "multiplier"),
        upstreams=reader.factors(upstreams or {}, "upstreams"),
    )
    if reader.faults:
        raise PriceError(*reader.faults)
    return table


class _Reader:
    """Reads values, and notes what is wrong instead of raising it; what it returns then is never used."""

    def __init__(self) -> None:
        self.faults: list[str] = []

    def rows(self, rows: Any, place: str, version: str, search: int) -> dict[str, Price]:
        found: dict[str, Price] = {}
        if isinstance(rows, str) or not isinstance(rows, Sequence):
            self._fail(place, "must be a list")
            return found
        for index, row in enumerate(rows):
            here = f"{place}.{index}"
            known = {"id", "fast", "long_prompt", "source", *_RATES}
            entry = self.mapping(row, here, known)
            written = self.text(entry, "id", here)
            name = spelled(written)
            if name in found:
                self._fail(here, f"id: comes twice, also as {found[name].id}")
            if "*" in name[:-1]:
                self._fail(here, "id: only its last character may be a *")
            long_rates, long_over = None, 0
            if (long := entry.get("long_prompt")) is not None:
                there = f"{here}.long_prompt"
                tier = self.mapping(long, there, {"over_tokens", *_RATES})
                long_rates = self.rates(tier, there)
                long_over = self.whole(tier.get("over_tokens"), f"{there}.over_tokens", 1)
            fast = entry.get("fast")
            found[name] = Price(
                written,
                f"{written}@{version}",
                self.rates(entry, here),
                long_rates,
                long_over,
                None if fast is None else self.factor(fast, f"{here}.fast"),
                search,
            )
        return found

    def rates(self, entry: Mapping[str, Any], place: str) -> Rates:
        return Rates(
            **{
                field: self.whole(entry.get(name), f"{place}.{name}", _NANOS_PER_TOKEN)
                for name, field in _RATES.items()
            }
        )

    def mapping(self, value: Any, place: str, known: set[str]) -> Mapping[str, Any]:
        if not isinstance(value, Mapping):
            self._fail(place, "must be a mapping")
            return {}
        for name in value:
            if name not in known:
                self._fail(place, f"{ascii(name)[:_MAX_CHARS]} is not known here")
        return value

    def text(self, entry: Mapping[str, Any], name: str, place: str) -> str:
        value = entry.get(name)
        if not (isinstance(value, str) and value.isascii() and value.isprintable() and value):
            self._fail(f"{place}.{name}", "must be text of ASCII characters; put it in quotes")
            return ""
        if len(value) > _MAX_CHARS or " " in value or value == UNKNOWN:
            self._fail(f"{place}.{name}", f"must be one word of at most {_MAX_CHARS} characters")
        return value

    def factors(self, entries: Any, place: str) -> dict[str, Factor]:
        if not isinstance(entries, Mapping):
            self._fail(place, "must be a mapping")
            return {}
        return {str(name): self.factor(value, f"{place}.{name}") for name, value in entries.items()}

    def factor(self, value: Any, place: str) -> Factor:
        number = value if isinstance(value, Fraction) else self._number(value, place)
        if number is None:
            return 1, 1
        if not 0 <= number <= _MAX_FACTOR:
            self._fail(place, f"must be between 0 and {_MAX_FACTOR}")
        return number.as_integer_ratio()

    def whole(self, value: Any, place: str, units: int) -> int:
        """Return a number times `units`, which has to be whole."""
        number = self._number(value, place)
        if number is None:
            return 0
        if not 0 <= number <= _MAX_RATE // units:
            self._fail(place, f"must be between 0 and {_MAX_RATE // units}")
            return 0
        scaled = number * units
        if scaled != scaled.to_integral_value():
            digits = len(str(units)) - 1
            bound = f"has more than {digits} digits behind the point" if digits else "must be whole"
            self._fail(place, bound)
        return int(scaled)

    def _number(self, value: Any, place: str) -> Decimal | None:
        number = None
        if isinstance(value, int | float | str | Decimal) and not isinstance(value, bool):
            try:
                number = Decimal(str(value))
            except InvalidOperation:
                number = None
        if number is None or not number.is_finite() or not _is_short(number):
            self._fail(place, "is missing" if value is None else "must be a number")
            return None
        return number

    def _fail(self, place: str, text: str) -> None:
        self.faults.append(f"{place}: {text}")


def _is_short(number: Decimal) -> bool:
    _, digits, exponent = number.as_tuple()
    return len(digits) <= _MAX_DIGITS and abs(int(exponent)) <= _MAX_DIGITS
