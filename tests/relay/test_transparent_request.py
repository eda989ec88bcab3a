"""What a client sends reaches the upstream as it came: body, query, headers."""

import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings

from proxy import Auth, Upstream
from tests.relay.bodies import UPSTREAM_MODEL, bodies
from tests.support.client import ask, request
from tests.support.gateways import BODY, KEY, MODEL, UPSTREAM_KEY, config_for, running
from tests.support.raw import UpstreamSide, answer, raw_upstream
from tests.support.scripts import gateway_before

Relayed = Callable[[bytes], Awaitable[bytes]]


async def say(exchange: UpstreamSide) -> None:
    await exchange.send(answer())


async def arrived(data: bytes, **changes: Any) -> UpstreamSide:
    """Give what the upstream sees of a request; `changes` are fields of the upstream's configuration."""
    async with raw_upstream(say) as upstream:
        given_upstream = Upstream(
            **{
                "name": "first",
                "base_url": upstream.url,
                "auth": Auth("x-api-key", UPSTREAM_KEY),
                **changes,
            }
        )
        async with running(config_for(upstream.url, upstreams=(given_upstream,))) as gateway:
            assert (await ask(gateway, data)).status == 200
        (exchange,) = upstream.requests
        return exchange


def header(exchange: UpstreamSide, name: str) -> list[str]:
    lines = exchange.head.decode().split("\r\n")[1:-2]
    pairs = [line.partition(": ") for line in lines]
    return [value for each, _, value in pairs if each.lower() == name]


@pytest_asyncio.fixture
async def relayed() -> AsyncIterator[Relayed]:
    """Give a function from the body sent to the body that arrives."""
    async with gateway_before(say) as (upstream, gateway):

        async def send(body: bytes) -> bytes:
            reply = await ask(gateway, request(body=body))
            assert reply.status == 200, reply.body
            return upstream.requests[-1].body

        yield send


@settings(
    max_examples=120,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(pair=bodies())
async def test_every_byte_of_a_body_arrives_but_the_model(
    relayed: Relayed, pair: tuple[bytes, bytes]
) -> None:
    sent, due = pair
    assert await relayed(sent) == due


async def test_a_name_that_comes_twice_arrives_once_with_the_value_that_was_authorised(
    relayed: Relayed,
) -> None:
    double = b'{"model":"anthropic/claude-x","a":1,' + BODY[1:-1] + b',"a":{ "b":1.0 }}'
    body = await relayed(double)
    assert body.count(b'"model"') == body.count(b'"a"') == 1
    assert body.startswith(b'{"model":"%s",' % UPSTREAM_MODEL)
    assert b'"a":{ "b":1.0 }' in body


async def test_a_body_of_megabytes_arrives_whole(relayed: Relayed) -> None:
    body = BODY[:-1] + b', "padding": "%s"}' % (b"x" * 5_000_000)
    assert await relayed(body) == body.replace(MODEL.encode(), UPSTREAM_MODEL)


async def test_the_body_is_framed_with_its_own_length() -> None:
    exchange = await arrived(request())
    assert header(exchange, "content-length") == [str(len(exchange.body))]
    assert header(exchange, "transfer-encoding") == []


@pytest.mark.parametrize(
    "query",
    [
        "?beta=true",
        "?a=%2F%2f&b=x+y",
        "?empty=&=&&also",
        "?q=a?b/c:d@e",
        "?u=%E9%ff%00%0d%0a",
        "?q='()*!;,$|[]{}^`\\\"<>",
        "?x=%zz%",
        "?repeat=1&repeat=1",
    ],
)
async def test_a_query_string_is_forwarded_verbatim(query: str) -> None:
    exchange = await arrived(request(path=b"/api/v1/messages" + query.encode()))
    assert exchange.head.split(b"\r\n")[0] == f"POST /v1/messages{query} HTTP/1.1".encode()


async def test_the_base_url_of_an_upstream_may_have_a_path() -> None:
    async with raw_upstream(say) as upstream:
        config = config_for(upstream.url + "/anthropic")
        async with running(config) as gateway:
            await ask(gateway, request(path=b"/v1/messages/count_tokens?beta=true"))
        first_line = upstream.requests[0].head.split(b"\r\n")[0]
    assert first_line == b"POST /anthropic/v1/messages/count_tokens?beta=true HTTP/1.1"


async def test_end_to_end_headers_arrive_as_they_came() -> None:
    sent = {
        "Anthropic-Beta": "a-2026-07-01,  b-2025-11-20 ,c",
        "anthropic-unknown": 'x;y="z"',
        "X-Claude-Code-Session-Id": "s-1",
        "x-stainless-lang": "python",
        "User-Agent": "claude-cli/2.1.330 (external, cli)",
        "accept": "application/json",
        "traceparent": "00-1-2-3",
        "x-utf8": "é",
    }
    data = request(headers=sent)
    data = data.replace(b"x-stainless-lang", b"Anthropic-Beta: d\r\nx-stainless-lang")
    exchange = await arrived(data)
    for name, value in sent.items():
        assert header(exchange, name.lower())[0] == value
    assert header(exchange, "anthropic-beta")[1] == "d"
    assert header(exchange, "anthropic-version") == ["2023-06-01"]
    assert header(exchange, "content-type") == ["application/json"]


async def test_nothing_that_was_not_sent_is_made_up() -> None:
    exchange = await arrived(request())
    lines = exchange.head.decode().split("\r\n")[1:-2]
    names = {line.split(":")[0].lower() for line in lines}
    # Hop-by-hop: with the plain twins, the connection is used once.
    assert names - {"connection"} == {
        *("accept-encoding", "anthropic-version", "content-length", "content-type", "host"),
        "x-api-key",
    }


async def test_credentials_cookies_and_hop_by_hop_headers_stay_here() -> None:
    sent = {
        "Authorization": f"Bearer {KEY}",
        "Cookie": "session=1",
        "Proxy-Authorization": "Basic eDp5",
        "Keep-Alive": "timeout=5",
        "TE": "trailers",
        "Upgrade": "h2c",
        "HTTP2-Settings": "AAMAAABkAAQAAP__",
        "Proxy-Connection": "keep-alive",
        "Origin": "https://page.test",
        "Referer": "https://page.test/",
        "Sec-Fetch-Mode": "cors",
        "X-Forwarded-For": "192.0.2.1",
        "X-Original-URL": "/v1/files",
        "X-HTTP-Method-Override": "DELETE",
        "x_api_key": "sk-twin",
        "api-key": KEY,
        "x-note": f"Bearer {KEY}",
        "Accept-Encoding": "gzip, br",
    }
    exchange = await arrived(request(headers=sent))
    for name in sent:
        if name != "Accept-Encoding":
            assert header(exchange, name.lower()) == []
    assert KEY.encode() not in exchange.head + exchange.body
    assert header(exchange, "accept-encoding") == ["identity"]


@pytest.mark.parametrize(
    "listed", ["x-api-key", "X-Api-Key, accept-encoding , host,content-length"]
)
async def test_listing_our_headers_in_connection_removes_none_of_them(listed: str) -> None:
    exchange = await arrived(request(headers={"connection": listed}))
    assert header(exchange, "x-api-key") == [UPSTREAM_KEY]
    assert header(exchange, "accept-encoding") == ["identity"]
    assert len(header(exchange, "host")) == len(header(exchange, "content-length")) == 1


async def test_the_version_that_was_checked_arrives_also_when_connection_lists_it() -> None:
    exchange = await arrived(request(headers={"connection": "anthropic-version, close"}))
    assert header(exchange, "anthropic-version") == ["2023-06-01"]


async def test_headers_listed_in_connection_stay_here() -> None:
    listed = {"connection": "anthropic-beta, x-foo,,", "anthropic-beta": "b", "X-Foo": "1"}
    exchange = await arrived(request(headers={**listed, "x-bar": "2"}))
    assert header(exchange, "anthropic-beta") == header(exchange, "x-foo") == []
    assert header(exchange, "x-bar") == ["2"]


async def test_headers_of_the_upstreams_configuration_replace_the_clients() -> None:
    sent = {"x-tenant": "mine", "anthropic-beta": "client"}
    exchange = await arrived(
        request(headers=sent), headers=(("X-Tenant", "ours"), ("anthropic-workspace-id", "w"))
    )
    assert header(exchange, "x-tenant") == ["ours"]
    assert header(exchange, "anthropic-workspace-id") == ["w"]
    assert header(exchange, "anthropic-beta") == ["client"]


async def test_a_header_that_the_upstreams_configuration_makes_null_stays_here() -> None:
    sent = {"Anthropic-Beta": "client", "x-tenant": "mine"}
    exchange = await arrived(request(headers=sent), headers=(("anthropic-beta", None),))
    assert header(exchange, "anthropic-beta") == []
    assert header(exchange, "x-tenant") == ["mine"]


async def test_the_bearer_scheme_sends_one_authorization() -> None:
    exchange = await arrived(request(), auth=Auth("bearer", UPSTREAM_KEY))
    assert header(exchange, "authorization") == [f"Bearer {UPSTREAM_KEY}"]
    assert header(exchange, "x-api-key") == []


async def test_without_a_scheme_no_credential_is_sent() -> None:
    data = request(headers={"authorization": f"Bearer {KEY}"})
    exchange = await arrived(data, auth=Auth("none"))
    assert header(exchange, "authorization") == header(exchange, "x-api-key") == []


async def test_the_host_is_the_upstreams() -> None:
    async with gateway_before(say) as (upstream, gateway):
        await ask(gateway, request(headers={"x-forwarded-host": "kept.test"}))
        assert header(upstream.requests[0], "host") == [upstream.url.removeprefix("http://")]


async def test_a_compressed_body_arrives_decoded() -> None:

    data = request(body=gzip.compress(BODY), headers={"content-encoding": "gzip"})
    exchange = await arrived(data)
    assert exchange.body == BODY.replace(MODEL.encode(), UPSTREAM_MODEL)
    assert header(exchange, "content-encoding") == []
    assert msgspec.json.decode(exchange.body)["max_tokens"] == 64
