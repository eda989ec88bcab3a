"""Browsers' pages use the gateway when the configuration names their origin, and not otherwise."""

import dataclasses
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from proxy import Cors
from tests.support.gateways import BODY, HEADERS, STREAM_BODY, Running, config_for, running
from tests.support.raw import RawUpstream
from tests.support.refusals import refusal

PAGE = "https://app.example.com"
PREFLIGHT = {
    "origin": PAGE,
    "access-control-request-method": "POST",
    "access-control-request-headers": "anthropic-version,content-type,x-api-key",
}
ALLOWED = "access-control-allow-origin"


@pytest_asyncio.fixture
async def open_to_page(upstream: RawUpstream) -> AsyncIterator[Running]:
    async with running(config_for(upstream.url, cors=Cors((PAGE, "null")))) as gateway:
        yield gateway


@pytest.mark.parametrize("path", ["/v1/messages", "/messages/", "/v1/models", "/v1/nothing"])
async def test_a_preflight_is_answered_without_a_key(
    open_to_page: Running, upstream: RawUpstream, path: str
) -> None:
    async with open_to_page.session.options(open_to_page.url + path, headers=PREFLIGHT) as found:
        assert found.status == 204
        assert found.headers[ALLOWED] == PAGE
        assert "POST" in found.headers["access-control-allow-methods"]
        names = PREFLIGHT["access-control-request-headers"]
        assert found.headers["access-control-allow-headers"] == names
        assert found.headers["request-id"].startswith("req_")
    assert not upstream.requests


@pytest.mark.parametrize("origin", ["https://evil.example", "https://app.example.com.evil", ""])
async def test_a_page_of_another_origin_is_refused_its_preflight_and_reads_nothing(
    open_to_page: Running, origin: str
) -> None:
    headers = {**PREFLIGHT, "origin": origin}
    async with open_to_page.session.options(open_to_page.url, headers=headers) as found:
        error = await refusal(found, 403, "permission_error")
        assert "cors.origins" in error["message"]
        assert ALLOWED not in found.headers
    async with open_to_page.post(headers={"origin": origin}) as found:
        assert found.status == 200
        assert ALLOWED not in found.headers


@pytest.mark.parametrize(
    "body", [BODY, STREAM_BODY, b"{", b"[1]"], ids=["json", "stream", "b", "l"]
)
async def test_every_response_tells_the_page_that_it_may_read_it_and_which_headers(
    open_to_page: Running, body: bytes
) -> None:
    async with open_to_page.post(body, headers={"origin": PAGE}) as found:
        assert found.headers[ALLOWED] == PAGE
        assert {"request-id", "retry-after", "*"} <= set(
            found.headers["access-control-expose-headers"].split(", ")
        )
        assert "Origin" in found.headers.getall("vary")
        await found.read()


async def test_refusals_may_be_read_too(open_to_page: Running) -> None:
    bad = {**HEADERS, "x-api-key": "ar-no", "origin": PAGE}
    async with open_to_page.session.post(open_to_page.url + "/v1/messages", headers=bad) as found:
        await refusal(found, 401, "authentication_error")
        assert found.headers[ALLOWED] == PAGE


async def test_a_star_is_every_origin(upstream: RawUpstream) -> None:
    async with running(config_for(upstream.url, cors=Cors(("*",)))) as gateway:
        for origin in (PAGE, "http://localhost:3000", "null"):
            headers = {**PREFLIGHT, "origin": origin}
            async with gateway.session.options(gateway.url, headers=headers) as found:
                assert (found.status, found.headers[ALLOWED]) == (204, origin)


async def test_options_that_are_no_preflight_are_as_ever(open_to_page: Running) -> None:
    url = open_to_page.url + "/v1/messages"
    async with open_to_page.session.options(url, headers={"origin": PAGE}) as found:
        await refusal(found, 405, "invalid_request_error")


async def test_without_the_setting_nothing_of_it_is_there(gateway: Running) -> None:
    assert dataclasses.asdict(gateway.gateway.snapshot.config.cors) == {"origins": ()}
    url = gateway.url + "/v1/messages"
    async with gateway.session.options(url, headers=PREFLIGHT) as found:
        await refusal(found, 405, "invalid_request_error")
    async with gateway.post(headers={"origin": PAGE}) as found:
        assert not [name for name in found.headers if name.lower().startswith("access-control")]
