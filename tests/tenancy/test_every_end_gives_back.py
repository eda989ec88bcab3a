"""However a request ends, it gives back its slot and what it held, and leaves one row: here, and in Redis.

Elsewhere some ends keep what was reserved: BerriAI/litellm#27639, #36592, #30460.
"""

import errno
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from proxy import Budgets, RateLimits, Redis, Timeouts
from proxy.causes import Cause
from proxy.limits.policy import Counters
from tests.ledger.rows import until
from tests.relay.test_nothing_is_left import ENDS, GOOD, HOLDS, _one
from tests.relay.test_streaming import endless
from tests.support.client import connected
from tests.support.client import request as asks
from tests.support.gateways import STREAM_BODY, Running
from tests.support.raw import RawUpstream, answer, raw_upstream
from tests.support.redis_server import RedisServer
from tests.support.scripts import says
from tests.tenancy.conftest import Start

LIMITS = RateLimits(10**6, 10**9, 10**9, 1000)
SHORT_WAITS = Timeouts(first_byte_s=0.2, idle_s=0.2, request_body_idle_s=0.2)
# Where a request is sent to its upstream, whatever can be raised there.
RAISED: dict[str, Exception] = {
    "no file descriptor": OSError(errno.EMFILE, "too many open files"),
    "a connection that is lost": ConnectionResetError(),
    "a failure that is none of those": aiohttp.ClientError("whatever"),
    "a header that cannot be sent": ValueError("a control character"),
    "a defect": ZeroDivisionError(),
}
# After a request was let in, it can end in these.
CAUSES = {
    *(Cause.CLIENT_CLOSED, Cause.CLIENT_STALLED, Cause.DRAINING, Cause.INTERNAL),
    *(Cause.OUT_OF_FILES, Cause.UPSTREAM_AUTH, Cause.UPSTREAM_CUT, Cause.UPSTREAM_ERROR),
    *(Cause.UPSTREAM_FAILED, Cause.UPSTREAM_GARBAGE, Cause.UPSTREAM_REDIRECT),
    *(Cause.UPSTREAM_TIMEOUT, Cause.UPSTREAM_TOO_LARGE, Cause.UPSTREAM_UNREACHABLE),
    Cause.UNSENDABLE_HEADER,
}


@pytest.fixture
def store_url(request: pytest.FixtureRequest, tmp_path: Path, sqlite_made: Path) -> str:
    """Return a store as it goes with counts here, in SQLite, and with those in Redis, in PostgreSQL."""
    if request.getfixturevalue("is_shared"):
        url: str = request.getfixturevalue("postgres_store")
        return url
    return f"sqlite:///{shutil.copy(sqlite_made, tmp_path / 'store.db')}"


def _counters(gateway: Running) -> Counters:
    tenancy = gateway.gateway.tenancy
    assert tenancy is not None
    return tenancy.admission.counters("key tester")


async def _reads_nothing(gateway: Running) -> None:
    """Ask for a stream and read nothing of it, until the gateway ends that."""
    before = len(gateway.log)
    async with connected(gateway.host, gateway.port, 1 << 12) as (_, writer):
        writer.write(asks(body=STREAM_BODY))
        await until(lambda: len(gateway.log) > before)


async def _ends(
    gateway: Running, upstream: RawUpstream, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[str]:
    """Let one request after the other end, each in its way; give the name of each."""
    for name, (script, data, leaves) in ENDS.items():
        upstream.script = script
        await _one(gateway, data, leaves)
        yield name
    for name, script in (
        ("a redirect", says(answer(b"", b"302 Found"))),
        ("a proxy's refusal", says(answer(b"", b"407 No"))),
        ("an answer", says(answer())),
    ):
        upstream.script = script
        await _one(gateway, GOOD, "never")
        yield name
    with monkeypatch.context() as small:
        small.setattr("proxy.relay.buffered.MAX_BYTES", 10)
        await _one(gateway, GOOD, "never")
        yield "an answer that is too large"
    upstream.script = endless
    await _reads_nothing(gateway)
    yield "a client that reads nothing"
    client = gateway.gateway.connections._client
    for name, raised in RAISED.items():
        with monkeypatch.context() as broken:
            broken.setattr(client, "post", _raises(raised))
            await _one(gateway, GOOD, "never")
        yield name


def _raises(error: Exception) -> Callable[..., Any]:
    async def post(*_: Any, **__: Any) -> None:
        raise error

    return post


@pytest.mark.parametrize("is_shared", [False, True], ids=["here", "in redis"])
async def test_each_end_gives_back_and_leaves_one_row(
    tenant: Start,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    *,
    is_shared: bool,
) -> None:
    redis: RedisServer | None = request.getfixturevalue("redis_server") if is_shared else None
    async with (
        raw_upstream(HOLDS) as upstream,
        tenant(
            limits=LIMITS,
            budgets=Budgets(day_micros=10**12),
            upstream=upstream.url,
            timeouts=SHORT_WAITS,
            **({} if redis is None else {"redis": Redis(redis.url, timeout_ms=5000)}),
        ) as started,
    ):
        gateway, asked = started.gateway, 0
        counters = _counters(gateway)
        async for end in _ends(gateway, upstream, monkeypatch):
            asked += 1
            await gateway.gateway.deadlines.idle()
            assert (counters.in_flight, counters.held_micros) == (0, 0), end
        upstream.script = HOLDS
        gateway.gateway.deadlines.change(Timeouts())  # nothing but the drain ends this one
        async with connected(gateway.host, gateway.port) as client:
            await client.send(asks(body=STREAM_BODY))
            await client.until(b"message_start")
            assert (counters.in_flight, counters.held_micros > 0) == (1, True)
            gateway.gateway.deadlines.interrupt_all()
            await gateway.gateway.deadlines.idle()
        assert (counters.in_flight, counters.held_micros) == (0, 0), "a drain"
        rows = await started.rows(asked + 1)
    assert {Cause(row.cause) for row in rows if row.cause is not None} >= CAUSES
    if redis is not None:
        with redis.client() as plain:
            assert plain.zcard("{ar:default}:l:key tester") == 0
            assert int(plain.hget("{ar:default}:s:key tester", "h") or 0) == 0
