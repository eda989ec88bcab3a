"""Whatever a user types as the base URL works: every spelling of a path leads to one handler behind one chain."""

import pytest
from yarl import URL

from proxy import Listen
from tests.support.client import connected, request
from tests.support.gateways import BODY, HEADERS, Running, config_for, running
from tests.support.raw import RawUpstream
from tests.support.refusals import raw_refusal, refusal

BASES = ("", "/", "//", "/api", "/api/", "/api//", "//api/")
ENDS = ("", "/", "//")
SPELLED = ("v1/{}", "{}", "v1/v1/{}", "v1//{}", "v1//v1/{}")


def spellings(path: str) -> list[str]:
    """Return paths as clients build them: base URL, slash, path."""
    return sorted(
        {
            f"{base}/{spelled.format(path)}{end}"
            for base in BASES
            for spelled in SPELLED
            for end in ENDS
        }
    )


def url(gateway: Running, path: str) -> URL:
    return URL(f"http://{gateway.host}:{gateway.port}{path}", encoded=True)


@pytest.mark.parametrize("path", ["messages", "messages/count_tokens"])
async def test_every_spelling_is_served_and_goes_to_the_one_path_upstream(
    gateway: Running, upstream: RawUpstream, path: str
) -> None:
    for spelled in spellings(path):
        async with gateway.session.post(url(gateway, spelled), data=BODY, headers=HEADERS) as found:
            assert found.status == 200, spelled
            await found.read()
    assert {each.head.split()[1].decode() for each in upstream.requests} == {f"/v1/{path}"}
    assert len(upstream.requests) == len(spellings(path))


async def test_every_spelling_of_the_model_list_is_served(gateway: Running) -> None:
    for spelled in spellings("models"):
        async with gateway.session.get(url(gateway, spelled), headers=HEADERS) as found:
            assert found.status == 200, spelled
            assert "data" in await found.json()
        model = f"{spelled.rstrip('/')}/claude-sonnet-4-6"
        async with gateway.session.get(url(gateway, model), headers=HEADERS) as found:
            assert (await found.json())["id"] == "anthropic/claude-sonnet-4.6", model


async def test_no_spelling_is_a_way_around_key_version_and_method(
    gateway: Running, upstream: RawUpstream
) -> None:
    for spelled in spellings("messages"):
        async with gateway.session.post(url(gateway, spelled), data=BODY) as found:
            await refusal(found, 401, "authentication_error")
        without_version = {k: v for k, v in HEADERS.items() if k != "anthropic-version"}
        async with gateway.session.post(
            url(gateway, spelled), data=BODY, headers=without_version
        ) as found:
            await refusal(found, 400, "invalid_request_error")
        async with gateway.session.get(url(gateway, spelled), headers=HEADERS) as found:
            await refusal(found, 405, "invalid_request_error")
    assert not upstream.requests


async def test_a_path_in_absolute_form_with_doubled_slashes_is_served(gateway: Running) -> None:
    async with connected(gateway.host, gateway.port) as client:
        await client.send(request(path=b"http://other//v1//messages"))
        assert (await client.answer()).status == 200


@pytest.mark.parametrize(
    "path", ["/v1/v1/v1/messages", "/api/api/v1/messages", "/openai/v1/messages", "/v1/message"]
)
async def test_a_slip_that_cannot_be_served_names_the_base_url_to_use(
    gateway: Running, path: str
) -> None:
    async with gateway.session.post(url(gateway, path), data=BODY, headers=HEADERS) as found:
        error = await refusal(found, 404, "not_found_error")
    assert f"http://{gateway.host}:{gateway.port}/api, to which SDKs add" in error["message"]


async def test_a_host_that_is_none_is_not_repeated(gateway: Running) -> None:
    async with connected(gateway.host, gateway.port) as client:
        await client.send(request(path=b"/x").replace(b"Host: ", b"Host: <b>"))
        error = raw_refusal(await client.answer(), 404, "not_found_error")
    assert "<b>" not in error["message"]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/messages/batches",
        "/api/v1/messages/batches/b/results",
        "/v1/files",
        "/v1/skills/x",
        "/v1/chat/completions",
    ],
)
async def test_what_the_api_has_and_the_gateway_has_not_says_so(
    gateway: Running, path: str
) -> None:
    async with gateway.session.get(url(gateway, path), headers=HEADERS) as found:
        error = await refusal(found, 404, "not_found_error")
    assert "not served by this gateway" in error["message"]


async def test_options_of_the_root_tell_a_balancer_that_the_gateway_is_up(
    gateway: Running,
) -> None:
    for path in ("/", "/api/"):
        async with gateway.session.options(url(gateway, path)) as found:
            assert found.status == 204
    for line in (b"OPTIONS / HTTP/1.0\r\n", b"OPTIONS * HTTP/1.0\r\n"):
        async with connected(gateway.host, gateway.port) as client:
            await client.send(line + b"\r\n")
            assert (await client.answer()).status == 204
    async with connected(gateway.host, gateway.port) as client:
        for _ in range(2):
            await client.send(b"OPTIONS * HTTP/1.1\r\nHost: gateway\r\n\r\n")
            answered = await client.answer()
            assert (answered.status, answered.values("server")) == (204, ["anyrouter"])
            assert answered.headers["request-id"].startswith("req_")


async def test_nothing_but_options_is_asked_of_the_whole_server(gateway: Running) -> None:
    async with connected(gateway.host, gateway.port) as client:
        await client.send(b"GET * HTTP/1.1\r\nHost: gateway\r\n\r\n")
        assert (await client.answer()).status in {400, 404}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_hello_is_below_every_base(upstream: RawUpstream, method: str) -> None:
    config = config_for(upstream.url, listen=Listen(port=0, base_path="/llm"))
    async with running(config) as gateway:
        for path in ("/api/hello", "/llm/api/hello", "/llm/hello"):
            async with gateway.session.request(method, url(gateway, path)) as found:
                assert found.status == 200, path
