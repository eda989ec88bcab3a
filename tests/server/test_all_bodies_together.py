"""All bodies together have a bound; small ones pass, large ones wait, and are refused when it takes too long."""

import asyncio
import contextlib
import gzip

import pytest

from proxy import Drop, Limits, Member, body_memory
from tests.support.client import ask, connected, request
from tests.support.gateways import BODY
from tests.support.pools import good, pooled
from tests.support.raw import UpstreamSide, answer, chunk
from tests.support.refusals import raw_refusal, refusal
from tests.support.scripts import gateway_before

LARGE = BODY.replace(b"say hi", b"x" * 900_000)
LIMITS = Limits(body_memory_bytes=1 << 24)
SHARE = 1 << 23
DECLARED = b"content-length: 8000000"


async def script(upstream: UpstreamSide) -> None:
    await upstream.send(answer())


async def test_a_body_holds_of_the_budget_until_it_is_answered() -> None:
    async with gateway_before(script, limits=LIMITS) as (_, gateway):
        memory = gateway.gateway.body_memory
        for headers, body in (({}, LARGE), ({"content-encoding": "gzip"}, gzip.compress(LARGE))):
            async with gateway.post(body, headers=headers) as response:
                assert response.status == 200
            assert memory.held_bytes == 0
        async with gateway.post(LARGE[:-1]) as response:
            await refusal(response, 400, "invalid_request_error")
        await gateway.gateway.deadlines.idle()
        assert memory.held_bytes == 0


async def test_when_it_is_full_large_ones_are_refused_and_small_ones_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(body_memory, "_LONGEST_WAIT_S", 0.05)
    async with gateway_before(script, limits=LIMITS) as (_, gateway):
        memory = gateway.gateway.body_memory
        async with connected(gateway.host, gateway.port) as slow:
            await slow.send(request(DECLARED, length=False, body=b"{"))
            async with asyncio.timeout(5):
                while not memory.held_bytes:  # noqa: ASYNC110 - the budget has no event
                    await asyncio.sleep(0)
            async with gateway.post(LARGE) as response:
                error = await refusal(response, 529, "overloaded_error")
                assert "request bodies" in error["message"]
            async with gateway.post() as response:
                assert response.status == 200
            slow.leave()
        await gateway.gateway.deadlines.idle()
        async with gateway.post(LARGE) as response:
            assert response.status == 200
    assert [line.get("cause") for line in gateway.log].count("body_memory") == 1


async def test_what_decodes_to_more_than_there_is_room_for_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(body_memory, "_LONGEST_WAIT_S", 0.05)
    bomb = gzip.compress(BODY.replace(b"say hi", b"x" * 7_000_000))
    async with gateway_before(script, limits=LIMITS) as (_, gateway):
        memory = gateway.gateway.body_memory
        permit = await memory.take("tester", 1 << 20)
        async with connected(gateway.host, gateway.port) as client:
            data = request(b"content-encoding: gzip", body=bomb)
            await client.send(data)
            raw_refusal(await client.answer(), 529, "overloaded_error")
        permit.hold(0)
        await gateway.gateway.deadlines.idle()
        assert memory.held_bytes == 0


def filled(size: int) -> bytes:
    return BODY.replace(b"say hi", b"x" * (size - len(BODY) + len(b"say hi")))


NEVER = {
    "declared": request(b"content-length: %d" % (SHARE + 1), length=False, body=b""),
    "in chunks": request(
        b"transfer-encoding: chunked", body=chunk(filled(SHARE + 1)) + chunk(b""), length=False
    ),
    "compressed": request(b"content-encoding: gzip", body=gzip.compress(filled(SHARE + 1), 1)),
}


@pytest.mark.parametrize("data", NEVER.values(), ids=NEVER)
async def test_what_could_never_be_let_in_is_a_413_that_says_why(data: bytes) -> None:
    async with gateway_before(script, limits=LIMITS) as (upstream, gateway):
        async with connected(gateway.host, gateway.port) as client:
            with contextlib.suppress(ConnectionError):  # it may be closed before all is sent
                await client.send(data)
            error = raw_refusal(await client.answer(), 413, "request_too_large")
            assert "limits.body_memory_bytes" in error["message"]
            assert str(SHARE) in error["message"]
        await gateway.gateway.deadlines.idle()
        assert gateway.gateway.body_memory.held_bytes == 0
        assert upstream.requests == []


async def test_the_largest_that_a_key_may_have_is_served() -> None:
    async with gateway_before(script, limits=LIMITS) as (upstream, gateway):
        assert (await ask(gateway, request(body=filled(SHARE)))).status == 200
        assert len(upstream.requests[0].body) >= SHARE - 100


DROPS = {"drop": Drop(members=("metadata",))}
BOTH_ANEW = "one upstream", "a pool"


@pytest.mark.parametrize(("members", "copies"), [("a", 2), ("ab", 1)], ids=BOTH_ANEW)
async def test_one_that_is_written_anew_for_its_only_upstream_holds_as_much_as_both(
    members: str, copies: int
) -> None:
    held: list[int] = []

    async def measured(upstream: UpstreamSide) -> None:
        held.append(gateway.gateway.body_memory.held_bytes)
        await script(upstream)

    in_pool = tuple(Member(name, priority=place) for place, name in enumerate(members, 1))
    async with pooled(
        measured, good, members=in_pool, upstreams={"a": DROPS}, limits=LIMITS
    ) as pool:
        gateway = pool.gateway
        assert (await ask(gateway, request(body=LARGE))).status == 200
        assert gateway.gateway.body_memory.held_bytes == 0
    assert held == [copies * len(LARGE)]


async def test_an_upstream_is_not_asked_when_the_body_and_its_copy_have_no_room() -> None:
    alone = (Member("a"),)
    async with pooled(good, members=alone, upstreams={"a": DROPS}, limits=LIMITS) as pool:
        gateway = pool.gateway
        largest = await ask(gateway, request(body=filled(SHARE)))
        error = raw_refusal(largest, 413, "request_too_large")
        assert "limits.body_memory_bytes" in error["message"]
        others = [await gateway.gateway.body_memory.take(name, SHARE // 2) for name in "abc"]
        third = request(body=filled(SHARE // 3))
        raw_refusal(await ask(gateway, third), 529, "overloaded_error")
        for each in others:
            each.hold(0)
        assert (await ask(gateway, third)).status == 200
        await gateway.gateway.deadlines.idle()
        assert gateway.gateway.body_memory.held_bytes == 0
    assert pool.asked() == {"a": 1}
    causes = [line.get("cause") for line in gateway.log]
    assert causes == ["request_too_large", "body_memory", None]
