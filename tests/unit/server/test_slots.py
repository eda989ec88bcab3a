"""A listening socket that outlives its workers, unless they die one after the other."""

import contextlib
import socket
from collections.abc import Iterator

import pytest

from proxy.server.slots import Slot


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
        slot.worker_died()
        assert connects(port)
    slot.close()


def test_where_five_workers_have_died_in_a_minute_nobody_waits_until_there_is_another(
    port: int, caplog: pytest.LogCaptureFixture
) -> None:
    slot = Slot(("127.0.0.1",), port)
    slot.open()
    for _ in range(5):
        slot.worker_died()
    assert not connects(port)
    assert "no client waits for it" in caplog.text
    slot.open()
    assert connects(port)
    slot.close()
