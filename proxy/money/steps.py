"""How what a request cost was reckoned, line by line, by the very prices that charge it. Pure."""

from typing import NamedTuple

import msgspec

from proxy.ledger.row import Row
from proxy.money.prices import Factor, Modifiers, Price, PriceTable, Rates, to_micros
from proxy.money.usage import Billed


class Line(msgspec.Struct, frozen=True):
    """So many of something at a rate.

    Attributes:
        what: `input`, `cache read`, `web searches` and the like.
        count: tokens, or searches.
        nanos_each: nano-dollars of one. `nanos`: of all.
    """

    what: str
    count: int
    nanos_each: int
    nanos: int


class Steps(msgspec.Struct, frozen=True):
    """The sum of a request.

    Attributes:
        tokens: its lines of tokens, which `factors` multiply, each a name, a numerator and a denominator.
        searches: its line of web searches, which nothing multiplies; None: there were none.
        nanos: the sum of all, cut to whole nano-dollars. `cost_micros`: the same, rounded once.
        price: the name of the price.
        fault: why the ledger's cost is another one; '': it is this one.
    """

    tokens: tuple[Line, ...]
    factors: tuple[tuple[str, int, int], ...]
    searches: Line | None
    nanos: int
    cost_micros: int
    price: str
    fault: str = ""


class Priced(NamedTuple):
    """What the prices say of a request.

    Attributes:
        price: of the model that served. `rates`: of a prompt as long as its own.
        factor: what multiplies them.
        billed: its tokens.
    """

    price: Price
    rates: Rates
    factor: Factor
    billed: Billed

    def micros(self, nanos: int) -> int:
        """Return micro-dollars of nano-dollars at the plain rates."""
        num, den = self.factor
        return to_micros(nanos * num // den)


def billed_of(row: Row) -> Billed:
    """Return the tokens of a row as one entry."""
    return Billed(
        row.served_model,
        row.input_tokens or 0,
        row.output_tokens or 0,
        row.cache_write_5m_tokens or 0,
        row.cache_write_1h_tokens or 0,
        row.cache_read_tokens or 0,
        row.web_searches or 0,
    )


def priced(row: Row, table: PriceTable) -> Priced:
    """Return what the prices say of a request that was sent to an upstream."""
    billed = billed_of(row)
    price = table.find(row.served_model, row.upstream_model or row.model or "")
    return Priced(price, price.rates_of(billed), price.factor_of(_modifiers(row, table)), billed)


def steps(row: Row, table: PriceTable) -> Steps | None:
    """Return how the cost of a request comes about; None: it used nothing.

    A row has the sums of its entries; of several at different prices it has no more to tell. Then, as when the prices
    have changed since, the steps come to another cost than the ledger's, which is the one that counts, and `fault` says
    why.
    """
    found = priced(row, table)
    tokens = _tokens(found)
    searched = row.web_searches or 0
    each = found.price.web_search
    searches = Line("web searches", searched, each, searched * each) if searched else None
    if not tokens and searches is None:
        return None
    nanos = found.price.nanos(found.billed, _modifiers(row, table))
    cost_micros = to_micros(nanos)
    return Steps(
        tokens,
        _factors(row, table, found.price),
        searches,
        nanos,
        cost_micros,
        found.price.name,
        "" if cost_micros == row.cost_micros else _fault(row, found.price),
    )


def _tokens(found: Priced) -> tuple[Line, ...]:
    billed, rates = found.billed, found.rates
    lines = (
        Line("input", billed.input, rates.input, billed.input * rates.input),
        Line(
            "cache write, 5 min", billed.write_5m, rates.write_5m, billed.write_5m * rates.write_5m
        ),
        Line("cache write, 1 h", billed.write_1h, rates.write_1h, billed.write_1h * rates.write_1h),
        Line("cache read", billed.read, rates.read, billed.read * rates.read),
        Line("output", billed.output, rates.output, billed.output * rates.output),
    )
    return tuple(line for line in lines if line.count)


def _modifiers(row: Row, table: PriceTable) -> Modifiers:
    return table.modifiers(row.upstream or "", speed=row.speed, geo=row.geo, tier=row.service_tier)


def _factors(row: Row, table: PriceTable, price: Price) -> tuple[tuple[str, int, int], ...]:
    named = table.factors(row.upstream or "", geo=row.geo, tier=row.service_tier)
    modifiers = _modifiers(row, table)
    if modifiers.fast:
        num, den = price.factor_of(Modifiers(fast=True))
        named = (*named, ("fast mode", (num, den)))
    return tuple((name, *factor) for name, factor in named)


def _fault(row: Row, price: Price) -> str:
    if (row.billed_entries or 1) > 1:
        return f"it was billed as {row.billed_entries} calls of models, of which the ledger has the sum"
    if row.price is not None and row.price.startswith("refusal@"):
        return "a refusal without output costs nothing"
    if row.price is None:
        return "the ledger has no price for it, only what it was charged"
    if row.price != price.name:
        return f"it was charged at {row.price}, which is not the price today"
    return "what multiplies the price has changed since"
