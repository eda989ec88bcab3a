"""The model list, and the probes that need no credential."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from yarl import URL

import proxy
from proxy import Key, Listen, Model
from proxy.access.keys import digest
from tests.support.gateways import HEADERS, KEY, Running, config_for, running
from tests.support.raw import RawUpstream
from tests.support.refusals import refusal

SCHEMAS = Path(__file__).parents[2] / "schemas"
MODELS = (
    Model("anthropic/claude-opus-5.5", "first", display_name="Claude Opus 5.5"),
    Model("anthropic/claude-sonnet-4.6", "first", created_at="2026-02-17T00:00:00Z"),
    Model("anthropic/claude-haiku-4.5", "first", aliases=("anthropic/quick",)),
    Model("anthropic/*", "first"),
)
IDS = [model.id for model in MODELS[:3]]


async def fetched(gateway: Running, path: str) -> Any:
    url = URL(f"http://{gateway.host}:{gateway.port}{path}", encoded=True)
    async with gateway.session.get(url, headers=HEADERS) as response:
        assert response.status == 200, await response.text()
        return await response.json()


async def refused(gateway: Running, path: str, status: int, error_type: str) -> dict[str, Any]:
    url = URL(f"http://{gateway.host}:{gateway.port}{path}", encoded=True)
    async with gateway.session.get(url, headers=HEADERS) as response:
        return await refusal(response, status, error_type)


@pytest.mark.parametrize("mount", ["/api/v1", "/v1"])
async def test_the_list_has_the_apis_shape_and_no_wildcards(
    upstream: RawUpstream, mount: str
) -> None:
    async with running(config_for(upstream.url, models=MODELS)) as gateway:
        listed = await fetched(gateway, f"{mount}/models?limit=1000")
    jsonschema.validate(listed, json.loads((SCHEMAS / "model-list.schema.json").read_text("utf-8")))
    assert [entry["id"] for entry in listed["data"]] == IDS
    assert listed["data"][0]["display_name"] == "Claude Opus 5.5"
    assert listed["data"][1]["created_at"] == "2026-02-17T00:00:00Z"
    assert (listed["first_id"], listed["last_id"], listed["has_more"]) == (IDS[0], IDS[-1], False)


PAGES = {
    "limit=1": (IDS[:1], True),
    "limit=3": (IDS, False),
    f"limit=1&after_id={IDS[0]}": (IDS[1:2], True),
    f"after_id={IDS[0].replace('/', '%2F')}": (IDS[1:], False),
    f"after_id={IDS[2]}": ([], False),
    f"limit=1&before_id={IDS[2]}": (IDS[1:2], True),
    f"before_id={IDS[2]}": (IDS[:2], False),
    f"before_id={IDS[0]}": ([], False),
}


@pytest.mark.parametrize(("query", "page"), PAGES.items(), ids=list(PAGES))
async def test_the_list_comes_in_pages(
    upstream: RawUpstream, query: str, page: tuple[list[str], bool]
) -> None:
    async with running(config_for(upstream.url, models=MODELS)) as gateway:
        listed = await fetched(gateway, f"/v1/models?{query}")
    assert ([entry["id"] for entry in listed["data"]], listed["has_more"]) == page
    assert listed["first_id"] == (page[0][0] if page[0] else None)


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "limit=-1", "limit=x", "limit=", "after_id=none"]
)
async def test_a_bad_page_is_400(gateway: Running, query: str) -> None:
    error = await refused(gateway, f"/v1/models?{query}", 400, "invalid_request_error")
    assert error["message"].startswith(query.split("=", maxsplit=1)[0])


SPELLINGS = {
    "anthropic/claude-haiku-4.5": "anthropic/claude-haiku-4.5",
    "anthropic%2Fclaude-haiku-4.5": "anthropic/claude-haiku-4.5",
    "anthropic%2fclaude-haiku-4-5": "anthropic/claude-haiku-4.5",
    "claude-haiku-4-5": "anthropic/claude-haiku-4.5",
    "claude-haiku-4-5%5B1m%5D": "anthropic/claude-haiku-4.5",
    "claude-of-tomorrow": "anthropic/claude-of-tomorrow",
}


@pytest.mark.parametrize("mount", ["/api/v1", "/v1"])
@pytest.mark.parametrize(("spelled", "found"), SPELLINGS.items())
async def test_one_model_is_found_however_its_id_is_spelled(
    upstream: RawUpstream, mount: str, spelled: str, found: str
) -> None:
    async with running(config_for(upstream.url, models=MODELS)) as gateway:
        entry = await fetched(gateway, f"{mount}/models/{spelled}")
    assert (entry["type"], entry["id"]) == ("model", found)


async def test_an_unknown_model_is_404(gateway: Running) -> None:
    error = await refused(gateway, "/v1/models/openai%2Fgpt-5", 404, "not_found_error")
    assert "openai/gpt-5" in error["message"]


async def test_a_key_sees_only_its_models(upstream: RawUpstream) -> None:
    keys = (Key("narrow", digest(KEY), models=("anthropic/claude-haiku-*",)),)
    async with running(config_for(upstream.url, models=MODELS, keys=keys)) as gateway:
        listed = await fetched(gateway, "/v1/models")
        assert [entry["id"] for entry in listed["data"]] == [IDS[2]]
        await refused(gateway, f"/v1/models/{IDS[0]}", 403, "permission_error")


@pytest.mark.parametrize(
    "path",
    ["/", "/api", "/api/", "/api/hello", "/healthz", "/readyz", "/api/healthz", "/api/readyz"],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_probes_need_no_credential(gateway: Running, method: str, path: str) -> None:
    url = f"http://{gateway.host}:{gateway.port}{path}"
    async with gateway.session.request(method, url) as response:
        assert response.status == 200
        assert response.headers["request-id"].startswith("req_")
        assert bool(await response.read()) == (method == "GET")


GREETERS = {
    "nobody": ({}, None),
    "a good key": ({"x-api-key": KEY}, "tester"),
    "a good key as a bearer": ({"authorization": f"Bearer {KEY}"}, "tester"),
    "an unknown key": ({"x-api-key": "ar-unknown"}, None),
}


@pytest.mark.parametrize(("headers", "name"), GREETERS.values(), ids=GREETERS)
@pytest.mark.parametrize("path", ["/", "/api/hello"])
async def test_hello_tells_the_version_and_to_a_good_key_its_name(
    gateway: Running, path: str, headers: dict[str, str], name: str | None
) -> None:
    url = f"http://{gateway.host}:{gateway.port}{path}"
    async with gateway.session.get(url, headers=headers) as response:
        assert response.status == 200
        told = await response.json()
    wanted = {"service": "anyrouter", "version": proxy.__version__}
    assert told == (wanted if name is None else {**wanted, "key": name})


@pytest.mark.parametrize("base", ["", "/api"])
async def test_a_balancer_may_ask_by_options_too_and_hears_of_a_drain(
    gateway: Running, base: str
) -> None:
    """As HAProxy does for a path without a method: `option httpchk /readyz`."""
    origin = f"http://{gateway.host}:{gateway.port}"
    for draining, ready in ((False, 200), (True, 503)):
        gateway.gateway.draining = draining
        async with gateway.session.options(f"{origin}{base}/healthz") as response:
            assert response.status == 200
        async with gateway.session.options(f"{origin}{base}/readyz") as response:
            assert response.status == ready


@pytest.mark.parametrize("path", ["/api/hello", "/llm", "/llm/hello"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_hello_is_where_clients_look_whatever_the_base_path(
    upstream: RawUpstream, method: str, path: str
) -> None:
    config = config_for(upstream.url, listen=Listen(port=0, base_path="/llm"))
    async with running(config) as gateway:
        url = f"http://{gateway.host}:{gateway.port}{path}"
        async with gateway.session.request(method, url) as response:
            assert response.status == 200


async def test_models_answer_head(gateway: Running) -> None:
    async with gateway.session.head(gateway.url + "/v1/models", headers=HEADERS) as response:
        assert response.status == 200
        assert await response.read() == b""
