"""What a request would take, and whether it may. Pure."""

import enum

import msgspec

from proxy.causes import Cause
from proxy.limits.periods import Periods
from proxy.limits.policy import Policy, Subject


class Rule(enum.StrEnum):
    """Why a request is refused, in the words of `cause`."""

    REQUESTS = Cause.LIMITED_REQUESTS.value
    INPUT_TOKENS = Cause.LIMITED_INPUT_TOKENS.value
    OUTPUT_TOKENS = Cause.LIMITED_OUTPUT_TOKENS.value
    IN_FLIGHT = Cause.LIMITED_IN_FLIGHT.value
    BUDGET_HELD = Cause.BUDGET_HELD.value
    BUDGET_SPENT = Cause.BUDGET_SPENT.value


class Metric(enum.IntEnum):
    """What a limit or a budget counts; the numbers are those of `tenancy.lua`."""

    REQUESTS = 1
    COUNTS = 2
    INPUT_TOKENS = 3
    OUTPUT_TOKENS = 4
    IN_FLIGHT = 5
    DAY = 6
    MONTH = 7


_RULES = {
    Metric.REQUESTS: Rule.REQUESTS,
    Metric.COUNTS: Rule.REQUESTS,
    Metric.INPUT_TOKENS: Rule.INPUT_TOKENS,
    Metric.OUTPUT_TOKENS: Rule.OUTPUT_TOKENS,
    Metric.IN_FLIGHT: Rule.IN_FLIGHT,
    Metric.DAY: Rule.BUDGET_HELD,
    Metric.MONTH: Rule.BUDGET_HELD,
}


class Ask(msgspec.Struct, frozen=True, eq=False, gc=False):
    """What a request would take.

    Attributes:
        id: of the exchange: the name of its lease.
        policy: what holds for its key.
        periods: those it came in.
        input_tokens, output_tokens: as estimated, at least 1 each when it may use any.
        hold_micros: what it may cost; 0: nothing, so that no budget refuses it.
        counting: whether it only counts tokens, which takes a request of a second bucket and nothing else.
    """

    id: str
    policy: Policy
    periods: Periods
    input_tokens: int = 0
    output_tokens: int = 0
    hold_micros: int = 0
    counting: bool = False


class Reading(msgspec.Struct, frozen=True, gc=False):
    """What a subject has used, at one moment.

    Attributes:
        subject: whose.
        requests_us, counts_us, input_us, output_us: in how long its buckets are full again.
        in_flight, held_micros: as in `Counters`.
        day_micros, month_micros: what was spent.
    """

    subject: Subject
    requests_us: int
    counts_us: int
    input_us: int
    output_us: int
    in_flight: int
    held_micros: int
    day_micros: int
    month_micros: int


class Refusal(msgspec.Struct, frozen=True, gc=False):
    """Why a request is refused.

    Attributes:
        subject: whose limit or budget it is.
        metric: which of them.
        wait_us: of a rate: in how long there is room.
        spent: of a budget: whether it is spent, not only held by requests in flight.
        readings: what the shared counts said, of all subjects; None: this process counts.
    """

    subject: Subject
    metric: Metric
    wait_us: int = 0
    spent: bool = False
    readings: tuple[Reading, ...] | None = None

    @property
    def rule(self) -> Rule:
        """The word for it."""
        return Rule.BUDGET_SPENT if self.spent else _RULES[self.metric]


class Grant(msgspec.Struct, eq=False, gc=False):
    """A request was let in, and is to be settled once.

    Attributes:
        ask: what it took.
        settled: whether what it really used is counted.
        untaken: subjects whose rates it did not take, since they only watch and would have refused it.
        would: what they would have refused it for; None: nothing.
        readings: what the shared counts said when it was let in; None: this process counts.
    """

    ask: Ask
    settled: bool = False
    untaken: tuple[Subject, ...] = ()
    would: Refusal | None = None
    readings: tuple[Reading, ...] | None = None
