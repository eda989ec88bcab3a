"""E1 to E5: what limits and budgets promise, as equalities over random sequences of requests.

E1 no more requests in any T seconds than a minute's worth and what comes in within T. E2 no more in flight than may
be. E3 the same as E1 for tokens, beside what requests in flight used beyond their reservation, or were given back of
it. E4 no more spent than the budget, beside what requests in flight cost beyond their hold, and,
unless it is strict, one that was let in alone beyond the rest. E5 nobody is refused while
there is room, and who is refused leaves no trace.
"""

from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)
from msgspec.structs import astuple

from proxy.limits.bucket import MINUTE_US
from proxy.limits.local import Local
from proxy.limits.periods import periods_of_day
from proxy.limits.policy import Policy
from proxy.limits.verdict import Ask, Grant
from tests.unit.limits.making import NOW_US, PERIODS, policy_of
from tests.unit.limits.model import Model, Request
from tests.unit.limits.strategies import BOUNDS, MICROS, TOKENS

TERMS = st.fixed_dictionaries(BOUNDS)
RESERVED = st.integers(1, 40)
LAST_DAY_OF_MONTH = PERIODS.month_ends_s // 86_400 - 1


class Exactness(RuleBasedStateMachine):
    """Two keys of one owner, and all."""

    running = Bundle("running")

    @initialize(a=TERMS, b=TERMS, owner=TERMS, everybody=TERMS, strict=st.booleans())
    def begin(
        self,
        a: dict[str, int],
        b: dict[str, int],
        owner: dict[str, int],
        everybody: dict[str, int],
        *,
        strict: bool,
    ) -> None:
        self.local, self.now_us, self.day = Local(), NOW_US, LAST_DAY_OF_MONTH
        self.policies = [
            policy_of(self.local, name, strict=strict, key=terms, owner=owner, all=everybody)
            for name, terms in (("a", a), ("b", b))
        ]
        self.models = {
            subject.name: Model(subject) for policy in self.policies for subject in policy.subjects
        }

    def _of(self, policy: Policy) -> list[Model]:
        return [self.models[subject.name] for subject in policy.subjects]

    @rule(us=st.integers(0, 3 * MINUTE_US))
    def time_passes(self, us: int) -> None:
        self.now_us += us

    @rule()
    def midnight_passes(self) -> None:
        self.day += 1

    @rule(
        target=running,
        which=st.integers(0, 1),
        tokens=st.tuples(RESERVED, RESERVED),
        hold=MICROS,
        counting=st.booleans(),
    )
    def ask(self, which: int, tokens: tuple[int, int], hold: int, *, counting: bool) -> object:
        policy = self.policies[which]
        periods = periods_of_day(self.day)
        ask = (
            Ask("req_1", policy, periods, counting=True)
            if counting
            else Ask("req_1", policy, periods, *tokens, hold)
        )
        no_room = [
            metric for model in self._of(policy) for metric in model.refuses(ask, self.now_us)
        ]
        verdict = self.local.admit(ask, self.now_us)
        assert isinstance(verdict, Grant) is not bool(no_room)
        if not isinstance(verdict, Grant):
            assert verdict.metric in no_room
            return multiple()
        request = Request(self.now_us, ask, verdict)
        for model in self._of(policy):
            model.admit(request)
            if not counting:
                self._tokens_are_as_promised(model)
        return request

    def _tokens_are_as_promised(self, model: Model) -> None:
        limits = (model.subject.input_tokens, model.subject.output_tokens)
        for index, limit in enumerate(limits):
            for begin_us, taken in model.tokens_in_windows(index) if limit else ():  # E3
                assert taken * MINUTE_US <= limit * (MINUTE_US + self.now_us - begin_us)

    @rule(request=consumes(running), used=st.tuples(TOKENS, TOKENS, MICROS), again=st.booleans())
    def settle(self, request: Request, used: tuple[int, int, int], *, again: bool) -> None:
        assert request.grant is not None
        for _ in range(1 + again):
            self.local.settle(request.grant, *used)
        if not request.ask.counting:
            for model in self._of(request.ask.policy):
                model.settle(request, used)
            request.settled = used

    @invariant()
    def what_was_used_is_what_the_model_says(self) -> None:
        for policy in getattr(self, "policies", ()):
            ask = Ask("req_1", policy, periods_of_day(self.day))
            readings = self.local.read(policy, ask.periods, self.now_us)
            for reading, model in zip(readings, self._of(policy), strict=True):
                assert astuple(reading)[1:] == astuple(model.reading(ask, self.now_us))[1:]

    @invariant()
    def nothing_is_negative(self) -> None:
        for model in getattr(self, "models", {}).values():
            counters = model.subject.counters
            assert min(counters.requests_us, counters.input_us, counters.output_us) >= 0
            assert min(counters.in_flight, counters.held_micros) >= 0

    @invariant()
    def in_any_time_no_more_than_promised(self) -> None:
        for model in getattr(self, "models", {}).values():
            subject, requests = model.subject, model.requests
            assert not subject.in_flight or subject.counters.in_flight <= subject.in_flight  # E2
            for counting in (False, True):
                times = [each.at_us for each in requests if each.ask.counting is counting]
                for index, begin in enumerate(times if subject.requests else ()):  # E1
                    for end in range(index, len(times)):
                        window_us = MINUTE_US + times[end] - begin
                        assert (end - index + 1) * MINUTE_US <= subject.requests * window_us
            held = subject.counters.held_micros
            day = model.spent(lambda each: each.ask.periods.day == self.day)
            month = model.spent(
                lambda each: each.ask.periods.month == periods_of_day(self.day).month
            )
            for spent, budget in ((day, subject.day_micros), (month, subject.month_micros)):
                assert budget < 0 or spent + held <= budget + model.over_holds  # E4


TestExactness = Exactness.TestCase
