"""Each upstream is asked in its own dialect: alone, and when a request is sent from one to another."""

from typing import Any

import pytest

from proxy import Auth, Model
from tests.support.gateways import BODY, HEADERS, MODEL, STREAM_BODY
from tests.support.pools import error, good, pooled
from tests.support.raw import UpstreamSide

VERTEX: dict[str, Any] = {
    "dialect": "vertex",
    "auth": Auth("bearer", "token-0123456789"),
    "model_ids": (("claude-*", "claude-*@1"),),
}
MODELS = "/publishers/anthropic/models/"
ASKED = f"{MODELS}claude-sonnet-4-6@1"
GIVEN = b'"model": "anthropic/claude-sonnet-4.6"'
VERSION = b'"anthropic_version":"vertex-2023-10-16"'
IN_VERTEX = (f"{ASKED}:rawPredict", BODY.replace(GIVEN, VERSION))
NATIVE = ("/v1/messages?beta=true", BODY.replace(GIVEN, b'"model": "claude-sonnet-4-6"'))
BUSY = error(b"529 Overloaded")


def said(request: UpstreamSide) -> tuple[str, bytes]:
    """Return the path and body of a request."""
    return request.head.split(b" ")[1].decode(), request.body


@pytest.mark.parametrize(
    ("body", "path", "sent"),
    [
        (BODY, "/v1/messages?beta=true", IN_VERTEX),
        (
            STREAM_BODY,
            "/v1/messages",
            (f"{ASKED}:streamRawPredict", STREAM_BODY.replace(GIVEN, VERSION)),
        ),
        (
            BODY,
            "/v1/messages/count_tokens",
            (
                f"{MODELS}count-tokens:rawPredict",
                BODY.replace(GIVEN, VERSION + b',"model": "claude-sonnet-4-6@1"'),
            ),
        ),
    ],
    ids=["whole", "stream", "count"],
)
async def test_a_model_is_asked_at_its_path_with_its_body(
    body: bytes, path: str, sent: tuple[str, bytes]
) -> None:
    models = (Model(MODEL, upstream="a"),)
    async with pooled(good, good, upstreams={"a": VERTEX}, models=models) as pool:
        headers = {"anthropic-beta": "some-beta-2026-01-01"}
        assert (await pool.ask(body, path=path, headers=headers))[0] == 200
        (request,) = pool.upstreams["a"].requests
    assert said(request) == sent
    assert b"\r\nauthorization: bearer token-0123456789\r\n" in request.head.lower()
    assert b"\r\nanthropic-beta: some-beta-2026-01-01\r\n" in request.head.lower()


@pytest.mark.parametrize(
    ("name", "sent"),
    [("a", {"a": IN_VERTEX, "b": NATIVE}), ("b", {"a": NATIVE, "b": IN_VERTEX})],
    ids=["from vertex", "to vertex"],
)
async def test_a_request_that_moves_is_put_in_the_words_of_the_next(
    name: str, sent: dict[str, tuple[str, bytes]]
) -> None:
    async with pooled(BUSY, good, upstreams={name: VERTEX}) as pool:
        assert (await pool.ask(BODY, path="/v1/messages?beta=true"))[0] == 200
        assert {
            each: [said(one) for one in upstream.requests]
            for each, upstream in pool.upstreams.items()
        } == {each: [one] for each, one in sent.items()}


async def test_who_lists_no_models_is_not_asked_for_them() -> None:
    async with pooled(good, good, upstreams={"a": VERTEX}) as pool:
        url = f"{pool.gateway.url}/v1/models"
        async with pool.gateway.session.get(url, headers=HEADERS) as response:
            assert response.status == 200
        assert pool.asked() == {"a": 0, "b": 1}
