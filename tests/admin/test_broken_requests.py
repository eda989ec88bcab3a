"""Requests that are broken are their clients' doing: no defect of ours, and nothing of them is quoted in the log."""

import contextlib
import logging
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from proxy.admin.app import create_app
from proxy.admin.runner import runner_of
from tests.admin.conftest import WRITER
from tests.admin.viewing import ADMIN
from tests.support.client import connected
from tests.support.gateways import config_for

SECRET = WRITER.encode()
HEADS = {
    "a control character behind a key": b"x-api-key: %b\x01\r\n\r\n" % SECRET,
    "a space behind a name": b"x-api-key : %b\r\n\r\n" % SECRET,
    "no colon": b"%b\r\n\r\n" % SECRET,
    "a cookie that is cut": b"cookie: anyrouter-8081=%b\x00\r\n\r\n" % SECRET,
}
FORM = b"POST /sign-in HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-www-form-urlencoded\r\n"
BODIES = {
    "no gzip": (b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n", b"key=%b"),
    "no deflate": (b"content-encoding: deflate\r\ncontent-length: %d\r\n\r\n", b"key=%b"),
}


@contextlib.asynccontextmanager
async def listened() -> AsyncIterator[int]:
    """Serve the admin API as a process of its own does; yields the port."""
    runner = runner_of(create_app(config_for("http://127.0.0.1:9", admin=ADMIN)), 0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def _told(caplog: pytest.LogCaptureFixture) -> list[str]:
    shown = logging.Formatter()
    return [shown.format(each) for each in caplog.records if each.levelno >= logging.WARNING]


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
async def test_a_broken_head_is_refused_and_what_it_holds_is_in_no_log(
    caplog: pytest.LogCaptureFixture, head: bytes
) -> None:
    async with listened() as port, connected("127.0.0.1", port) as client:
        await client.send(b"GET / HTTP/1.1\r\nhost: localhost\r\n" + head)
        assert b" 400 " in await client.until(b"\r\n")
    assert _told(caplog) == []


@pytest.mark.parametrize(("head", "body"), BODIES.values(), ids=BODIES)
async def test_a_body_that_cannot_be_decoded_is_a_bad_request_and_no_defect(
    caplog: pytest.LogCaptureFixture, head: bytes, body: bytes
) -> None:
    sent = body % SECRET
    async with listened() as port, connected("127.0.0.1", port) as client:
        await client.send(FORM + head % len(sent) + sent)
        assert b" 400 " in await client.until(b"\r\n")
    assert _told(caplog) == []


async def test_a_client_that_leaves_in_the_midst_of_its_body_is_no_defect(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with listened() as port, connected("127.0.0.1", port) as client:
        await client.send(FORM + b"content-length: 100\r\nexpect: 100-continue\r\n\r\nkey=")
        assert b" 100 " in await client.until(b"\r\n")  # the handler reads
    assert _told(caplog) == []
