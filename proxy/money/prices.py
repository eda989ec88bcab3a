"""What tokens cost. Pure.

Rates are integers of nano-dollars per token, so that a sum of tokens times rates is exact: 1 dollar per million tokens
is 1000. What multiplies it (fast mode, where it runs, the operator's factors) is one fraction, with one division at the
end, and a request is rounded once, to micro-dollars, half of one upwards. Web searches cost the same everywhere.
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from proxy.money.usage import Billed
from proxy.routing.model_ids import native

UNKNOWN = "unknown"

_DATE = re.compile(r"-\d{8}$")
# Behind ids as clouds spell them.
_VERSION = re.compile(r"-v\d+(?::\d+)?$")
# Some write the family behind the number.
_FAMILY_LAST = re.compile(r"claude-(\d(?:-\d)?)-([a-z]+)(?![a-z])")
_MAX_KEPT = 1000

Factor = tuple[int, int]
"""A fraction: numerator and denominator."""

_FAST = (2, 1)
_ONE = (1, 1)


class Rates(NamedTuple):
    """Nano-dollars per token."""

    input: int
    output: int
    write_5m: int
    write_1h: int
    read: int


class Modifiers(NamedTuple):
    """What a request's rates are multiplied by.

    Attributes:
        num, den: one fraction of all that does not depend on the model.
        fast: whether it ran in fast mode, whose multiple is each model's own.
    """

    num: int = 1
    den: int = 1
    fast: bool = False


class Price(NamedTuple):
    """What one model costs.

    Attributes:
        id: as in the price file, perhaps a wildcard.
        name: with the version of the file, or where else it is from: it tells this price from all others, for ever.
        rates: of a prompt of ordinary length.
        long_rates: of the whole request when its prompt is over `long_over` tokens; None: there are none.
        long_over: see `long_rates`.
        fast: the multiple of fast mode; None: the model is not known to have one, and `2` counts.
        web_search: nano-dollars of one search.
    """

    id: str
    name: str
    rates: Rates
    long_rates: Rates | None = None
    long_over: int = 0
    fast: Factor | None = None
    web_search: int = 0

    def nanos(self, billed: Billed, modifiers: Modifiers) -> int:
        """Return the nano-dollars that one entry costs, cut to whole ones."""
        # As `rates_of` and `factor_of`, which every request would pay calls for, twice.
        rates = self.rates
        if self.long_rates is not None and billed.prompt > self.long_over:
            rates = self.long_rates
        num, den, is_fast = modifiers
        if is_fast:
            fast = self.fast or _FAST
            num, den = num * fast[0], den * fast[1]
        fresh, output, write_5m, write_1h, read = rates
        nanos = (
            billed.input * fresh
            + billed.output * output
            + billed.write_5m * write_5m
            + billed.write_1h * write_1h
            + billed.read * read
        )
        return nanos * num // den + billed.web_searches * self.web_search

    def rates_of(self, billed: Billed) -> Rates:
        """Return the rates of an entry, by the length of its prompt."""
        if self.long_rates is not None and billed.prompt > self.long_over:
            return self.long_rates
        return self.rates

    def factor_of(self, modifiers: Modifiers) -> Factor:
        """Return what the rates are multiplied by."""
        if not modifiers.fast:
            return modifiers.num, modifiers.den
        num, den = self.fast or _FAST
        return modifiers.num * num, modifiers.den * den

    def cost_micros(self, billed: Billed, modifiers: Modifiers) -> int:
        """Return the micro-dollars that a request of one entry costs."""
        return (self.nanos(billed, modifiers) + 500) // 1000  # as `to_micros`


def to_micros(nanos: int) -> int:
    """Round nano-dollars to micro-dollars, half of one upwards."""
    return (nanos + 500) // 1000


class PriceTable:
    """All prices.

    Args:
        version: of the price file.
        unknown: what a model costs that no row names.
        tables: rows by their ids, those that count first first.
        tiers, geos: factors by `usage.service_tier` and `usage.inference_geo`; what is not named costs as ever.
        multiplier: of everything. `upstreams`: of what one upstream serves.
    """

    def __init__(
        self,
        version: str,
        unknown: Price,
        tables: Sequence[Mapping[str, Price]],
        *,
        tiers: Mapping[str, Factor] | None = None,
        geos: Mapping[str, Factor] | None = None,
        multiplier: Factor = _ONE,
        upstreams: Mapping[str, Factor] | None = None,
    ) -> None:
        self.version = version
        self.unknown = unknown
        self._tables = [
            (
                {name: price for name, price in table.items() if not name.endswith("*")},
                sorted(
                    ((name[:-1], price) for name, price in table.items() if name.endswith("*")),
                    key=lambda row: -len(row[0]),
                ),
            )
            for table in tables
        ]
        self._tiers = tiers or {}
        self._geos = geos or {}
        self._multiplier = multiplier
        self._of_upstreams = dict(upstreams or {})
        self._upstreams = {
            name: (factor[0] * multiplier[0], factor[1] * multiplier[1])
            for name, factor in (upstreams or {}).items()
        }
        self._plain = {name: Modifiers(*factor) for name, factor in self._upstreams.items()}
        self._plain_elsewhere = Modifiers(*multiplier)
        self._kept: dict[str, Price] = {}

    def find(self, served: str | None, upstream_model: str) -> Price:
        """Return the price of a model: of the configured rows, then of the file, exact ids before wildcards.

        Args:
            served: the one that the response names; None when it names none.
            upstream_model: the one that was asked for upstream, which then counts.
        """
        model = served or upstream_model
        price = self._kept.get(model)
        if price is None:
            # Upstreams choose what they call a model, and may choose ever new names.
            if len(self._kept) >= _MAX_KEPT:
                self._kept.clear()
            price = self._kept[model] = self._look_up(spelled(model))
        return price

    def modifiers(
        self,
        upstream: str,
        *,
        speed: str | None = None,
        geo: str | None = None,
        tier: str | None = None,
    ) -> Modifiers:
        """Return what a request's rates are multiplied by.

        Args:
            upstream: the name of the one that served it.
            speed: as the usage tells it, as `geo` and `tier`.
            geo: where it ran.
            tier: of service.
        """
        if speed != "fast" and tier not in self._tiers and geo not in self._geos:
            return self._plain.get(upstream, self._plain_elsewhere)
        num, den = self._upstreams.get(upstream, self._multiplier)
        for factor in (self._tiers.get(tier or "", _ONE), self._geos.get(geo or "", _ONE)):
            num, den = num * factor[0], den * factor[1]
        return Modifiers(num, den, speed == "fast")

    def factors(
        self,
        upstream: str,
        *,
        geo: str | None = None,
        tier: str | None = None,
    ) -> tuple[tuple[str, Factor], ...]:
        """Return what `modifiers` multiplies, each by its name, but for fast mode, and for what changes nothing."""
        named = (
            ("multiplier", self._multiplier),
            (f"upstream {upstream}", self._of_upstreams.get(upstream, _ONE)),
            (f"tier {tier}", self._tiers.get(tier or "", _ONE)),
            (f"geo {geo}", self._geos.get(geo or "", _ONE)),
        )
        return tuple((name, factor) for name, factor in named if factor[0] != factor[1])

    def _look_up(self, model: str) -> Price:
        undated = _DATE.sub("", model)
        for exact, wildcards in self._tables:
            price = exact.get(model) or exact.get(undated)
            if price is not None:
                return price
            for prefix, price in wildcards:
                if model.startswith(prefix):
                    return price
        return self.unknown


def spelled(model: str) -> str:
    """Return an id spelled as price files do: without vendor, region and version, dashes for dots, the family first."""
    model = native(model.removesuffix("[1m]")).rpartition("/")[2].replace("@", "-")
    _, clouds, name = model.rpartition("anthropic.")
    if clouds:
        model = _VERSION.sub("", name)
    return _FAMILY_LAST.sub(r"claude-\2-\1", model, count=1)
