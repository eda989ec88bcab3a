"""A worker's socket to its parent: its end stops the worker, and nothing that is none does."""

import asyncio
import socket

from proxy.server.heartbeat import FORCE_EXIT, RELOAD, ParentLink
from proxy.server.worker import Worker


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


def test_the_parent_hears_what_a_worker_has_taken_over_between_its_beats() -> None:
    parent, worker = socket.socketpair()
    with parent, worker:
        parent.setblocking(False)
        link = ParentLink(worker)
        link.took_over("3f9c51d20a77")
        worker.send(b"..")
        link.took_over("0a773f9c51d2")
        link.fail("=3f9c51d20a78; is not one")
        heard = Worker(1, lambda *_: None, None, parent, 0.0, 0.0)
        assert heard.hear()
        assert heard.taken == {"3f9c51d20a77", "0a773f9c51d2"}
        assert heard.cause == "=3f9c51d20a78; is not one"
