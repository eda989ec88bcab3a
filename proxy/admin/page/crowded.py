"""What cache breaks of one reason have in common: an hour, a version of a client; and where to look. Pure."""

from collections import Counter
from collections.abc import Sequence
from typing import Protocol

from proxy.admin.page import figures

# Where a page tells more of a reason.
SEE = {
    "moved": "upstreams",
    "cut": "errors",
    "idle": "cache#what-if",
    "model": "spend?by=session,model",
    "prefix": "spend?by=client",
}
_FEW = 3
_HOUR_MS = 3_600_000


class Crowd(Protocol):
    """Breaks of one reason, in an hour counted since 1970, with one version of a client."""

    @property
    def reason(self) -> str:
        """The reason."""

    @property
    def hour(self) -> int:
        """The hour."""

    @property
    def client(self) -> str | None:
        """The client, as it says."""

    @property
    def breaks(self) -> int:
        """How many."""


def in_common(crowds: Sequence[Crowd]) -> dict[str, str]:
    """Return of each reason a sentence about what half of its breaks or more have in common; of some, nothing."""
    found = {}
    for reason in sorted({each.reason for each in crowds}):
        own = [each for each in crowds if each.reason == reason]
        total = sum(each.breaks for each in own)
        said = []
        hours, clients = Counter[int](), Counter[str | None]()
        for each in own:
            hours[each.hour] += each.breaks
            clients[each.client] += each.breaks
        ((hour, in_hour),) = hours.most_common(1)
        ((client, of_client),) = clients.most_common(1)
        if len(hours) > 1 and in_hour * 2 >= total:
            said.append(f"{in_hour} were in the hour from {figures.minute(hour * _HOUR_MS)} UTC")
        if len(clients) > 1 and client and of_client * 2 >= total:
            said.append(f"{of_client} were from {client}")
        if said and total >= _FEW:
            found[reason] = f"Of {total} in the last 24 hours, {', and '.join(said)}."
    return found
