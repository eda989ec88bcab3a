"""Whom a request is counted for, and what each of them may use. Pure.

A request of a key is counted for the key, for the key's owner and for all keys together: three subjects at most, all of
them or none. A `Policy` is made when a key is loaded and is not changed; an edit makes another one around the same
counters, so that nothing is forgotten by it.
"""

import dataclasses
from collections.abc import Iterable
from typing import Literal

import msgspec

from proxy.limits.bucket import cost_us

NO_LIMIT = 0
NO_BUDGET = -1

Fail = Literal["open", "closed"]


@dataclasses.dataclass(
    slots=True, eq=False
)  # a plain class: its attributes are written faster than a Struct's
class Counters:
    """What one subject has used, as this process counts it.

    Attributes:
        requests_us, counts_us, input_us, output_us: the buckets of requests, of token counts, of input and output
            tokens: when each is full again.
        in_flight: requests that have begun and not been settled.
        held_micros: what they may cost, as estimated when they began.
        spent_micros: by name of the period, what ended ones have cost.
    """

    requests_us: int = 0
    counts_us: int = 0
    input_us: int = 0
    output_us: int = 0
    in_flight: int = 0
    held_micros: int = 0
    spent_micros: dict[str, int] = dataclasses.field(default_factory=dict)


class Subject(msgspec.Struct, frozen=True, eq=False, gc=False):
    """A key, an owner or all together: what it may use, and what it has used.

    Attributes:
        name: as messages have it: `key laptop`, `owner team-a`, `global`.
        counters: shared by all policies that name this subject.
        requests, input_tokens, output_tokens: a minute; 0: no limit. Token counts have the limit of requests.
        in_flight: requests at the same time; 0: no limit.
        day_micros, month_micros: millionths of a dollar; -1: no budget, 0: nothing that costs.
        limits_fail, budgets_fail: what holds while what was used cannot be known: served, or refused.
        limits_shadow, budgets_shadow: only counted: whoever is over is served, and the ledger says so.
        request_us: what a request costs of its bucket; 0: no limit.
        has_budget: whether there is any.
    """

    name: str
    counters: Counters
    requests: int = NO_LIMIT
    input_tokens: int = NO_LIMIT
    output_tokens: int = NO_LIMIT
    in_flight: int = NO_LIMIT
    day_micros: int = NO_BUDGET
    month_micros: int = NO_BUDGET
    limits_fail: Fail = "open"
    budgets_fail: Fail = "open"
    limits_shadow: bool = False
    budgets_shadow: bool = False
    request_us: int = 0
    has_budget: bool = False

    @property
    def has_limit(self) -> bool:
        """Whether there is any but budgets."""
        return any((self.requests, self.input_tokens, self.output_tokens, self.in_flight))

    @property
    def is_pool(self) -> bool:
        """Whether several keys share it."""
        return not self.name.startswith("key ")


def subject(
    name: str,
    counters: Counters,
    *,
    requests_per_minute: int | None = None,
    input_tokens_per_minute: int | None = None,
    output_tokens_per_minute: int | None = None,
    max_in_flight: int | None = None,
    limits_fail: Fail = "open",
    limits_shadow: bool = False,
    day_micros: int | None = None,
    month_micros: int | None = None,
    budgets_fail: Fail = "open",
    budgets_shadow: bool = False,
) -> Subject:
    """Return a subject; None is no limit, and no budget.

    Raises:
        ValueError: a limit below 1, or a budget below 0.
    """
    limits = (
        requests_per_minute,
        input_tokens_per_minute,
        output_tokens_per_minute,
        max_in_flight,
    )
    if any(limit is not None and limit < 1 for limit in limits):
        raise ValueError(f"a limit of {name} is below 1: to allow nothing, disable the key")
    if any(budget is not None and budget < 0 for budget in (day_micros, month_micros)):
        raise ValueError(f"a budget of {name} is below 0")
    return Subject(
        name=name,
        counters=counters,
        requests=requests_per_minute or NO_LIMIT,
        input_tokens=input_tokens_per_minute or NO_LIMIT,
        output_tokens=output_tokens_per_minute or NO_LIMIT,
        in_flight=max_in_flight or NO_LIMIT,
        day_micros=NO_BUDGET if day_micros is None else day_micros,
        month_micros=NO_BUDGET if month_micros is None else month_micros,
        limits_fail=limits_fail,
        budgets_fail=budgets_fail,
        limits_shadow=limits_shadow,
        budgets_shadow=budgets_shadow,
        request_us=cost_us(1, requests_per_minute) if requests_per_minute else 0,
        has_budget=day_micros is not None or month_micros is not None,
    )


class Policy(msgspec.Struct, frozen=True, eq=False, gc=False):
    """What holds for the requests of one key.

    Attributes:
        key: the key's name.
        subjects: those of its subjects that have a limit or a budget, the key's own first. Empty: nothing is limited.
        has_tokens: whether tokens are limited, so that they have to be estimated.
        least_input, least_output: the smallest limit of them that any subject has; 0: none has any.
        has_slots: whether requests in flight are.
        has_budget: whether there is a budget, so that the cost has to be estimated.
        strict: whether a budget refuses what may cost more than is left of it, also when nothing else is in flight.
        limits_closed, budgets_closed: whether a limit or a budget refuses while what was used cannot be known.
    """

    key: str
    subjects: tuple[Subject, ...] = ()
    has_tokens: bool = False
    least_input: int = NO_LIMIT
    least_output: int = NO_LIMIT
    has_slots: bool = False
    has_budget: bool = False
    strict: bool = False
    limits_closed: bool = False
    budgets_closed: bool = False


def policy(key: str, *subjects: Subject | None, strict: bool = False) -> Policy:
    """Return what holds for a key.

    Args:
        key: its name.
        subjects: the key's own, its owner's, that of all; None, or one without limits and budgets, is left out.
        strict: whether holds are for the worst case, so that no budget may be exceeded.
    """
    bound = tuple(each for each in subjects if each and (each.has_limit or each.has_budget))
    return Policy(
        key=key,
        subjects=bound,
        has_tokens=any(each.input_tokens or each.output_tokens for each in bound),
        least_input=_least(each.input_tokens for each in bound),
        least_output=_least(each.output_tokens for each in bound),
        has_slots=any(each.in_flight for each in bound),
        has_budget=any(each.has_budget for each in bound),
        strict=strict,
        limits_closed=any(each.has_limit and each.limits_fail == "closed" for each in bound),
        budgets_closed=any(each.has_budget and each.budgets_fail == "closed" for each in bound),
    )


def _least(limits: Iterable[int]) -> int:
    return min((limit for limit in limits if limit), default=NO_LIMIT)
