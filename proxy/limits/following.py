"""What the server is told unasked: who was let in here when no verdict came in time, and what requests have used.

It may not hear of one that was let in here, and then what that reserved of a rate was not taken there: nothing of it is
given back when it ends.
"""

from collections.abc import Callable
from functools import partial
from operator import methodcaller

from proxy.limits.batch import Batch
from proxy.limits.gathering import Gathering
from proxy.limits.verdict import Ask, Grant, Refusal


class Following:
    """Puts it among what is sent next.

    Args:
        gathered: what is sent next.
        soon: called when something was put there.
    """

    def __init__(self, gathered: Gathering, soon: Callable[[], None]) -> None:
        self._gathered = gathered
        self._soon = soon
        self._unheard: set[Grant] = set()

    def tell(self, ask: Ask, verdict: Grant | Refusal | None) -> None:
        """Tell what became of a request that the server may have let in, too: it counts once, as it is told.

        Args:
            ask: what it would take.
            verdict: of this process; None: nobody wants one any more.
        """
        if isinstance(verdict, Grant) and not ask.counting:
            self._gathered.put(methodcaller("follow", verdict), partial(self._unheard.add, verdict))
        else:
            self._gathered.put(methodcaller("let_go", ask))
        self._soon()

    def settle(self, grant: Grant, used: tuple[int, int], micros: int, ended_us: int) -> None:
        """Tell what a request really used, of input and output tokens, and cost."""
        add = partial(self._settled, grant, used, micros, ended_us)
        # What the server has let in itself it has heard of.
        lost = partial(self._unheard.discard, grant) if grant.readings is None else None
        self._gathered.put(add, lost)
        self._soon()

    def _settled(
        self, grant: Grant, used: tuple[int, int], micros: int, ended_us: int, batch: Batch
    ) -> None:
        if grant in self._unheard:
            self._unheard.discard(grant)
            used = grant.ask.input_tokens, grant.ask.output_tokens
        batch.settle(grant, *used, micros, ended_us)
