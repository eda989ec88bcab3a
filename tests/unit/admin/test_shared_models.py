"""However many look, a model is made once: for a second, and the longer the longer it takes."""

import asyncio

import pytest

from proxy.admin.page.shared import SharedModels, SharedWorkers
from proxy.admin.workers import Answer, SocketWorkers
from proxy.errors import StoreUnavailable


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Model:
    """Makes a number, in so many seconds of the clock."""

    def __init__(self, clock: Clock, takes_s: float, *, fails: bool = False) -> None:
        self.made = 0
        self._clock, self._takes_s, self._fails = clock, takes_s, fails

    async def __call__(self) -> int:
        self.made += 1
        self._clock.now_s += self._takes_s
        if self._fails:
            raise StoreUnavailable("silent")
        return self.made


@pytest.mark.parametrize(
    ("takes_s", "shared_s"),
    [(0.0, 1.0), (0.05, 0.95), (0.2, 1.8), (1.0, 9.0), (4.0, 10.0)],
    ids=["at once", "quick", "a fifth of a second", "a second", "seconds"],
)
async def test_a_model_is_shared_for_a_second_and_nine_times_as_long_as_it_took(
    takes_s: float, shared_s: float
) -> None:
    clock = Clock()
    models, make = SharedModels[int](clock=clock), Model(clock, takes_s)
    assert await asyncio.gather(*(models.get("/", make) for _ in range(50))) == [1] * 50
    clock.now_s += shared_s - 0.01
    assert await models.get("/", make) == 1
    clock.now_s += 0.02
    assert await models.get("/", make) == 2
    assert await models.get("/live", make) == 3


async def test_a_failure_is_shared_for_no_longer_than_a_second() -> None:
    clock = Clock()
    models, make = SharedModels[int](clock=clock), Model(clock, 4.0, fails=True)
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await models.get("/", make)
    assert make.made == 2


async def test_workers_are_asked_once_for_all_pages_that_ask_alike() -> None:
    asked: list[str] = []

    class Asked(SocketWorkers):
        async def _ask_all(self, path: str) -> list[Answer | None]:
            asked.append(path)
            return [None]

    workers = SharedWorkers(Asked(("w",)))
    for _ in range(3):
        assert await workers.ledgers() == [None]
        assert await workers.upstreams() == [None]
        assert await workers.all_limits(5, "") == [None]
    assert await workers.all_limits(5, "key a") == [None]
    assert asked == [
        "/ledger",
        "/upstreams",
        "/limits?limit=5&after=",
        "/limits?limit=5&after=key+a",
    ]
