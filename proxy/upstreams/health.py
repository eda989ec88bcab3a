"""Which upstreams are left alone for a while, since they failed or asked for it: a breaker of two states. Pure.

Three failures in a row, or one answer that says so, and an upstream, or one of its models, *cools*: other members are
asked instead. When it is ready again the next request is the probe: another failure cools it at once, for longer; a
success forgets everything. Nothing here refuses a request: health only chooses among alternatives.
"""

from typing import NamedTuple

import msgspec

_STRIKES = 3
_FIRST_COOLING_S, _LONGEST_COOLING_S = 5.0, 60.0
_MAX_DOUBLINGS = 10
# Clients choose ids under a wildcard.
_MAX_MODELS = 1024


class Place(NamedTuple):
    """An upstream's own id of a model there, or all of the upstream (None)."""

    upstream: str
    model: str | None


class Condition(msgspec.Struct, gc=False):
    """How an upstream, or one of its models, is.

    Attributes:
        strikes: failures in a row. `doublings`: how often it cooled since it answered.
        until: when it is ready again, by the clock of whoever asks; 0: it did not cool. `since`: when that began.
        why: it cools. `was_told`: whether by an answer that says so, and not by failures in a row.
    """

    strikes: int = 0
    doublings: int = 0
    until: float = 0.0
    since: float = 0.0
    why: str = ""
    was_told: bool = False


class Health:
    """The conditions of all upstreams, and of their models. `now` is any clock that goes on, in seconds.

    Attributes:
        is_well: whether nothing has failed that has not answered since. Read for each request, so no property.
    """

    def __init__(self) -> None:
        self.is_well = True
        self._upstreams: dict[str, Condition] = {}
        self._models: dict[tuple[str, str], Condition] = {}

    def ready_at(self, upstream: str, model: str) -> float:
        """Return since or from when an upstream may be asked for a model."""
        # Nearly always nothing has failed: then both are empty, or nearly.
        own = self._upstreams.get(upstream)
        of_model = self._models.get((upstream, model))
        return max(own.until if own else 0.0, of_model.until if of_model else 0.0)

    def may_serve(self, upstream: str, model: str, now: float) -> bool:
        """Return whether a model cools there for nothing but failures in a row: some of its answers may be good."""
        own, of_model = self._upstreams.get(upstream), self._models.get((upstream, model))
        if own is not None and own.until > now:
            return False
        return of_model is not None and not of_model.was_told

    def strike(self, place: Place, now: float, why: str, jitter: float = 1.0) -> float:
        """Take note of a failure.

        Args:
            place: that failed.
            now: the time.
            why: in a word, for the operator.
            jitter: factor of how long it cools, so that many processes do not come back in one moment.

        Returns:
            For how long it cools from now on; 0: it does not, or did already.
        """
        condition = self._condition(place)
        if now < condition.until:
            # Requests that fail together are one failure.
            return 0.0
        condition.strikes += 1
        if condition.strikes < _STRIKES:
            return 0.0
        condition.strikes = _STRIKES - 1
        cooling = _double(_FIRST_COOLING_S, _LONGEST_COOLING_S, condition.doublings) * jitter
        condition.doublings += 1
        condition.was_told = False
        return _begin(condition, now, cooling, why)

    def cool(self, place: Place, now: float, why: str, for_s: float, most_s: float = 0.0) -> float:
        """Leave a place alone for a while; what it cools already is never shortened.

        Args:
            place: that asked for it.
            now: the time.
            why: in a word, for the operator.
            for_s: how long; each time twice as long, up to `most_s`, when that is given.
            most_s: the longest.

        Returns:
            For how long it cools from now on; 0: it did already.
        """
        condition = self._condition(place)
        was_cooling = now < condition.until
        condition.was_told = True
        if most_s:
            if was_cooling:
                return 0.0
            for_s = _double(for_s, most_s, condition.doublings)
            condition.doublings += 1
        began = _begin(condition, now, for_s, why)
        return 0.0 if was_cooling else began

    def alive(self, upstream: str, model: str, now: float) -> bool:
        """Take note of an answer; return whether that is news, since it had cooled."""
        if self.is_well:
            return False
        own, of_model = self._upstreams.get(upstream), self._models.get((upstream, model))
        for condition in (own, of_model):
            if condition is not None:
                condition.strikes = condition.doublings = 0
        # What cools already runs out by itself: this answer may be to an older request.
        is_news = False
        if own is not None and own.until <= now:
            is_news |= self._upstreams.pop(upstream).until > 0
        if of_model is not None and of_model.until <= now:
            is_news |= self._models.pop((upstream, model)).until > 0
        self._look()
        return is_news

    def cooling(self, now: float) -> list[tuple[Place, Condition]]:
        """Return what cools, and how it is."""
        known = [
            *((Place(name, None), each) for name, each in self._upstreams.items()),
            *((Place(*key), each) for key, each in self._models.items()),
        ]
        return [(place, each) for place, each in known if each.until > now]

    def forget(self, upstream: str) -> None:
        """Forget an upstream, which is another one from now on."""
        self._upstreams.pop(upstream, None)
        for key in [key for key in self._models if key[0] == upstream]:
            del self._models[key]
        self._look()

    def _look(self) -> None:
        self.is_well = not self._upstreams and not self._models

    def _condition(self, place: Place) -> Condition:
        upstream, model = place
        self.is_well = False
        if model is None:
            return self._upstreams.setdefault(upstream, Condition())
        found = self._models.get((upstream, model))
        if found is None:
            if len(self._models) >= _MAX_MODELS:
                # One that does not cool, if there is one; else what is ready first.
                del self._models[min(self._models, key=lambda key: self._models[key].until)]
            found = self._models[upstream, model] = Condition()
        return found


def _begin(condition: Condition, now: float, for_s: float, why: str) -> float:
    if now >= condition.until:
        condition.since = now
    if now + for_s > condition.until:
        condition.until, condition.why = now + for_s, why
    return for_s


def _double(first_s: float, most_s: float, doublings: int) -> float:
    return min(first_s * 2.0 ** min(doublings, _MAX_DOUBLINGS), most_s)
