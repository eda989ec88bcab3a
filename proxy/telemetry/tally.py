"""What a worker counts of its requests, for whoever asks: integers in a bounded number of places. Pure.

No name here is one that a client chooses. Once all places of a kind are taken, what would need another one is counted
under `other`: every sum stays right.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

from proxy.telemetry.series import (
    FIRST_BYTE_S,
    GATEWAY_S,
    NO_STATUS,
    OTHER,
    OUTCOMES,
    REQUEST_S,
    SOURCES,
    TOKEN_KINDS,
)

MAX_KEYS, MAX_MODELS, MAX_KINDS, MAX_STATUSES = 200, 80, 200, 64
_MAX_RULES = 10

T = TypeVar("T")


# Not `msgspec.Struct`s, whose attributes are slower to change.
class Histogram:
    """How many values fell into each bucket, and their sum in seconds."""

    __slots__ = ("counts", "sum_s")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.counts = [0] * (len(bounds) + 1)
        self.sum_s = 0.0

    def add(self, other: "Histogram") -> None:
        """Add the values of another one with the same buckets."""
        self.counts = [own + others for own, others in zip(self.counts, other.counts, strict=True)]
        self.sum_s += other.sum_s

    def told(self) -> "Times":
        """Return it as it is told."""
        return Times(self.counts, self.sum_s)


class Tokens:
    """Tokens by kind."""

    __slots__ = TOKEN_KINDS

    def __init__(self) -> None:
        self.input = self.output = self.cache_read = self.cache_write_5m = self.cache_write_1h = 0

    def told(self) -> list[int]:
        """Return them in the order of `TOKEN_KINDS`."""
        return [getattr(self, kind) for kind in TOKEN_KINDS]


class OfKey:
    """Of a key: requests by outcome, tokens by kind, micro-dollars by source."""

    __slots__ = ("micros", "outcomes", "tokens")

    def __init__(self) -> None:
        self.outcomes = [0] * len(OUTCOMES)
        self.tokens = Tokens()
        self.micros = [0] * len(SOURCES)


class OfModel:
    """Of a model at an upstream: tokens by kind, micro-dollars, times."""

    __slots__ = ("first_byte", "micros", "request", "tokens")

    def __init__(self) -> None:
        self.tokens = Tokens()
        self.micros = 0
        self.request = Histogram(REQUEST_S)
        self.first_byte = Histogram(FIRST_BYTE_S)


def _one() -> list[int]:
    return [0]


class Places(Generic[T]):
    """A bounded number of places, each under some names.

    Args:
        make: an empty place.
        most: how many, but for that of `other`.

    Attributes:
        taken: by their names.
        folded: how often there was none left.
    """

    def __init__(self, make: Callable[[], T], most: int) -> None:
        self._make = make
        self._most = most
        self.taken: dict[tuple[str, ...], T] = {}
        self.folded = 0

    def at(self, *names: str) -> tuple[T, bool]:
        """Return the place of some names, and whether it is theirs alone; else it is that of `other`."""
        place = self.taken.get(names)
        if place is not None:
            return place, True
        is_own = len(self.taken) < self._most
        if not is_own:
            self.folded += 1
            names = (OTHER,) * len(names)
            if names in self.taken:
                return self.taken[names], False
        place = self.taken[names] = self._make()
        return place, is_own


class Times(msgspec.Struct, array_like=True, frozen=True):
    """A histogram as it is told."""

    counts: list[int]
    sum_s: float


class KeyTold(msgspec.Struct, array_like=True, frozen=True):
    """As `OfKey`."""

    outcomes: list[int]
    tokens: list[int]
    micros: list[int]


class ModelTold(msgspec.Struct, array_like=True, frozen=True):
    """As `OfModel`."""

    tokens: list[int]
    micros: int
    request: Times
    first_byte: Times


class TallyTold(msgspec.Struct, frozen=True):
    """A tally as it is told, each count with the names of its place; see `Tally`."""

    kinds: list[tuple[tuple[str, str, str], int]]
    keys: list[tuple[str, KeyTold]]
    models: list[tuple[tuple[str, str], ModelTold]]
    gateway: Times
    watched: list[tuple[str, int]]
    unpriced: int
    folded: int


class Tally:
    """The counts of a worker since its start.

    Attributes:
        kinds: requests by endpoint, status and cause; the cause is empty when all is well.
        keys: by key, of requests whose key is known.
        models: by model and upstream, of requests that were sent on.
        gateway: what the gateway itself took, until it had sent a request on.
        watched: by rule, what a limit has let through that only watches.
        unpriced: requests that were charged as those of an unknown model.
    """

    def __init__(self) -> None:
        self.kinds = Places(_one, MAX_KINDS)
        self.keys = Places(OfKey, MAX_KEYS)
        self.models = Places(OfModel, MAX_MODELS)
        self.gateway = Histogram(GATEWAY_S)
        self.watched = Places(_one, _MAX_RULES)
        self.unpriced = 0
        self._statuses: set[str] = set()

    def kind(self, endpoint: str, status: int | None, cause: str | None) -> tuple[list[int], bool]:
        """Return where requests are counted that end so; as `Places.at`."""
        said = NO_STATUS if status is None else str(status)
        if len(self._statuses) < MAX_STATUSES:
            self._statuses.add(said)
        return self.kinds.at(endpoint, said if said in self._statuses else OTHER, cause or "")

    def times(self) -> dict[str, tuple[Times, Times]]:
        """Return by upstream how long it took until the first byte, and until the end."""
        found: dict[str, tuple[Histogram, Histogram]] = {}
        for (_, at), of_model in self.models.taken.items():
            if at not in found:
                found[at] = Histogram(FIRST_BYTE_S), Histogram(REQUEST_S)
            first_byte, request = found[at]
            first_byte.add(of_model.first_byte)
            request.add(of_model.request)
        return {at: (first.told(), request.told()) for at, (first, request) in found.items()}

    def told(self) -> TallyTold:
        """Return it as it is told."""
        return TallyTold(
            kinds=[
                ((endpoint, status, cause), count[0])
                for (endpoint, status, cause), count in self.kinds.taken.items()
            ],
            keys=[
                (name, KeyTold(of.outcomes, of.tokens.told(), of.micros))
                for (name,), of in self.keys.taken.items()
            ],
            models=[
                (
                    (model, at),
                    ModelTold(of.tokens.told(), of.micros, of.request.told(), of.first_byte.told()),
                )
                for (model, at), of in self.models.taken.items()
            ],
            gateway=self.gateway.told(),
            watched=[(name, count[0]) for (name,), count in self.watched.taken.items()],
            unpriced=self.unpriced,
            folded=sum(each.folded for each in (self.kinds, self.keys, self.models)),
        )
