"""Which upstreams have cooled, or failed, for so long that somebody should know, and which are back. Pure.

An upstream that fails is let rest, tried again, and rests again: from its first failure until it has been up for a
while that is one episode. Several gateways see the same one, each at its own time; the first to tell it tells it for
all. An episode is named by its day, and by how many have ended on that day.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from proxy.admin.alerts import Alert, plain, utc

COOLS, BACK = "upstream_cools", "upstream_back"
TOLD_AFTER_MS = 60_000
_ILL = ("cooling", "failing")

Identity = tuple[str, str, str]


@dataclasses.dataclass(slots=True)
class _Episode:
    """One that this process has seen, or was told of; `period`: by which it was told, if it was."""

    began_ms: int
    cooled_ms: int
    period: str | None = None


class Cooling:
    """The episodes of upstreams, as one process sees them."""

    def __init__(self) -> None:
        self._episodes: dict[str, _Episode] = {}
        self._has_looked = False

    def look(
        self, upstreams: Iterable[Mapping[str, Any]], sent: set[Identity], now_ms: int
    ) -> list[Alert]:
        """Return what is to be told of the upstreams.

        Args:
            upstreams: as `GET /admin/v1/upstreams` tells of them.
            sent: what was told today, by whichever gateway.
            now_ms: in Unix milliseconds.
        """
        told = {each["upstream"]: each for each in upstreams}
        if not self._has_looked:
            self._has_looked = True
            self._adopt(sent, now_ms)
        found: list[Alert] = []
        for name, each in told.items():
            if each["state"] in _ILL:
                found += self._cools(name, each, sent, now_ms)
        for name, episode in list(self._episodes.items()):
            if now_ms - episode.cooled_ms >= TOLD_AFTER_MS:
                del self._episodes[name]
                if episode.period is not None:
                    found.append(_back(name, episode.period, is_there=name in told))
        return found

    def _adopt(self, sent: set[Identity], now_ms: int) -> None:
        """Know of what was told before this process began, and has not been told to be over."""
        for rule, subject, period in sent:
            if rule == COOLS and (BACK, subject, period) not in sent:
                self._episodes[subject] = _Episode(now_ms, now_ms, period)

    def _cools(
        self, name: str, told: Mapping[str, Any], sent: set[Identity], now_ms: int
    ) -> Iterable[Alert]:
        episode = self._episodes.setdefault(name, _Episode(now_ms, now_ms))
        episode.cooled_ms = now_ms
        if episode.period is not None or now_ms - episode.began_ms < TOLD_AFTER_MS:
            return
        day = utc(now_ms)[:10]
        ended = sum(
            rule == BACK and subject == name and period.startswith(day)
            for rule, subject, period in sent
        )
        episode.period = f"{day} #{ended + 1}"
        reason = told["reason"]
        yield Alert(
            COOLS,
            name,
            episode.period,
            plain(
                f"upstream {name} has been failing since {utc(episode.began_ms)}: {reason_of(told)}"
            ),
            _do(name, reason),
        )


def reason_of(told: Mapping[str, Any]) -> str:
    """Return why an upstream cools or fails, as `GET /admin/v1/upstreams` tells of it, and for which model alone."""
    models = [each["model"] for each in told["cooling"]]
    if not models or None in models:
        return str(told["reason"])
    return f"{told['reason']} for {models[0] if len(models) == 1 else f'{len(models)} models'}"


def _do(name: str, reason: object) -> str:
    if str(reason) in ("401", "403", "upstream_auth"):
        return f"put the right credential into `upstreams.{plain(name)}.auth`: it was refused"
    return "look at `anyrouter upstreams`, at stderr, and at the status page of the upstream"


def _back(name: str, period: str, *, is_there: bool) -> Alert:
    what = "answers again" if is_there else "is no longer configured"
    return Alert(BACK, name, period, plain(f"upstream {name} {what}"), "nothing: it is over")
