"""Two gateways that each count for themselves would let twice as much through: the second one does not start."""

import asyncio
from pathlib import Path

import pytest

from proxy.tenancy import alone
from proxy.tenancy.alone import Alone


async def test_the_second_does_not_start_and_is_told_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alone, "_WITHIN_S", 0.2)
    first, second = Alone(str(tmp_path)), Alone(str(tmp_path))
    await first.acquire()
    with pytest.raises(RuntimeError, match="give both `redis`"):
        await second.acquire()
    first.release()
    await second.acquire()
    second.release()


async def test_one_that_is_just_ending_is_waited_for(tmp_path: Path) -> None:
    first, second = Alone(str(tmp_path)), Alone(str(tmp_path))
    await first.acquire()
    waiting = asyncio.create_task(second.acquire())
    await asyncio.sleep(0)
    assert not waiting.done()
    first.release()
    await waiting
    second.release()


async def test_elsewhere_nobody_is_in_the_way(tmp_path: Path) -> None:
    first, second = Alone(str(tmp_path / "a")), Alone(str(tmp_path / "b"))
    await first.acquire()
    await second.acquire()
    first.release()
    second.release()
