"""Plays scripted sessions through the gateway, as Claude Code would: many at first, then a few at a time for ever."""

import asyncio
import itertools
import json
import logging
import random
from collections.abc import Iterator, Mapping

import aiohttp

from proxy.access.keys import new_key
from proxy.demo.accounts import Account
from proxy.demo.history import PEOPLE
from proxy.demo.script import OPUS, Turn, Who, session

_log = logging.getLogger(__name__)

_AT_FIRST = 20
_WHILE_AWAY = 3
_SLOW_EVERY = 12
_SLOW_S = 35.0
_BETWEEN_S = (1.0, 4.0)
_DELTAS = 24
_TOTAL_S = 120.0
_CONNECTIONS = 16


class Player:
    """Who plays.

    Args:
        url: the gateway's base URL.
        secrets: the keys, by name.
        first: the account that sessions belong to.
        seed: of what is played.
    """

    def __init__(self, url: str, secrets: Mapping[str, str], first: Account, seed: int) -> None:
        self._url = url
        self._secrets = secrets
        self._first = first
        self._chance = random.Random(seed)  # noqa: S311 - no secret

    async def run(self) -> None:
        """Play until cancelled."""
        connector = aiohttp.TCPConnector(limit=_CONNECTIONS)
        timeout = aiohttp.ClientTimeout(total=_TOTAL_S)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as client:
            await self._refusals(client)
            scripts = {who.key: self._turns(who) for who in PEOPLE}
            many = [each for key, each in scripts.items() if key != "nightly-agents"]
            await asyncio.gather(*(self._play(client, each, _AT_FIRST) for each in many))
            await self._first.stop()
            await self._play(client, scripts["ben-laptop"], _WHILE_AWAY)
            await self._first.start()
            async with asyncio.TaskGroup() as group:
                for each in scripts.values():
                    group.create_task(self._go_on(client, each))

    def _turns(self, who: Who) -> Iterator[Turn]:
        """Yield the turns of session after session."""
        while True:
            yield from session(self._chance, who, breaks=False)

    async def _refusals(self, client: aiohttp.ClientSession) -> None:
        """Ask with a key that nobody has, with one that has expired, and for a model that a key may not use."""
        intern, contractor = Who("intern", OPUS, "repo=shop/web"), Who("contractor", OPUS, "")
        for who, key in ((intern, None), (contractor, None), (intern, new_key())):
            for turn in session(self._chance, who)[:2]:
                await self._ask(client, turn, "", key)

    async def _play(self, client: aiohttp.ClientSession, turns: Iterator[Turn], count: int) -> None:
        for turn in itertools.islice(turns, count):
            await self._ask(client, turn, "")

    async def _go_on(self, client: aiohttp.ClientSession, turns: Iterator[Turn]) -> None:
        chance = self._chance
        for number, turn in enumerate(turns, 1):
            wait_s = _SLOW_S if number % _SLOW_EVERY == 0 else chance.uniform(0.4, 3)
            pace = f"ttfb={wait_s:.1f},events={_DELTAS},interval={chance.uniform(0.1, 0.4):.2f},"
            await self._ask(client, turn, pace)
            await asyncio.sleep(chance.uniform(*_BETWEEN_S))

    async def _ask(
        self, client: aiohttp.ClientSession, turn: Turn, pace: str, key: str | None = None
    ) -> None:
        body = {
            "model": f"anthropic/{turn.model}",
            "max_tokens": 4_000,
            "stream": True,
            "messages": [{"role": "user", "content": "A turn of the demo's script."}],
        }
        headers = _headers(turn, key or self._secrets[turn.who.key])
        headers["x-sandbox"] = f"{pace}usage={json.dumps(_usage(turn))}"
        try:
            async with client.post(
                f"{self._url}/v1/messages", json=body, headers=headers
            ) as response:
                await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            _log.debug("a turn of the script has failed: %r", error)


def _headers(turn: Turn, key: str) -> dict[str, str]:
    said = {
        "x-api-key": key,
        "anthropic-version": "2023-06-01",
        "user-agent": f"{turn.who.client} (external, cli)",
        "x-claude-code-session-id": turn.session,
        "x-claude-code-prompt-id": turn.prompt,
        "x-claude-code-request-class": turn.part,
        "x-claude-code-agent-id": turn.agent,
        "x-claude-code-parent-agent-id": turn.parent,
        "x-claude-code-agent-type": turn.agent_type,
        "x-claude-code-context-compacted": "1" if turn.compacted else None,
        "x-anyrouter-tag": turn.who.tag,
        "x-stainless-retry-count": "0",
    }
    return {name: value for name, value in said.items() if value}


def _usage(turn: Turn) -> dict[str, object]:
    billed = turn.billed
    return {
        "input_tokens": billed.input,
        "output_tokens": billed.output,
        "cache_read_input_tokens": billed.read,
        "cache_creation_input_tokens": billed.write_5m + billed.write_1h,
        "cache_creation": {
            "ephemeral_5m_input_tokens": billed.write_5m,
            "ephemeral_1h_input_tokens": billed.write_1h,
        },
    }
