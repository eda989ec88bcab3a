"""Whatever model a request names, wherever the API takes one, is permitted, routed and translated like its own."""

import dataclasses
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from proxy import Key, Model, Upstream
from proxy.access.keys import digest
from tests.support.gateways import HEADERS, KEY, Running, config_for, running
from tests.support.raw import RawUpstream
from tests.support.refusals import refusal

LISTED = "ar-listed-key-0123456789"
GOOD: dict[str, Any] = {"model": "anthropic/claude-haiku-4.5", "max_tokens": 1, "messages": []}


def advisor(model: str) -> dict[str, Any]:
    return {"type": "advisor_20260301", "name": "advisor", "model": model}


def defined_in_a_message(model: str) -> list[Any]:
    tool = {"type": "tool_definition", "definition": advisor(model)}
    return [{"role": "system", "content": [{"type": "tool_addition", "tool": tool}]}]


@pytest.fixture
async def gateway(upstream: RawUpstream) -> AsyncIterator[Running]:
    """Return a gateway with two upstreams, and a key that may use two of its models."""
    config = config_for(upstream.url)
    config = dataclasses.replace(
        config,
        upstreams=(*config.upstreams, Upstream("second", "http://127.0.0.1:1")),
        models=(*config.models, Model("anthropic/claude-elsewhere", "second")),
        keys=(
            *config.keys,
            Key(
                "listed",
                digest(LISTED),
                models=(
                    "anthropic/claude-haiku-4.5",
                    "claude-sonnet-5",
                    "anthropic/claude-elsewhere",
                ),
            ),
        ),
    )
    async with running(config) as started:
        yield started


PLACES: dict[str, Callable[[str], dict[str, Any]]] = {
    "tools": lambda model: {"tools": [{"name": "x"}, advisor(model)]},
    "messages": lambda model: {"messages": defined_in_a_message(model)},
    "fallbacks": lambda model: {"fallbacks": [{"model": model}]},
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
async def test_each_is_called_what_the_upstream_calls_it(
    gateway: Running, upstream: RawUpstream, path: str, place: str
) -> None:
    sent = {**GOOD, **PLACES[place]("anthropic/claude-opus-4.8[1m]")}
    async with gateway.post(json.dumps(sent).encode(), path) as response:
        assert response.status == 200
    due = {**GOOD, **PLACES[place]("claude-opus-4-8"), "model": "claude-haiku-4-5"}
    assert upstream.requests[0].body == json.dumps(due).encode()


REFUSED = {
    "one the key may not use": ("claude-opus-5", (403, "permission_error"), "may not use model"),
    "one that is elsewhere": (
        "claude-elsewhere",
        (400, "invalid_request_error"),
        "not served where",
    ),
    "one that nobody serves": ("openai/gpt-5", (404, "not_found_error"), "openai/gpt-5"),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("refused", REFUSED.values(), ids=REFUSED)
async def test_each_is_refused_where_it_could_not_be_the_requests_own(
    gateway: Running,
    upstream: RawUpstream,
    place: str,
    refused: tuple[str, tuple[int, str], str],
) -> None:
    model, expected, said = refused
    body = json.dumps({**GOOD, **PLACES[place](model)}).encode()
    async with gateway.post(body, headers={"x-api-key": LISTED}) as response:
        error = await refusal(response, *expected)
    assert error["message"].startswith(f"{place}.")
    assert said in error["message"]
    assert not upstream.requests


@pytest.mark.parametrize("place", PLACES)
async def test_a_key_with_a_list_may_name_what_is_on_it(
    gateway: Running, upstream: RawUpstream, place: str
) -> None:
    body = json.dumps({**GOOD, **PLACES[place]("claude-sonnet-5")}).encode()
    async with gateway.post(body, headers={"x-api-key": LISTED}) as response:
        assert response.status == 200
    assert b'"claude-sonnet-5"' in upstream.requests[0].body


@pytest.mark.parametrize(("key", "status"), [(KEY, 200), (LISTED, 403)], ids=["any", "listed"])
async def test_what_the_api_would_choose_is_for_keys_that_may_use_every_model(
    gateway: Running, upstream: RawUpstream, key: str, status: int
) -> None:
    body = json.dumps({**GOOD, "fallbacks": "default"}).encode()
    async with gateway.post(body, headers={"x-api-key": key}) as response:
        assert response.status == status
    if status == 200:
        assert upstream.requests[0].body == body.replace(
            b"anthropic/claude-haiku-4.5", b"claude-haiku-4-5"
        )


@pytest.mark.parametrize("key", [KEY, LISTED], ids=["any", "listed"])
@pytest.mark.parametrize("place", PLACES)
async def test_one_that_only_some_readers_find_reaches_no_upstream(
    gateway: Running, upstream: RawUpstream, place: str, key: str
) -> None:
    named = json.dumps({**GOOD, **PLACES[place]("claude-opus-5")})
    at = named.rindex('"model": "claude-opus-5"')
    body = named[:at] + named[at:].replace('"model"', '"mod\\u0045l"')
    async with gateway.post(body.encode(), headers={"x-api-key": key}) as response:
        error = await refusal(response, 400, "invalid_request_error")
    assert error["message"].startswith(f"{place}.")
    assert not upstream.requests


async def test_a_clients_own_tool_with_a_model_passes_untouched(
    gateway: Running, upstream: RawUpstream
) -> None:
    sent = {**GOOD, "tools": [{"name": "x", "model": "claude-opus-5"}]}
    async with gateway.post(json.dumps(sent).encode(), headers={"x-api-key": LISTED}) as response:
        assert response.status == 200
    assert json.loads(upstream.requests[0].body)["tools"] == sent["tools"]


LABELS = {
    "utf-8": ("application/json; charset=utf-8", 200),
    "in capitals": ('Application/JSON;charset="UTF-8"', 200),
    "without the dash": ("application/json; charset=utf8", 200),
    "something else about it": ("application/json; profile=x", 200),
    "utf-7": ("application/json; charset=utf-7", 415),
    "utf-16": ("application/json; charset=utf-16", 415),
    "latin-1": ("application/json; charset=ISO-8859-1", 415),
    "none at all": ("application/json; charset=x", 415),
}


@pytest.mark.parametrize(("label", "status"), LABELS.values(), ids=LABELS)
async def test_a_body_is_utf8_and_goes_out_labelled_by_us(
    gateway: Running, upstream: RawUpstream, label: str, status: int
) -> None:
    async with gateway.post(headers={**HEADERS, "content-type": label}) as response:
        assert response.status == status
        if status == 415:
            await refusal(response, 415, "invalid_request_error")
    if status == 200:
        lines = upstream.requests[0].head.lower().split(b"\r\n")
        assert [line for line in lines if line.startswith(b"content-type")] == [
            b"content-type: application/json"
        ]


async def test_two_content_encodings_are_not_one(gateway: Running) -> None:
    async with gateway.session.post(
        gateway.url + "/v1/messages",
        data=b"{}",
        headers=[*HEADERS.items(), ("content-encoding", "deflate"), ("content-encoding", "gzip")],
    ) as response:
        await refusal(response, 415, "invalid_request_error")
