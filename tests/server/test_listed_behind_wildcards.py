"""A wildcard lists what its upstream lists, as far as the key may use it, and nothing when that cannot be had."""

import asyncio
import dataclasses
import json
import logging
from typing import Any

import pytest

from proxy import Key, Model, Upstream
from proxy.access.keys import digest
from tests.support.gateways import HEADERS, KEY, UPSTREAM_KEY, Running, config_for, running
from tests.support.raw import Exchange, answer, raw_upstream

WILDCARD = (Model("anthropic/*", "first"),)
THEIRS: dict[str, Any] = {
    "data": [
        {
            "type": "model",
            "id": "claude-opus-5-5",
            "display_name": "Claude Opus 5.5",
            "created_at": "2026-09-01T00:00:00Z",
            "lifecycle": "active",
            "max_tokens": 128000,
        },
        {"type": "model", "id": "claude-haiku-4-5", "display_name": "Claude Haiku 4.5"},
    ]
}


async def lists(exchange: Exchange) -> None:
    await exchange.send(answer(json.dumps(THEIRS).encode()))


async def listed(gateway: Running) -> list[dict[str, Any]]:
    async with gateway.session.get(gateway.url + "/v1/models", headers=HEADERS) as response:
        assert response.status == 200
        data: list[dict[str, Any]] = (await response.json())["data"]
        return data


async def test_the_upstreams_models_are_listed_with_its_facts_and_asked_for_once() -> None:
    async with (
        raw_upstream(lists) as upstream,
        running(config_for(upstream.url, models=WILDCARD)) as gateway,
    ):
        assert not upstream.requests
        entries = await listed(gateway)
        assert [entry["id"] for entry in entries] == [
            "anthropic/claude-opus-5-5",
            "anthropic/claude-haiku-4-5",
        ]
        assert entries[0]["display_name"] == "Claude Opus 5.5"
        assert entries[0]["max_tokens"] == 128000
        assert await listed(gateway) == entries
        url = gateway.url + "/v1/models/claude-opus-5.5"
        async with gateway.session.get(url, headers=HEADERS) as response:
            assert await response.json() == entries[0]
        (asked,) = upstream.requests
        assert b"GET /v1/models?limit=1000 " in asked.head
        assert UPSTREAM_KEY.encode() in asked.head
        assert KEY.encode() not in asked.head


async def test_a_key_sees_what_it_may_use() -> None:
    keys = (Key("narrow", digest(KEY), models=("anthropic/claude-haiku-*",)),)
    async with (
        raw_upstream(lists) as upstream,
        running(config_for(upstream.url, models=WILDCARD, keys=keys)) as gateway,
    ):
        assert [each["id"] for each in await listed(gateway)] == ["anthropic/claude-haiku-4-5"]


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "it answered 404"),
        (
            b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n",
            "it answered 302",
        ),
        (answer(b"<html>"), "what it sent is none"),
        (answer(b'{"data": [{"name": "no id"}, {"id": 7}]}'), None),
        (answer(b'{"data": {}}'), "what it sent is none"),
        (answer(b'{"data": [{"id": %s}]}' % (b"[" * 100_000)), "what it sent is none"),
        (answer(b'{"data": []}' + b" " * (1 << 20)), "what it sent is none"),
        (b"garbage\r\n\r\n", "what it sends is not HTTP"),
        (b"", "it closed the connection without an answer"),
    ],
    ids=[
        "none",
        "redirect",
        "html",
        "no ids",
        "no list",
        "deep",
        "without end",
        "no http",
        "closed",
    ],
)
async def test_a_list_that_cannot_be_had_is_empty_and_the_log_says_why(
    said: bytes, why: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "proxy.upstreams.model_lists")

    async def script(exchange: Exchange) -> None:
        await exchange.send(said)
        exchange.writer.close()

    async with (
        raw_upstream(script) as upstream,
        running(config_for(upstream.url, models=WILDCARD)) as gateway,
    ):
        assert await listed(gateway) == []
        place = upstream.url.removeprefix("http://")
    told = [each.getMessage() for each in caplog.records]
    assert len(told) == (why is not None)
    if why is not None:
        assert told[0].startswith(f"upstream first ({place}) gave no model list, so ")
        assert why in told[0]


async def test_an_upstream_that_is_not_there_is_told_in_words(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "proxy.upstreams.model_lists")
    async with raw_upstream(lists) as gone:
        pass
    async with running(config_for(gone.url, models=WILDCARD)) as gateway:
        assert await listed(gateway) == []
    assert "connection refused: nothing listens there" in caplog.text


async def test_a_list_that_does_not_come_is_not_waited_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("proxy.upstreams.model_lists._PATIENCE_S", 0.01)
    come = asyncio.Event()

    async def script(exchange: Exchange) -> None:
        await come.wait()
        await lists(exchange)

    async with (
        raw_upstream(script) as upstream,
        running(config_for(upstream.url, models=WILDCARD)) as gateway,
    ):
        assert await listed(gateway) == []
        come.set()
        async with asyncio.timeout(5):
            while not await listed(gateway):
                pass


async def test_an_upstream_that_does_not_answer_holds_no_others_list_up() -> None:
    async def silent(exchange: Exchange) -> None:
        await exchange.until_closed()

    async with raw_upstream(silent) as first, raw_upstream(lists) as second:
        config = dataclasses.replace(
            config_for(first.url),
            upstreams=(Upstream("first", first.url), Upstream("second", second.url)),
            models=(Model("anthropic/a-*", "first"), Model("anthropic/*", "second")),
        )
        async with running(config) as gateway:
            async with asyncio.timeout(5):
                entries = await listed(gateway)
    assert [entry["id"] for entry in entries] == [
        "anthropic/claude-opus-5-5",
        "anthropic/claude-haiku-4-5",
    ]
