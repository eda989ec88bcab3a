"""What was never served costs nothing, and what nobody reckons is not read."""

import asyncio

from proxy.money.bill import Bill, bill
from tests.relay.costs import TABLE, Ended, observed
from tests.support.client import ask, connected, request
from tests.support.gateways import BODY, config_for, running
from tests.support.raw import answer
from tests.support.scripts import gateway_before, says, then_closes


async def test_who_was_never_sent_anywhere_pays_nothing() -> None:
    async with observed(then_closes()) as (gateway, ended):
        for body in (b"{", BODY.replace(b"anthropic/", b"openai/")):
            assert (await ask(gateway, request(body=body))).status in (400, 404)
    assert [bill(facts, TABLE) for facts in ended.facts] == [Bill(), Bill()]


async def test_an_upstream_that_is_not_there_costs_nothing() -> None:
    async with gateway_before(says()) as (upstream, _):
        url = upstream.url
    async with observed(says()) as (gateway, ended):
        snapshot = gateway.gateway.snapshot
        template = snapshot.upstreams["first"]
        template._base_url = url
        assert (await ask(gateway, request(body=BODY))).status == 502
    assert ended.bill == Bill()


async def test_a_client_that_leaves_while_the_upstream_is_still_being_reached_pays_nothing() -> (
    None
):
    """A server that accepts, and never answers a TLS handshake."""
    reached = asyncio.Event()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.set()
        while await reader.read(1 << 12):
            pass
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with running(config_for(url)) as gateway:
        ended = Ended([], asyncio.Event())
        gateway.gateway._observers += (ended,)
        async with connected(gateway.host, gateway.port) as client:
            await client.send(request(body=BODY))
            await reached.wait()
        await ended.left.wait()
    server.close()
    assert ended.bill == Bill()


async def test_a_count_of_tokens_costs_nothing() -> None:
    async with observed(says(answer(b'{"input_tokens": 5}'))) as (gateway, ended):
        reply = await ask(gateway, request(body=BODY, path=b"/v1/messages/count_tokens"))
        assert reply.status == 200
    assert ended.bill == Bill()


async def test_where_nobody_reckons_costs_nothing_is_read_that_only_they_depend_on() -> None:
    body = BODY[:-1] + b', "speed": "fast"}'
    async with gateway_before(says(answer())) as (_, gateway):
        ended = Ended([], asyncio.Event())
        gateway.gateway._observers += (ended,)
        await ask(gateway, request(body=body))
    facts = ended.facts[-1]
    assert (facts.speed, facts.served_model) == (None, None)
    assert facts.usage == {"input_tokens": 11, "output_tokens": 7}
