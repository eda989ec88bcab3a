"""Clients of other versions of HTTP: the older are answered as they understand it, the newer told what to use."""

import asyncio

import pytest

from tests.support.client import answers, connected, request, talk
from tests.support.gateways import STREAM_BODY, Running, config_for, running
from tests.support.raw import SSE_HEAD, STREAM, RawUpstream, UpstreamSide, chunk, raw_upstream
from tests.support.refusals import raw_refusal

HTTP_2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HTTP_2_SETTINGS = bytes(3) + b"\x04" + bytes(5)


def of_version(version: bytes, *lines: bytes, **given: bytes) -> bytes:
    return request(*lines, **given).replace(b"HTTP/1.1", b"HTTP/" + version, 1)  # type: ignore[arg-type] # a body


@pytest.mark.parametrize("version", [b"1.2", b"1.10", b"2", b"2.0", b"3", b"3.0", b"10.7"])
async def test_a_newer_version_is_505_in_http_1_1_and_closed(
    gateway: Running, upstream: RawUpstream, version: bytes
) -> None:
    received = await talk(gateway.host, gateway.port, of_version(version))
    assert received.startswith(b"HTTP/1.1 505 ")
    (answered,) = answers(received)
    error = raw_refusal(answered, 505, "invalid_request_error")
    assert error["message"].startswith(f"HTTP/{version.decode()} is not served")
    assert answered.headers["connection"] == "close"
    assert not upstream.requests


@pytest.mark.parametrize("version", [b"0.9", b"1", b"x.1", b"1.x", b"9" * 5000])
async def test_what_is_no_newer_version_is_400(gateway: Running, version: bytes) -> None:
    (answered,) = answers(await talk(gateway.host, gateway.port, of_version(version)))
    assert answered.status in {400, 431}


@pytest.mark.parametrize("behind", [b"", HTTP_2_SETTINGS, HTTP_2_SETTINGS * 20_000])
async def test_http_2_with_prior_knowledge_is_told_to_use_http_1_1(
    gateway: Running, behind: bytes
) -> None:
    async with connected(gateway.host, gateway.port) as client:
        await client.send(HTTP_2_PREFACE)
        await client.send(behind)
        (answered,) = answers(await client.until_closed())
    error = raw_refusal(answered, 505, "invalid_request_error")
    assert error["message"] == "HTTP/2 with prior knowledge is not served here: use HTTP/1.1"


@pytest.mark.parametrize("lines", [(), (b"connection: keep-alive",)], ids=["plain", "keep-alive"])
async def test_a_stream_to_a_1_0_client_ends_with_the_connection(lines: tuple[bytes, ...]) -> None:
    async def script(exchange: UpstreamSide) -> None:
        await exchange.send(SSE_HEAD + chunk(STREAM) + chunk(b""))

    async with raw_upstream(script) as upstream, running(config_for(upstream.url)) as gateway:
        received = await talk(
            gateway.host, gateway.port, of_version(b"1.0", *lines, body=STREAM_BODY)
        )
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 200 ")
    assert b"keep-alive" not in head.lower()
    assert b"message_stop" in body.rpartition(b"event: ")[2]


async def test_a_1_0_client_may_keep_its_connection_when_the_length_is_known(
    gateway: Running,
) -> None:
    async with connected(gateway.host, gateway.port) as client:
        for _ in range(2):
            await client.send(of_version(b"1.0", b"connection: keep-alive"))
            answered = await client.answer()
            assert (answered.status, answered.headers["connection"]) == (200, "keep-alive")


@pytest.mark.parametrize("expectation", [b"100-continue", b"something else"])
async def test_what_a_1_0_client_expects_is_ignored(gateway: Running, expectation: bytes) -> None:
    received = await talk(gateway.host, gateway.port, of_version(b"1.0", b"expect: " + expectation))
    assert received.startswith(b"HTTP/1.0 200 ")
    assert received.count(b"HTTP/1.") == 1


async def test_no_answer_tells_versions_of_software(gateway: Running) -> None:
    async with asyncio.timeout(5):
        for sent in (
            request(),
            request(path=b"/nowhere"),
            b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
            b"x\r\n\r\n",
        ):
            async with connected(gateway.host, gateway.port) as client:
                await client.send(sent)
                assert (await client.answer()).headers.getall("server") == ["anyrouter"]
