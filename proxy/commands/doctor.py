"""`anyrouter doctor`: check a running gateway the way a client would use it."""

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import aiohttp
import msgspec

from proxy.commands import options
from proxy.commands.standard_files import say

_VERSION = "2023-06-01"
_TIMEOUT_S = 30.0
_PROMPT = {"messages": [{"role": "user", "content": "say hi"}]}


_LONG_PROMPT = {"messages": [{"role": "user", "content": "Count to fifty, in words."}]}

# A model takes longer than the second for this answer, and never writes all of it within the first.
_AT_ONCE_S = 0.01
_SOON_S = 0.25


class _FindingError(Exception):
    """What a check found wrong."""


def add_parser(subparsers: "options.Subparsers[argparse.ArgumentParser]") -> None:
    """Describe the command."""
    parser = subparsers.add_parser(
        "doctor",
        help="check a running gateway as a client would",
        description="Uses a gateway as a client does. The upstream is asked for two answers, of 16 and 64 tokens.",
    )
    options.add_gateway(parser)
    parser.add_argument("--model", help="model to ask; default: the first the gateway lists")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Check everything, say what was found, fail when anything is wrong."""
    return asyncio.run(_examine(args.url.rstrip("/"), options.given_key(args), args.model))


class _Examination:
    """The checks, each a coroutine that gives a remark or raises `_FindingError`."""

    def __init__(
        self, session: aiohttp.ClientSession, url: str, key: str, model: str | None
    ) -> None:
        self._session = session
        self._url = url
        self._key = key
        self._model = model

    def _call(
        self, method: str, path: str, *, bearer: bool = False, key: str | None = None, **more: Any
    ) -> "aiohttp.client._RequestContextManager":
        key = key or self._key
        credential = {"authorization": f"Bearer {key}"} if bearer else {"x-api-key": key}
        return self._session.request(
            method,
            self._url + path,
            headers={"anthropic-version": _VERSION, **credential},
            allow_redirects=False,
            **more,
        )

    async def _good(self, response: aiohttp.ClientResponse) -> Any:
        body = await response.read()
        if response.status != 200:  # noqa: PLR2004 - the one good status
            raise _FindingError(f"HTTP {response.status}: {body[:300].decode(errors='replace')}")
        if "request-id" not in response.headers:
            raise _FindingError("no request-id header")
        return msgspec.json.decode(body)

    async def models_by_x_api_key(self) -> str:
        async with self._call("GET", "/v1/models") as response:
            listed = [entry["id"] for entry in (await self._good(response))["data"]]
        self._model = self._model or (listed[0] if listed else None)
        return f"{len(listed)} models"

    async def models_by_bearer(self) -> str:
        async with self._call("GET", "/v1/models", bearer=True) as response:
            await self._good(response)
        return "accepted"

    async def wrong_key(self) -> str:
        async with self._call("GET", "/v1/models", key="ar-wrong") as response:
            body = await response.read()
            status, retry = response.status, response.headers.get("x-should-retry")
        if status != 401:  # noqa: PLR2004 - unauthenticated
            raise _FindingError(f"HTTP {status} instead of 401")
        if retry != "false":
            raise _FindingError("no `x-should-retry: false`: Claude Code will retry for minutes")
        error = msgspec.json.decode(body)
        if error.get("type") != "error" or error["error"]["type"] != "authentication_error":
            raise _FindingError("the body has not the API's error shape")
        return "refused in the API's shape"

    async def count_tokens(self) -> str:
        body = {"model": self._asked(), **_PROMPT}
        async with self._call("POST", "/v1/messages/count_tokens", json=body) as response:
            counted = (await self._good(response)).get("input_tokens")
        return f"{counted} tokens"

    async def message(self) -> str:
        body = {"model": self._asked(), "max_tokens": 16, **_PROMPT}
        async with self._call("POST", "/v1/messages", json=body) as response:
            answer = await self._good(response)
        return f"{answer['usage']['output_tokens']} tokens from {answer['model']}"

    async def stream(self) -> str:
        body = {"model": self._asked(), "max_tokens": 64, "stream": True, **_LONG_PROMPT}
        started = time.monotonic()
        arrivals: list[float] = []
        received = b""
        async with self._call("POST", "/v1/messages", json=body) as response:
            if response.content_type != "text/event-stream":
                raise _FindingError(f"HTTP {response.status}, {response.content_type}")
            async for chunk in response.content.iter_any():
                arrivals.append(time.monotonic() - started)
                received += chunk
        if b"event: message_stop" not in received:
            raise _FindingError("the stream ended without message_stop")
        return _pace(arrivals)

    def _asked(self) -> str:
        if self._model is None:
            raise _FindingError("no model is listed; name one with --model")
        return self._model


def _pace(arrivals: Sequence[float]) -> str:
    """Tell a stream from an answer that something on the way held back until it was whole."""
    first, last = arrivals[0], arrivals[-1]
    came = f"first byte after {first * 1e3:.0f} ms, the last after {last * 1e3:.0f} ms"
    if last - first > _AT_ONCE_S:
        return came
    if last > _SOON_S:
        raise _FindingError(f"{came}: something on the way holds a stream back until it is whole")
    return f"{came}: too soon to tell whether something on the way holds it back"


async def _examine(url: str, key: str, model: str | None) -> int:
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        examination = _Examination(session, url, key, model)
        checks: list[tuple[str, Callable[[], Awaitable[str]]]] = [
            ("models, by x-api-key", examination.models_by_x_api_key),
            ("models, by Authorization", examination.models_by_bearer),
            ("a wrong key", examination.wrong_key),
            ("count_tokens", examination.count_tokens),
            ("a message", examination.message),
            ("a stream", examination.stream),
        ]
        bad = 0
        for name, check in checks:
            try:
                found = await check()
            except (_FindingError, aiohttp.ClientError, TimeoutError) as error:
                bad += 1
                say(f"  BAD  {name}: {str(error) or 'no answer in time'}")
            except (LookupError, AttributeError, TypeError, msgspec.DecodeError) as error:
                bad += 1
                say(f"  BAD  {name}: an answer of another shape ({error!r})")
            else:
                say(f"  good {name}: {found}")
    say(f"{url}: {'all good' if not bad else f'{bad} of {len(checks)} checks failed'}")
    return 1 if bad else 0
