"""How much of one turn of the event loop goes into the checking of bodies."""

import asyncio
import time
from collections.abc import Generator
from typing import TypeVar

_TURN_S = 0.01

Result = TypeVar("Result")


class Turns:
    """Runs what works in steps, so that whoever waits for the loop does not wait for long.

    In one turn of the loop new work takes ten milliseconds, and the rest of its last step, however much of it has come
    at once. What takes more steps than one is done after other such work, one step a turn.

    Attributes:
        long_work: held by who works in more than one step.
    """

    def __init__(self) -> None:
        self._spent_s = 0.0
        self.long_work = asyncio.Lock()

    async def run(self, steps: Generator[None, None, Result]) -> Result:
        """Run a generator to its end, and return what it returns."""
        while self._spent_s > _TURN_S:  # noqa: ASYNC110 - it waits for the loop's next turn, which is no event
            await asyncio.sleep(0)
        started = time.perf_counter()
        try:
            next(steps)
        except StopIteration as finished:
            result: Result = finished.value
            return result
        finally:
            self._spend(time.perf_counter() - started)
        async with self.long_work:
            # One step a turn, beside what the others may take: else either could starve the other.
            while True:
                await asyncio.sleep(0)
                try:
                    next(steps)
                except StopIteration as finished:
                    last: Result = finished.value
                    return last

    def _spend(self, took_s: float) -> None:
        if not self._spent_s:
            asyncio.get_running_loop().call_soon(self._begin)
        self._spent_s += took_s

    def _begin(self) -> None:
        self._spent_s = 0.0
