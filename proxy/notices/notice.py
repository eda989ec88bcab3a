"""What a line of the log carries beside its text: `_log.warning("...", extra=notice(Event.NO_KEYS))`. Pure."""

from collections.abc import Mapping
from typing import NamedTuple

from proxy.notices.events import Event
from proxy.notices.failures import FAILURES
from proxy.notices.refusals import REFUSALS
from proxy.notices.what_to_do import EVENTS

# The one table: of each cause and each event, what to do.
ADVICE = {**REFUSALS, **FAILURES, **EVENTS}
# What is over with these: lines of it that were only counted come before the one that says so.
_ENDED_BY: Mapping[str, frozenset[str]] = {
    Event.KEYS_BACK: frozenset({Event.KEYS_NOT_FOLLOWED}),
    Event.REDIS_BACK: frozenset({Event.REDIS_DOWN}),
    Event.SPANS_TAKEN: frozenset({Event.SPANS_NOT_TAKEN}),
    Event.SPOOL_BACK: frozenset({Event.SPOOL_FAILS}),
    Event.STORE_BACK: frozenset({Event.STORE_DOWN}),
    Event.UPSTREAM_BACK: frozenset({Event.UPSTREAM_COOLS, *FAILURES}),
}


class Notice(NamedTuple):
    """What a line warns of.

    Attributes:
        event: an `Event`, or the `Cause` of a request that failed.
        subject: what it is about, such as the name of an upstream; empty: the gateway.
        model: the upstream's model that it is about; empty: all.
        id, request_id: of the request, ours and the one that its client sees; empty: it is about none.
    """

    event: str
    subject: str = ""
    model: str = ""
    id: str = ""
    request_id: str = ""

    @property
    def kind(self) -> "Notice":
        """What lines have in common that are counted together: all but whose request it was."""
        return Notice(self.event, self.subject, self.model)

    @property
    def may_end(self) -> bool:
        """Whether this says that something is over."""
        return self.event in _ENDED_BY

    @property
    def do(self) -> str:
        """What to do, in one sentence; empty for a word that is not known."""
        advice = ADVICE.get(self.event)
        return "" if advice is None else advice.for_subject(self.subject)

    def ends(self, other: object) -> bool:
        """Return whether this says that what another one warns of is over."""
        return (
            isinstance(other, Notice)
            and other.subject == self.subject
            and other.event in _ENDED_BY.get(self.event, ())
        )


def notice(
    event: str, subject: str = "", *, model: str = "", ids: tuple[str, str] = ("", "")
) -> dict[str, Notice]:
    """Return what a call of a logger takes as `extra`; `ids` as `Notice` has them."""
    return {"notice": Notice(event, subject, model, *ids)}
