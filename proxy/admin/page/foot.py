"""What every page says of itself: as of when, how far behind the ledger is, of when the prices are."""

from typing import Any

import msgspec

from proxy.admin.page.page import View
from proxy.admin.workers import Answer

_HTTP_OK = 200
_LATE_S = 60.0
_MS = 1000


class Foot(msgspec.Struct, frozen=True):
    """The foot of a page.

    Attributes:
        as_of_ms: when its model was made.
        behind_s: since when the oldest request waits for the store; None: no worker tells.
        waiting: rows that wait for the store.
        prices: the version of the price file.
        workers, silent: how many there are, and how many of them do not answer.
    """

    as_of_ms: int
    behind_s: float | None
    waiting: int
    prices: str
    workers: int
    silent: int

    @property
    def is_late(self) -> bool:
        """Whether the ledger is too far behind for what a page shows."""
        return self.behind_s is not None and self.behind_s > _LATE_S


async def foot(view: View, as_of_ms: int) -> Foot:
    """Return the foot of a page that was made at a time."""
    answers = await view.workers.ledgers()
    told = [each for answer in answers if (each := _told(answer)) is not None]
    oldest = [each["oldest_ms"] for each in told if each["oldest_ms"] is not None]
    behind_s = (as_of_ms - min(oldest)) / _MS if oldest else 0.0
    return Foot(
        as_of_ms=as_of_ms,
        behind_s=max(0.0, behind_s) if told else None,
        waiting=sum(each["spooled_rows"] for each in told),
        prices=view.prices.version,
        workers=len(answers),
        silent=answers.count(None),
    )


def _told(answer: Answer | None) -> dict[str, Any] | None:
    return answer[1] if answer is not None and answer[0] == _HTTP_OK else None
