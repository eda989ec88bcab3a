"""What `anyrouter doctor` looks at: each check is a coroutine that uses a gateway as its clients do."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import aiohttp
import msgspec
from multidict import CIMultiDictProxy

from proxy.commands import diagnosis
from proxy.commands.greeting import FindingError, greet
from proxy.commands.parts import count_of

# Asked when the gateway lists none: of the catalog that comes with it.
WELL_KNOWN_MODEL = "anthropic/claude-haiku-4.5"

_VERSION = "2023-06-01"
_PROMPT = {"messages": [{"role": "user", "content": "say hi"}]}
_LONG_PROMPT = {"messages": [{"role": "user", "content": "Count to fifty, in words."}]}

# The default is a page of 20.
_ALL_MODELS = "/v1/models?limit=1000"

# A model takes longer than the second for this answer, and never writes all of it within the first.
_AT_ONCE_S = 0.01
_SOON_S = 0.25
# A piece of a stream that comes as it is written has one event, or a few.
_GATHERED_EVENTS = 4
_UNAVAILABLE = 503
_TRIES = 5
_PAUSE_S = 1.0
# The sandbox, which answers at once, is asked to take its time; everybody else takes this for an unknown header.
_SLOWLY = {"x-sandbox": "events=10,interval=0.05"}


class Note(str):
    """What a check found that is no fault, and worth a word."""

    __slots__ = ()


class _Streamed(NamedTuple):
    """A stream, as it came; times from the request."""

    first_s: float
    last_s: float
    pieces: int
    events: int
    has_length: bool

    def __str__(self) -> str:
        return f"first byte after {self.first_s * 1e3:.0f} ms, the last after {self.last_s * 1e3:.0f} ms"


class Examination:
    """The checks, each a coroutine that returns a remark or raises `FindingError`."""

    def __init__(
        self, session: aiohttp.ClientSession, url: str, key: str, model: str | None
    ) -> None:
        self._session = session
        self._given_url = url
        self._url = url.rstrip("/")
        self._key = key
        self._model = model
        self._front = ""
        self._is_guess = False

    def _call(
        self, method: str, path: str, headers: Mapping[str, str], body: Any = None
    ) -> "aiohttp.client._RequestContextManager":
        return self._session.request(
            method,
            self._url + path,
            headers={"anthropic-version": _VERSION, **headers},
            json=body,
            allow_redirects=False,
        )

    async def _good(self, method: str, path: str, body: Any = None) -> Any:
        """Call as a client does; return what the good answer's body holds."""
        async with self._call(method, path, {"x-api-key": self._key}, body) as response:
            return _decode(response.status, response.headers, await response.read())

    async def gateway(self) -> str:
        """Look whether a gateway is there."""
        greeting = await greet(self._session, self._given_url, self._key)
        self._front = greeting.front
        return f"AnyRouter {greeting.version}"

    async def models_by_x_api_key(self) -> str:
        """Look whether the key is known; choose the model to ask."""
        async with self._call("GET", _ALL_MODELS, {"x-api-key": self._key}) as response:
            body = await response.read()
        if response.status == 401:  # noqa: PLR2004 - unauthenticated
            raise FindingError(diagnosis.UNKNOWN_KEY)
        listed = [entry["id"] for entry in _decode(response.status, response.headers, body)["data"]]
        if listed:
            self._model = self._model or next(filter(_is_small, listed), listed[0])
            return f"{count_of(len(listed), 'model')} that this key may use, those behind wildcards among them"
        self._is_guess = self._model is None
        self._model = self._model or WELL_KNOWN_MODEL
        return Note(
            "none is listed: `models` names none that this key may use, or has wildcards only, and the list of "
            f"their upstream cannot be had; asking {self._model}"
        )

    async def models_by_bearer(self) -> str:
        """Look whether the key is taken from the other header, too."""
        bearer = {"authorization": f"Bearer {self._key}"}
        async with self._call("GET", "/v1/models", bearer) as response:
            _decode(response.status, response.headers, await response.read())
        return "accepted"

    async def wrong_key(self) -> str:
        """Look whether another key is refused, so that clients understand it."""
        status = _UNAVAILABLE
        for _ in range(_TRIES):
            async with self._call("GET", "/v1/models", {"x-api-key": "ar-wrong"}) as response:
                body, status = await response.read(), response.status
            if status != _UNAVAILABLE:
                break
            # A gateway that has just begun has not asked its store for keys yet.
            await asyncio.sleep(_PAUSE_S)
        else:
            raise FindingError(
                "HTTP 503: the gateway's store does not answer, so that it cannot tell an unknown key from a new one; "
                "its log on stderr says why"
            )
        if status != 401:  # noqa: PLR2004 - unauthenticated
            raise FindingError(f"HTTP {status} instead of 401")
        if response.headers.get("x-should-retry") != "false":
            raise FindingError("no `x-should-retry: false`: Claude Code will retry for minutes")
        error = msgspec.json.decode(body)
        if error.get("type") != "error" or error["error"]["type"] != "authentication_error":
            raise FindingError("the body has not the API's error shape")
        return "refused in the API's shape"

    async def message(self) -> str:
        """Ask for a message."""
        body = {"model": self._model, "max_tokens": 16, **_PROMPT}
        try:
            answer = await self._good("POST", "/v1/messages", body)
        except FindingError as error:
            if not self._is_guess:
                raise
            raise FindingError(
                f"{error}; name a model that this key may use with --model"
            ) from None
        return f"{answer['usage']['output_tokens']} tokens from {answer['model']}"

    async def stream(self) -> str:
        """Ask for a stream, and look whether it comes as it is written."""
        streamed = await self._read_stream({})
        if streamed.last_s <= _SOON_S:
            streamed = await self._read_stream(_SLOWLY)
        at_once = streamed.last_s - streamed.first_s <= _AT_ONCE_S
        if streamed.has_length or (at_once and streamed.last_s > _SOON_S):
            raise FindingError(diagnosis.held_back(str(streamed), self._front))
        if streamed.pieces * _GATHERED_EVENTS <= streamed.events and not at_once:
            came = f"{streamed}, {streamed.events} events in {streamed.pieces} pieces"
            return Note(diagnosis.gathered(came, self._front))
        if at_once:
            return Note(f"{streamed}: too soon to tell whether something holds streams back")
        return str(streamed)

    async def count_tokens(self) -> str:
        """Ask for a count, which not every upstream makes."""
        body = {"model": self._model, **_PROMPT}
        try:
            count = (await self._good("POST", "/v1/messages/count_tokens", body))["input_tokens"]
        except FindingError as error:
            return Note(f"clients will estimate, since the upstream does not count: {error}")
        return f"{count} tokens"

    async def _read_stream(self, headers: Mapping[str, str]) -> _Streamed:
        body = {"model": self._model, "max_tokens": 64, "stream": True, **_LONG_PROMPT}
        started, first, received, pieces = time.monotonic(), 0.0, b"", 0
        credential = {"x-api-key": self._key, **headers}
        async with self._call("POST", "/v1/messages", credential, body) as response:
            async for chunk in response.content.iter_any():
                first = first or time.monotonic()
                received += chunk
                pieces += 1
            last = time.monotonic()
        if response.content_type != "text/event-stream":
            raise FindingError(diagnosis.quote_error(response.status, response.headers, received))
        if b"event: error" in received:
            error = received.partition(b"event: error\ndata: ")[2]
            raise FindingError(diagnosis.quote_error(response.status, response.headers, error))
        if b"event: message_stop" not in received:
            raise FindingError("the stream ended without message_stop")
        return _Streamed(
            first_s=first - started,
            last_s=last - started,
            pieces=pieces,
            events=received.count(b"\n\n"),
            has_length="content-length" in response.headers,
        )


def _is_small(model: str) -> bool:
    """Return whether a model is of the family that costs least."""
    return "haiku" in model


def _decode(status: int, headers: CIMultiDictProxy[str], body: bytes) -> Any:
    if status != 200:  # noqa: PLR2004 - the one good status
        raise FindingError(diagnosis.quote_error(status, headers, body))
    if "request-id" not in headers:
        raise FindingError("no request-id header: something on the way removes it")
    return msgspec.json.decode(body)
