"""From what is known of an ended request to what it cost, and how well that is known. Pure.

| its end | `usage_source`: input, output |
|---|---|
| complete, and the usage is told | `reported`: both as reported |
| a stream that broke behind its `message_start` | `partial`: as reported; that or what its deltas hold, if more |
| a success whose usage cannot be read, a compressed one | `estimated`: as expected; its bytes / 4 |
| sent, and the client left before a whole answer had come | `estimated`: as expected; 50 tokens per second |
| the same of a stream; sent, and the upstream broke off or fell silent | `estimated`: as expected; none |
| never sent, or refused by the upstream; a count of tokens | `none` |

The cost is always that of the very tokens that are told beside it. A refusal without output is reported and costs
nothing, but for the categories that the API bills; of one that nobody knows yet it is taken to.
"""

import enum
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from proxy.money import estimate, usage
from proxy.money.estimate import BYTES_PER_TOKEN, START_RATIO
from proxy.money.prices import UNKNOWN, Price, PriceTable, to_micros
from proxy.money.usage import Billed, Sums
from proxy.progress import Progress

_REFUSAL = "refusal"
_UNBILLED_REFUSALS = (None, "cyber", "general_harms")
_OUTPUT_TOKENS_PER_S = 50
_MAX_ID_CHARS = 100
_MAX_WORD_CHARS = 32


class UsageSource(enum.StrEnum):
    """How the tokens of a request are known."""

    REPORTED = "reported"
    PARTIAL = "partial"
    ESTIMATED = "estimated"
    NONE = "none"


class Facts(msgspec.Struct, frozen=True, gc=False):
    """What is known of an ended request.

    Attributes:
        progress: how far it came with its upstream.
        upstream, upstream_model: where it went, and the model's native id.
        usage: as reported so far, in the API's field names.
        served_model, stop_reason, refusal: as the response names them; `refusal` is the category of one.
        stream: whether the response was one, or was to be one.
        opaque: whether the response was compressed, so that nothing of it could be read.
        output_bytes: what the stream's `content_block_delta` events hold of output.
        bytes_out: of the response's body.
        client_left: whether it was not the upstream that ended it early.
        waited_s: for the response.
        body_bytes: of the request's body, decoded. `max_tokens`: that it asks for; None: it is no message.
        ratio: counted input tokens a byte of body, as was expected of it.
        speed, geo: that the request asks for; the response's usage counts before them.
    """

    progress: Progress
    upstream: str = ""
    upstream_model: str = ""
    usage: Mapping[str, Any] | None = None
    served_model: str | None = None
    stop_reason: str | None = None
    refusal: str | None = None
    stream: bool = False
    opaque: bool = False
    output_bytes: int = 0
    bytes_out: int = 0
    client_left: bool = False
    waited_s: float = 0.0
    body_bytes: int = 0
    max_tokens: int | None = None
    ratio: float = START_RATIO
    speed: str | None = None
    geo: str | None = None


class Bill(msgspec.Struct, frozen=True, gc=False):
    """What a request cost.

    Attributes:
        billed: what it used, an entry for each model call that the upstream tells of.
        sums: the same, added up; None where it was not reported.
        cost_micros: in micro-dollars.
        usage_source: how the tokens are known.
        price: the names of the prices it was reckoned at; None when nothing was.
        speed, geo, service_tier: as reported, cut.
        remarks: what an operator should know, a line each; the same request gives the same line again.
    """

    billed: tuple[Billed, ...] = ()
    sums: Sums = Sums()
    cost_micros: int = 0
    usage_source: UsageSource = UsageSource.NONE
    price: str | None = None
    speed: str | None = None
    geo: str | None = None
    service_tier: str | None = None
    remarks: tuple[str, ...] = ()

    @property
    def counted_input(self) -> int:
        """Return the input tokens that count against limits."""
        if len(self.billed) == 1:
            return self.billed[0].counted_input
        return sum(each.counted_input for each in self.billed)

    @property
    def output(self) -> int:
        """Return the output tokens."""
        if len(self.billed) == 1:
            return self.billed[0].output
        return sum(each.output for each in self.billed)


_NOTHING = Bill()


def reserved(billed: Billed, cost_micros: int) -> Bill:
    """Return the bill when none could be made, by a defect: what had been reserved."""
    return Bill((billed,), usage.sums_of(billed), cost_micros, UsageSource.ESTIMATED)


def bill(facts: Facts, table: PriceTable) -> Bill:
    """Return what a request cost."""
    if facts.max_tokens is None or facts.progress in (Progress.UNSENT, Progress.REFUSED):
        return _NOTHING
    told = usage.read(facts.usage)
    billed = told.billed
    if not billed:
        billed = (_estimated(facts, facts.max_tokens),)
        sums, source = usage.sums_of(billed[0]), UsageSource.ESTIMATED
    elif facts.progress is Progress.COMPLETE:
        sums, source = usage.sums(facts.usage, billed), UsageSource.REPORTED
    else:
        billed = _with_output_sent(billed, facts, facts.max_tokens)
        sums, source = usage.sums(facts.usage, billed), UsageSource.PARTIAL
        sums = replace(sums, output_tokens=sum(each.output for each in billed))
    said = facts.usage or {}
    speed, geo, tier = said.get("speed"), said.get("inference_geo"), said.get("service_tier")
    speed = facts.speed if speed is None else _word(speed)
    geo = facts.geo if geo is None else _word(geo)
    tier = None if tier is None else _word(tier)
    modifiers = table.modifiers(facts.upstream, speed=speed, geo=geo, tier=tier)
    prices = [table.find(each.model or facts.served_model, facts.upstream_model) for each in billed]
    if len(billed) == 1:
        cost, names = prices[0].cost_micros(billed[0], modifiers), prices[0].name
    else:
        nanos = (price.nanos(each, modifiers) for price, each in zip(prices, billed, strict=True))
        cost, names = to_micros(sum(nanos)), ",".join(dict.fromkeys(each.name for each in prices))
    if facts.stop_reason == _REFUSAL and _is_unbilled(facts, billed):
        cost, names = 0, f"{_REFUSAL}@{table.version}"
    remarks: tuple[str, ...] = ()
    unknown = prices[0] is table.unknown or (len(prices) > 1 and table.unknown in prices)
    if told.odd or modifiers.fast or unknown:
        models = [each.model or facts.served_model or facts.upstream_model for each in billed]
        priced = list(zip(models, prices, strict=True))
        remarks = _remarks(facts.upstream, told.odd, priced, fast=modifiers.fast)
    return Bill(billed, sums, cost, source, names, speed, geo, tier, remarks)


def _estimated(facts: Facts, max_tokens: int) -> Billed:
    if facts.opaque or facts.progress is Progress.COMPLETE:
        output = facts.bytes_out // BYTES_PER_TOKEN
    elif facts.client_left and not facts.stream:
        output = int(_OUTPUT_TOKENS_PER_S * max(0.0, facts.waited_s))
    else:
        output = facts.output_bytes // BYTES_PER_TOKEN
    reserve = min(output, max_tokens)
    return estimate.expected(facts.body_bytes, max_tokens, reserve, facts.ratio)


def _with_output_sent(
    billed: tuple[Billed, ...], facts: Facts, max_tokens: int
) -> tuple[Billed, ...]:
    """Return the entries of a stream that broke: what was sent of the answer was made."""
    sent = min(facts.output_bytes // BYTES_PER_TOKEN, max_tokens)
    missing = sent - sum(each.output for each in billed)
    if missing <= 0:
        return billed
    *before, last = billed
    return (*before, replace(last, output=last.output + missing))


def _is_unbilled(facts: Facts, billed: tuple[Billed, ...]) -> bool:
    return facts.refusal in _UNBILLED_REFUSALS and not any(each.output for each in billed)


def _remarks(
    upstream: str, odd: Sequence[str], priced: Sequence[tuple[str, Price]], *, fast: bool
) -> tuple[str, ...]:
    found = [
        f"upstream {upstream}: usage.{name} holds no count of tokens: taken as 0" for name in odd
    ]
    for model, price in priced:
        shown = ascii(model[:_MAX_ID_CHARS])
        if price.id == UNKNOWN:
            found.append(f"model {shown} has no price: charged as {price.name}; add it to prices")
        elif fast and price.fast is None:
            found.append(f"model {shown} has no price of fast mode: charged twice its own")
    return tuple(dict.fromkeys(found))


def _word(value: Any) -> str | None:
    return value[:_MAX_WORD_CHARS] if isinstance(value, str) and value else None
