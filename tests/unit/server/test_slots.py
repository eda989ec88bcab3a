"""A listening socket that outlives its workers, unless they die one after the other."""

import contextlib
import errno
import os
import socket
from collections.abc import Iterator

import pytest

from proxy.server import processes, slots
from proxy.server.processes import Workers
from proxy.server.slots import Slot
from proxy.server.worker import Worker
from tests.support.gateways import config_for


@pytest.fixture
def port() -> Iterator[int]:
    """Hold a port, as the first process does."""
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def connects(port: int) -> bool:
    with contextlib.suppress(ConnectionRefusedError), socket.socket() as client:
        client.connect(("127.0.0.1", port))
        return True
    return False


def test_who_connects_waits_while_there_is_no_worker(port: int) -> None:
    slot = Slot(("127.0.0.1",), port)
    assert not connects(port)
    slot.open()
    assert connects(port)
    for _ in range(4):
        slot.worker_lost(had_listened=True)
        assert connects(port)
    slot.close()


@pytest.mark.parametrize(
    ("times", "had_listened"), [(5, True), (1, False)], ids=["five lost", "one never listened"]
)
def test_where_workers_are_lost_again_and_again_nobody_waits_until_one_listens_itself(
    port: int, caplog: pytest.LogCaptureFixture, times: int, *, had_listened: bool
) -> None:
    slot = Slot(("127.0.0.1",), port)
    slot.open()
    for _ in range(times):
        slot.worker_lost(had_listened=had_listened)
    assert not connects(port)
    assert "no client waits for it now" in caplog.text
    slot.open()
    assert not connects(port)
    slot.sockets[0].listen()
    assert connects(port)
    slot.close()


def test_a_socket_that_cannot_listen_does_not_stay_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setattr(slots, "BACKLOG", 1 << 40)
    slot = Slot(("127.0.0.1",), port)
    with pytest.raises(OverflowError):
        slot.open()
    assert not slot.sockets
    # Nobody else may have it, if this is to succeed.
    with socket.create_server(("127.0.0.1", port)):
        pass


def test_a_slot_whose_worker_cannot_be_started_keeps_nobody_waiting(
    port: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> int:
        raise BlockingIOError(errno.EAGAIN, "no process can be had")

    slot = Slot(("127.0.0.1",), port)
    slot.open()
    workers = Workers(config_for("http://127.0.0.1:1"), 1, silent_s=60)
    gone = Worker(1, lambda *_: None, slot, socket.socket(), -60.0, 0.0, listens=True)
    workers.replace(gone)
    assert connects(port)
    monkeypatch.setattr(os, "fork", fail)
    monkeypatch.setattr(processes, "_RESPAWN_AFTER_S", 0.0)
    for _ in range(7):
        workers.respawn()
    assert not connects(port)
    assert caplog.text.count("no client waits for it now") == 1
    gone.link.close()
