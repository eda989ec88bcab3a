"""A gateway that goes on by another configuration while it serves."""

import asyncio
import dataclasses
import gc
from fractions import Fraction
from typing import Any

import pytest

from proxy import (
    Auth,
    Config,
    ConfigError,
    Cors,
    Key,
    Limits,
    Listen,
    Model,
    Prices,
    Quota,
    RateLimits,
    Timeouts,
    Upstream,
)
from proxy.access.keys import digest
from proxy.aiohttp_fast import IS_FAST
from proxy.snapshot import Snapshot
from proxy.upstreams.connections import UpstreamTemplate
from tests.server.reloading import OTHER_KEY, status
from tests.support.gateways import STREAM_BODY
from tests.support.raw import (
    EVENTS,
    SSE_HEAD,
    STREAM,
    UpstreamSide,
    answer,
    chunk,
    raw_upstream,
)
from tests.support.scripts import gateway_before, says


def with_key(config: Config, key: str) -> Config:
    """Return a configuration with another credential for its upstream."""
    (upstream,) = config.upstreams
    return dataclasses.replace(
        config, upstreams=(dataclasses.replace(upstream, auth=Auth("x-api-key", key)),)
    )


async def test_streams_live_through_reloads_and_new_requests_use_the_new_credential() -> None:
    go_on, begun, count = asyncio.Event(), asyncio.Event(), 20
    streams: list[bytes] = []

    async def script(upstream: UpstreamSide) -> None:
        if b'"stream": true' not in upstream.body:
            await upstream.send(answer())
            return
        await upstream.send(SSE_HEAD + chunk(EVENTS[0]))
        streams.append(upstream.head)
        if len(streams) == count:
            begun.set()
        await go_on.wait()
        await upstream.send(chunk(b"".join(EVENTS[1:])) + chunk(b""))

    async with gateway_before(script, echo_model=False) as (upstream, gateway):
        config = gateway.gateway.snapshot.config

        async def stream() -> bytes:
            async with gateway.post(STREAM_BODY) as response:
                return await response.read()

        under_way = [asyncio.create_task(stream()) for _ in range(count)]
        await begun.wait()
        for i in range(100):
            told = await gateway.gateway.reload(with_key(config, f"sk-number-{i}"))
            assert told.changes == ["upstreams.first.auth changed"]
            if i % 10 == 0:
                assert await status(gateway) == 200
                assert b"sk-number-%d\r\n" % i in upstream.requests[-1].head
        # The plain client uses none again.
        asked = 1 if IS_FAST else 10
        assert upstream.connections == count + asked, "connections outlive a reload"
        go_on.set()
        assert await asyncio.gather(*under_way) == [STREAM] * count


def _kept() -> int:
    """Count everything made of configurations that is still there."""
    gc.collect()
    return sum(isinstance(each, Snapshot | Config | UpstreamTemplate) for each in gc.get_objects())


async def test_of_what_reloads_replace_nothing_is_kept_but_what_streams_go_by() -> None:
    go_on, begun, count, reloads = asyncio.Event(), asyncio.Semaphore(0), 3, 10

    async def script(upstream: UpstreamSide) -> None:
        await upstream.send(SSE_HEAD + chunk(EVENTS[0]))
        begun.release()
        await go_on.wait()
        await upstream.send(chunk(b"".join(EVENTS[1:])) + chunk(b""))

    async with gateway_before(script) as (_, gateway):
        config = gateway.gateway.snapshot.config

        async def stream() -> None:
            async with gateway.post(STREAM_BODY) as response:
                await response.read()

        before, under_way = _kept(), []
        for number in range(count):
            under_way.append(asyncio.create_task(stream()))
            await begun.acquire()
            for i in range(reloads):
                await gateway.gateway.reload(with_key(config, f"sk-number-{number}-{i}"))
        # One each for those that have been under way since their own configuration.
        assert _kept() <= before + 3 * count
        go_on.set()
        await asyncio.gather(*under_way)
        await gateway.gateway.deadlines.idle()
        for _ in range(1_000):
            if _kept() <= before + 3:
                break
            await asyncio.sleep(0.01)  # connections let go a moment after their last byte
        assert _kept() <= before + 3, "the first one is known to this test"


async def test_keys_that_are_added_open_it_and_those_that_are_removed_do_not() -> None:
    async with gateway_before(says(answer())) as (_, gateway):
        config = gateway.gateway.snapshot.config
        assert (await status(gateway), await status(gateway, OTHER_KEY)) == (200, 401)
        other = Key("other", digest(OTHER_KEY))
        told = await gateway.gateway.reload(dataclasses.replace(config, keys=(other,)))
        assert told.changes == ["keys +1 -1"]
        assert (await status(gateway), await status(gateway, OTHER_KEY)) == (401, 200)


async def test_models_upstreams_and_the_rest_count_at_once() -> None:
    async with (
        raw_upstream(says(answer())) as second,
        gateway_before(says(answer())) as (first, gateway),
    ):
        config = gateway.gateway.snapshot.config
        new = dataclasses.replace(
            config,
            upstreams=(Upstream("second", second.url),),
            models=(Model("anthropic/*", "second"),),
            limits=Limits(max_body_bytes=1024),
            trusted_proxies=("127.0.0.1",),
        )
        await gateway.gateway.reload(new)
        assert await status(gateway) == 200
        assert (len(first.requests), len(second.requests)) == (0, 1)
        async with gateway.post(b" " * 2000, headers={"x-forwarded-for": "192.0.2.7"}) as response:
            assert response.status == 413
        assert gateway.log[-1]["client"] == "192.0.2.7"


async def test_a_request_keeps_the_timeouts_that_it_began_with() -> None:
    release = asyncio.Event()

    async def script(upstream: UpstreamSide) -> None:
        await release.wait()
        await upstream.send(answer())

    async with gateway_before(script, timeouts=Timeouts(first_byte_s=60)) as (upstream, gateway):
        config = gateway.gateway.snapshot.config
        patient = asyncio.create_task(status(gateway))
        await upstream.arrived.wait()
        await gateway.gateway.take_over(
            dataclasses.replace(config, timeouts=Timeouts(first_byte_s=0.1))
        )
        # Begun later, and ended by its shorter time while the first goes on.
        assert await status(gateway) == 504
        assert not patient.done()
        release.set()
        assert await patient == 200


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param({"models": ()}, "models: at least one is needed", id="schema"),
        pytest.param(
            {"models": (Model("anthropic/*", "nowhere"),)},
            "models.0.upstream: no upstream has this name; known: first",
            id="rule",
        ),
    ],
)
async def test_what_cannot_be_served_changes_nothing(change: dict[str, Any], said: str) -> None:
    async with gateway_before(says(answer())) as (_, gateway):
        before = gateway.gateway.snapshot
        with pytest.raises(ConfigError) as refused:
            await gateway.gateway.reload(dataclasses.replace(before.config, **change))
        assert refused.value.faults == (said,)
        assert gateway.gateway.snapshot is before
        assert await status(gateway) == 200


async def test_limits_and_prices_count_at_once_and_what_was_counted_stays() -> None:
    limited = Quota(each_key_limits=RateLimits(requests_per_minute=100))
    async with gateway_before(says(answer()), quota=limited) as (_, gateway):
        config = gateway.gateway.snapshot.config
        for _ in range(3):
            assert await status(gateway) == 200
        strict = Quota(each_key_limits=RateLimits(requests_per_minute=3))
        await gateway.gateway.reload(dataclasses.replace(config, quota=strict))
        assert [await status(gateway) for _ in range(4)].count(429) >= 1
        cost = gateway.log[0]["cost_micros"]
        await gateway.gateway.reload(
            dataclasses.replace(config, quota=limited, prices=Prices(multiplier=Fraction(10)))
        )
        assert await status(gateway) == 200
        assert gateway.log[-1]["cost_micros"] == 10 * cost


async def test_a_key_is_ended_by_a_file_whose_limits_wait_for_a_restart() -> None:
    async with gateway_before(says(answer())) as (_, gateway):
        config = gateway.gateway.snapshot.config
        ended = dataclasses.replace(
            config.keys[0], disabled=True, limits=RateLimits(requests_per_minute=1)
        )
        told = await gateway.gateway.reload(
            dataclasses.replace(config, keys=(ended, *config.keys[1:]))
        )
        assert told.changes == [f"keys.{ended.name}.disabled changed"]
        assert told.after_restart == [f"keys.{ended.name}.limits changed"]
        assert await status(gateway) == 401


async def test_what_needs_a_restart_is_told_and_the_rest_is_taken() -> None:
    async with gateway_before(says(answer())) as (_, gateway):
        config = gateway.gateway.snapshot.config
        told = await gateway.gateway.reload(
            dataclasses.replace(
                config, echo_model=False, listen=Listen(port=1), cors=Cors(("https://a.example",))
            )
        )
        assert told.changes == ["echo_model changed"]
        assert told.after_restart == ["listen.port changed", "cors.origins changed"]
        assert gateway.gateway.snapshot.config.listen == config.listen


async def test_origins_of_pages_come_and_go_where_there_were_some() -> None:
    asked = {"Origin": "https://b.example", "Access-Control-Request-Method": "POST"}
    async with gateway_before(says(answer()), cors=Cors(("https://a.example",))) as (_, gateway):
        config = gateway.gateway.snapshot.config
        url = gateway.url + "/v1/messages"
        async with gateway.session.options(url, headers=asked) as response:
            assert response.status == 403
        await gateway.gateway.reload(dataclasses.replace(config, cors=Cors(("https://b.example",))))
        async with gateway.session.options(url, headers=asked) as response:
            assert response.status == 204
