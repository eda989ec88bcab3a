"""One turn of the loop holds a bounded part of the work that has come, whatever has come at once."""

import asyncio
from collections.abc import Generator

import pytest

from proxy.turns import Turns


class Clock:
    """Time passes in steps only."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 0.0
        monkeypatch.setattr("proxy.turns.time.perf_counter", lambda: self.now_s)
        self.turn = 0
        self.log: list[tuple[int, str]] = []

    def count_turns(self) -> None:
        self.turn += 1
        asyncio.get_running_loop().call_soon(self.count_turns)

    def steps(self, name: str, *took_s: float) -> Generator[None, None, str]:
        for each in took_s[:-1]:
            self.log.append((self.turn, name))
            self.now_s += each
            yield
        self.log.append((self.turn, name))
        self.now_s += took_s[-1]
        return name


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


async def test_what_comes_at_once_is_spread_over_turns(clock: Clock) -> None:
    shared = Turns()
    clock.count_turns()
    names = [str(index) for index in range(9)]
    done = await asyncio.gather(*(shared.run(clock.steps(name, 0.004)) for name in names))
    assert done == names
    by_turn = [[name for turn, name in clock.log if turn == each] for each in range(clock.turn + 1)]
    assert max(map(len, by_turn)) == 3  # 4, 8, 12 ms: only then is it over


async def test_quick_work_all_runs_in_the_turn_it_came_in(clock: Clock) -> None:
    shared = Turns()
    clock.count_turns()
    await asyncio.gather(*(shared.run(clock.steps("x", 0.0001)) for _ in range(50)))
    assert len({turn for turn, _ in clock.log}) == 1


async def test_long_work_is_done_one_after_the_other_and_lets_others_run(clock: Clock) -> None:
    shared = Turns()
    clock.count_turns()
    long_ones = [shared.run(clock.steps(name, *[0.02] * 5)) for name in "ab"]
    short = shared.run(clock.steps("s", 0.001))
    await asyncio.gather(*long_ones, short)
    names = "".join(name for _, name in clock.log)
    assert names.index("s") < names.rindex("b")
    # The first step of each is not yet long work.
    first_b, *rest_of_b = [at for at, name in enumerate(names) if name == "b"]
    assert first_b < names.rindex("a") < rest_of_b[0]
    assert not shared.long_work.locked()
    turns_of_a = [turn for turn, name in clock.log if name == "a"]
    assert len(set(turns_of_a)) == 5


async def test_who_leaves_while_waiting_holds_nothing(clock: Clock) -> None:
    shared = Turns()
    await shared.long_work.acquire()
    waiting = asyncio.create_task(shared.run(clock.steps("x", 0.02, 0.02)))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    shared.long_work.release()
    assert await shared.run(clock.steps("y", 0.02, 0.02)) == "y"


async def test_a_failure_in_a_step_is_its_callers(clock: Clock) -> None:
    def failing() -> Generator[None, None, None]:
        yield
        raise ValueError("mine")

    shared = Turns()
    with pytest.raises(ValueError, match="mine"):
        await shared.run(failing())
    assert await shared.run(clock.steps("y", 0.02, 0.02)) == "y"
