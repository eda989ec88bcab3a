"""Upstream connections that wait for their next request: who gets which, and when they are closed."""

import asyncio
import gc
from typing import Any, cast

from aiohttp.connector import Connection

from proxy.aiohttp_fast.idle import Pools


class Idle:
    """As much of a connection as a pool looks at."""

    def __init__(self) -> None:
        self.closed = False

    def close(self) -> None:
        self.closed = True


def idle(count: int) -> list[Any]:
    return [cast("Connection", Idle()) for _ in range(count)]


async def test_the_one_that_is_idle_longest_is_taken_first_and_none_twice() -> None:
    pool = Pools(60).of("kind")
    first, second = idle(2)
    pool.put(first)
    pool.put(second)
    assert (pool.take(), pool.take(), pool.take()) == (first, second, None)


async def test_who_wants_the_same_kind_has_the_same_pool_and_others_have_not() -> None:
    pools = Pools(60)
    pool, (connection,) = pools.of("kind"), idle(1)
    pool.put(connection)
    assert pools.of("other").take() is None
    assert pools.of("kind").take() is connection


async def test_a_connection_that_its_peer_has_closed_is_not_taken() -> None:
    pool = Pools(60).of("kind")
    gone, good = idle(2)
    pool.put(gone)
    pool.put(good)
    gone.closed = True
    assert pool.take() is good


async def test_a_connection_that_was_idle_for_too_long_is_closed_and_not_taken() -> None:
    pool, (old,) = Pools(-1).of("kind"), idle(1)
    pool.put(old)
    assert pool.take() is None
    assert old.closed


async def test_what_is_idle_for_too_long_is_closed_though_nobody_asks_and_nobody_knows_its_pool() -> (
    None
):
    pools = Pools(0.001)
    (old,) = idle(1)
    pools.of("kind").put(old)
    gc.collect()
    async with asyncio.timeout(5):
        while not old.closed:  # noqa: ASYNC110 - a timer has no event
            await asyncio.sleep(0.001)
    pools.close()


async def test_a_pool_that_nobody_knows_is_kept_while_a_connection_is_in_it_and_no_longer() -> None:
    pools = Pools(60)
    (connection,) = idle(1)
    pools.of("kind").put(connection)
    gc.collect()
    assert pools.of("kind").take() is connection
    gc.collect()
    assert not pools._pools
    pools.close()


async def test_the_end_closes_what_is_idle() -> None:
    pools = Pools(60)
    (connection,) = idle(1)
    pools.of("kind").put(connection)
    pools.close()
    assert connection.closed
