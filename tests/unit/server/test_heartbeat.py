"""A worker's socket to its parent: its end stops the worker, and nothing that is none does."""

import asyncio
import socket

from proxy.server.heartbeat import FORCE_EXIT, RELOAD, ParentLink


class FirstNothing(socket.socket):
    """A socket of which a poll told too much, as libuv says that it may: the first read finds nothing."""

    asked = False

    def recv(self, size: int, flags: int = 0) -> bytes:
        if not self.asked:
            self.asked = True
            raise BlockingIOError
        return super().recv(size, flags)


async def test_a_poll_that_tells_of_nothing_does_not_stop_the_worker() -> None:
    stopped, hurried, asked = asyncio.Event(), asyncio.Event(), asyncio.Event()
    parent, worker = socket.socketpair()
    with parent, FirstNothing(fileno=worker.detach()) as told:
        ParentLink(told).follow(stopped.set, hurried.set, asked.set)
        parent.send(RELOAD)
        parent.send(FORCE_EXIT)
        async with asyncio.timeout(5):
            await hurried.wait()
            assert asked.is_set()
            assert told.asked
            assert not stopped.is_set()
            parent.close()
            await stopped.wait()
