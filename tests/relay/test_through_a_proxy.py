"""An upstream behind a company's proxy is reached through it, and what the proxy refuses is told as that."""

import logging
import ssl

import msgspec
import pytest

from proxy import Model, Timeouts
from proxy.aiohttp_fast import IS_FAST
from tests.support import certificates
from tests.support.client import Response, ask, request
from tests.support.forward_proxy import ForwardProxy, forward_proxy
from tests.support.gateways import (
    HEADERS,
    STREAM_BODY,
    UPSTREAM_KEY,
    Running,
    config_for,
    running,
)
from tests.support.raw import (
    MESSAGE,
    SSE_HEAD,
    STREAM,
    UpstreamSide,
    answer,
    chunk,
    raw_upstream,
)

NAME = "upstream.test"
CREDENTIALS = "Basic dXNlcjpwYXNzd29yZA=="
SCHEMES = pytest.mark.parametrize("scheme", ["http", "https"])


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    certificates.trust()
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


async def say(exchange: UpstreamSide) -> None:
    if b'"stream": true' in exchange.body:
        await exchange.send(SSE_HEAD + chunk(STREAM) + chunk(b""))
    else:
        await exchange.send(answer())


def tls_of(scheme: str) -> ssl.SSLContext | None:
    return certificates.server_context() if scheme == "https" else None


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]


def refused(reply: Response, gateway: Running) -> None:
    assert reply.status == 502
    assert msgspec.json.decode(reply.body)["error"]["message"].startswith("the upstream could not")
    assert gateway.log[-1]["cause"] == "upstream_unreachable"


@SCHEMES
async def test_the_environments_proxy_leads_to_an_upstream_whose_name_it_alone_knows(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        raw_upstream(say, tls_of(scheme), NAME) as upstream,
        forward_proxy() as proxy,
    ):
        monkeypatch.setenv(f"{scheme.upper()}_PROXY", f"http://{proxy.host_port}")
        async with running(config_for(upstream.url)) as gateway:
            for _ in range(2):
                reply = await ask(gateway, request(path=b"/v1/messages?beta=true"))
                assert reply.status == 200, reply.body
            assert (await ask(gateway, request(body=STREAM_BODY))).ending == "message"
        assert [each.head.split(b"\r\n")[0] for each in upstream.requests[:2]] == [
            b"POST /v1/messages?beta=true HTTP/1.1"
        ] * 2
        host = upstream.url.removeprefix(f"{scheme}://")
        for each in upstream.requests:
            assert f"\r\nhost: {host}\r\n".encode() in each.head.lower()
            assert b"\r\nproxy-" not in each.head.lower()
    if IS_FAST:  # the plain twins use no connection twice
        assert (proxy.connections, len(proxy.asked)) == (1, 1 if scheme == "https" else 3)
    if scheme == "https":
        assert proxy.asked[0].startswith(f"CONNECT {host} HTTP/1.1\r\n".encode())
        assert UPSTREAM_KEY.encode() not in proxy.asked[0]
    else:
        assert proxy.asked[0].startswith(f"POST http://{host}/v1/messages?".encode())


@SCHEMES
async def test_credentials_of_the_proxys_url_are_presented_to_it_alone(
    scheme: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        raw_upstream(say, tls_of(scheme), NAME) as upstream,
        forward_proxy(ForwardProxy(authorization=CREDENTIALS)) as proxy,
    ):
        monkeypatch.setenv("all_proxy", f"http://user:password@{proxy.host_port}")
        with caplog.at_level(logging.INFO):
            async with running(config_for(upstream.url)) as gateway:
                assert (await ask(gateway, request())).status == 200
        assert CREDENTIALS.encode() not in upstream.requests[0].head
    due = f"upstream first is reached through the proxy http://{proxy.host_port}, which all_proxy names"
    assert due in [each.getMessage() for each in caplog.records]
    assert "password" not in caplog.text
    assert CREDENTIALS not in caplog.text


async def test_a_proxy_that_is_reached_by_tls_leads_there_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with (
        raw_upstream(say, certificates.server_context(), NAME) as upstream,
        forward_proxy(tls=certificates.server_context()) as proxy,
    ):
        monkeypatch.setenv("HTTPS_PROXY", f"https://{proxy.host_port}")
        async with running(config_for(upstream.url)) as gateway:
            reply = await ask(gateway, request())
            assert reply.status == 200, reply.body
        assert len(proxy.asked) == 1


async def test_what_no_proxy_names_and_this_machine_are_reached_directly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with raw_upstream(say) as upstream, forward_proxy() as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://{proxy.host_port}")
        async with running(config_for(upstream.url)) as gateway:
            assert (await ask(gateway, request())).status == 200
    assert proxy.asked == []


@SCHEMES
@pytest.mark.parametrize(
    ("status", "words"),
    [(407, "wants other credentials (407): write them"), (502, "refused the way to it (502)")],
)
async def test_a_proxy_that_refuses_is_told_as_that(
    scheme: str,
    status: int,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Of a plain request a proxy's 502 cannot be told from its upstream's: it passes as one."""
    async with forward_proxy(ForwardProxy(refusal=status)) as proxy:
        monkeypatch.setenv(f"{scheme}_proxy", f"http://user:secret@{proxy.host_port}")
        async with running(config_for(f"{scheme}://{NAME}")) as gateway:
            reply = await ask(gateway, request())
    if (scheme, status) == ("http", 502):
        assert (reply.status, gateway.log[0]["cause"]) == (502, "upstream_error")
        return
    refused(reply, gateway)
    (line,) = warnings(caplog)
    assert line.startswith(f"{gateway.log[0]['request_id']}: ")
    assert words in line
    assert "upstream first" in line
    assert "secret" not in line


@SCHEMES
async def test_a_proxy_that_is_not_there_is_told_as_that(
    scheme: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with forward_proxy() as gone:
        pass
    monkeypatch.setenv(f"{scheme}_proxy", f"http://{gone.host_port}")
    async with running(config_for(f"{scheme}://{NAME}")) as gateway:
        refused(await ask(gateway, request()), gateway)
    (line,) = warnings(caplog)
    assert f"through the proxy http://{gone.host_port}" in line
    assert f"{gone.host_port}: connection refused" in line


async def test_a_proxy_that_never_answers_is_a_502_after_connect_s(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with forward_proxy(ForwardProxy(silent=True)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.host_port}")
        config = config_for(f"https://{NAME}", timeouts=Timeouts(connect_s=0.2))
        async with running(config) as gateway:
            refused(await ask(gateway, request()), gateway)
    assert "no connection within timeouts.connect_s" in warnings(caplog)[0]


async def test_a_certificate_is_checked_through_a_proxy_too(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        raw_upstream(say, certificates.server_context("other"), NAME) as upstream,
        forward_proxy() as proxy,
    ):
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.host_port}")
        async with running(config_for(upstream.url)) as gateway:
            refused(await ask(gateway, request()), gateway)
        assert upstream.requests == []
    assert "its certificate is for another name" in warnings(caplog)[0]


async def test_an_answer_of_a_stream_through_a_tunnel_keeps_its_bytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with (
        raw_upstream(say, certificates.server_context(), NAME) as upstream,
        forward_proxy() as proxy,
    ):
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.host_port}")
        async with running(config_for(upstream.url, echo_model=False)) as gateway:
            assert (await ask(gateway, request(body=STREAM_BODY))).body == STREAM
            assert (await ask(gateway, request())).body == MESSAGE


@SCHEMES
async def test_the_list_behind_a_wildcard_is_fetched_through_the_proxy_too(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def list_models(exchange: UpstreamSide) -> None:
        await exchange.send(answer(b'{"data": [{"type": "model", "id": "claude-far-1"}]}'))

    async with (
        raw_upstream(list_models, tls_of(scheme), NAME) as upstream,
        forward_proxy(ForwardProxy(authorization=CREDENTIALS)) as proxy,
    ):
        monkeypatch.setenv("ALL_PROXY", f"http://user:password@{proxy.host_port}")
        config = config_for(upstream.url, models=(Model("anthropic/*", "first"),))
        async with running(config) as gateway:
            url = gateway.url + "/v1/models"
            async with gateway.session.get(url, headers=HEADERS) as response:
                assert [each["id"] for each in (await response.json())["data"]] == [
                    "anthropic/claude-far-1"
                ]
        assert CREDENTIALS.encode() not in upstream.requests[0].head
