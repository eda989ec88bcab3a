"""Whether the process stood still: stopped by a signal, starved, or suspended with its machine. Pure.

What came meanwhile waits in the kernel. Deadlines judged before it is read would end what is in the best of health.
"""


class Standstill:
    """Looks at the times of a periodic sweep.

    Args:
        period_s: from one sweep to the next, as planned.
    """

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        self._due_s: float | None = None
        self._just_told = False

    def before(self, now: float) -> bool:
        """Return whether the sweep at `now` comes right after a standstill, and is to judge nothing.

        Never twice in a row: on a machine that is always late, every second sweep judges.
        """
        late = self._due_s is not None and now - self._due_s > self._period_s
        self._due_s = now + self._period_s
        self._just_told = late and not self._just_told
        return self._just_told

    def forget(self) -> None:
        """Take the next sweep for the first."""
        self._due_s = None
