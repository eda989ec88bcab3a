"""Which upstreams fail all that models which name them directly ask of them. Pure.

Such a request has nowhere else to go, so none is ever kept back for this: it is only shown, and told. A request to a
pool is `health.py`'s.
"""

import msgspec

from proxy.upstreams.verdict import Mark, Move, Verdict

_FAILURES = 3


class Run(msgspec.Struct, gc=False):
    """Failures of an upstream with no success in between.

    Attributes:
        since, last: when the first and the last of them came. `why`: of the last, in a word.
        failures: how many they are.
    """

    since: float
    last: float
    why: str
    failures: int = 1


class Failing:
    """The failures in a row of all upstreams. `now` is any clock that goes on, in seconds.

    Attributes:
        runs: of those that have failed and not answered since. Looked at for each request: nearly always empty.
        ended: when a run of an upstream last came to its end.
    """

    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}
        self.ended: dict[str, float] = {}

    def note(self, upstream: str, verdict: Verdict, why: str, now: float) -> bool:
        """Take note of what is no success; return whether it ends a run that was shown.

        A model that is not there (404) says nothing of an upstream: clients choose which they ask for.
        """
        if verdict.mark is Mark.ALIVE:
            return self.alive(upstream, now)
        if verdict.mark is Mark.NOTHING or verdict.move is Move.ELSEWHERE:
            return False
        run = self.runs.get(upstream)
        if run is None:
            self.runs[upstream] = Run(now, now, why)
        else:
            run.failures, run.last, run.why = run.failures + 1, now, why
        return False

    def alive(self, upstream: str, now: float) -> bool:
        """Take note of a success; return whether it ends a run that was shown."""
        run = self.runs.pop(upstream, None)
        if run is None:
            return False
        self.ended[upstream] = now
        return run.failures >= _FAILURES

    def of(self, upstream: str) -> Run | None:
        """Return the run of an upstream that fails; None: it does not, or has not failed often enough to say so."""
        run = self.runs.get(upstream)
        return run if run is not None and run.failures >= _FAILURES else None

    def forget(self, upstream: str) -> None:
        """Forget an upstream, which is another one from now on."""
        self.runs.pop(upstream, None)
        self.ended.pop(upstream, None)
