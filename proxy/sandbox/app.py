"""The sandbox as an aiohttp application."""

import asyncio
import hashlib
import os
import random
import time
from collections import deque
from functools import lru_cache
from typing import Any

import msgspec
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler
from multidict import CIMultiDict, istr

from proxy.sandbox import catalog, wire
from proxy.sandbox.answer import answer
from proxy.sandbox.delivery import send_json, send_stream
from proxy.sandbox.errors import ApiError
from proxy.sandbox.intake import (
    CHANCE,
    KNOBS,
    MAX_BODY_BYTES,
    REQUESTS,
    admit,
    decode_body,
    receive,
)
from proxy.sandbox.knobs import Knobs
from proxy.sandbox.plan import identify, writes
from proxy.sandbox.prompt import read
from proxy.sandbox.served import SERVED, Record, of_events, of_message

REQUEST_ID = istr("request-id")

_KEPT_REQUESTS = 1000
_KEPT_BODY_BYTES = 1 << 18
_KEPT_TEXT = 1 << 16
_SHUTDOWN_S = 1.0
_WITH_BODY = 2
_CLOSING = web.AppKey("_CLOSING", asyncio.Event)
_DEFAULTS = Knobs()


def create_sandbox(knobs: Knobs = _DEFAULTS) -> web.Application:
    """Return the sandbox upstream.

    With `record` the last 1000 requests are in `app[REQUESTS]`, oldest first, whatever was
    answered. With `serve_record` what the answers told is in `app[SERVED]`.

    Compressed bodies are understood, recorded and echoed as received only by a server
    that leaves them alone (`auto_decompress=False`, as `serve_sandbox` does).
    """
    app = web.Application(middlewares=[_shape], client_max_size=MAX_BODY_BYTES)
    app[KNOBS] = knobs
    app[REQUESTS] = deque(maxlen=_KEPT_REQUESTS)
    app[CHANCE] = random.Random(knobs.seed)  # noqa: S311 - which requests fail is no secret
    app[_CLOSING] = asyncio.Event()
    app.on_shutdown.append(_close)
    app.router.add_post("/v1/messages", _messages)
    app.router.add_post("/v1/messages/count_tokens", _count_tokens)
    app.router.add_get("/v1/models", _models)
    app.router.add_get("/v1/models/{id:.+}", _model)
    if knobs.serve_record:
        app[SERVED] = Record()
        app.router.add_get("/sandbox/served", _report_served)
    app.router.add_get("/", _hello)
    app.router.add_get("/api/hello", _hello)
    return app


async def serve_sandbox(host: str, port: int, knobs: Knobs = _DEFAULTS) -> web.AppRunner:
    """Start a sandbox that listens; port 0 takes a free one, `runner.addresses` tells which.

    The caller awaits `runner.cleanup()`, which gives running answers one second to end.

    Raises:
        OSError: the address cannot be listened on.
    """
    runner = web.AppRunner(
        create_sandbox(knobs),
        access_log=None,
        auto_decompress=False,
        handler_cancellation=True,
        shutdown_timeout=_SHUTDOWN_S,
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        await runner.cleanup()
        if error.errno is None:
            raise
        # The event loop's own text repeats its number and quotes a tuple.
        said = f"cannot listen on {host}, port {port}: {os.strerror(error.errno)}"
        raise OSError(error.errno, said) from None
    return runner


async def _close(app: web.Application) -> None:
    app[_CLOSING].set()


@web.middleware
async def _shape(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every failure in the API's shape."""
    try:
        if request.app[KNOBS].record:
            request.app[REQUESTS].append(await receive(request))
        return await handler(request)
    except ApiError as exc:
        error = exc
    except web.HTTPRequestEntityTooLarge:
        error = ApiError("request_too_large", "Request exceeds the maximum size")
    except web.HTTPNotFound:
        error = ApiError("not_found_error", "Not found")
    except web.HTTPMethodNotAllowed as exc:
        allow = {str(hdrs.ALLOW): exc.headers[hdrs.ALLOW]}
        error = ApiError("invalid_request_error", "Method Not Allowed", status=405, headers=allow)
    token = _token()
    headers = _headers(token)
    headers.update(error.headers)
    headers[hdrs.CONTENT_TYPE] = "application/json"
    return web.Response(status=error.status, headers=headers, body=error.body(f"req_01{token}"))


async def _messages(request: web.Request) -> web.StreamResponse:
    knobs = await admit(request)
    body = await decode_body(request)
    if knobs.echo:
        answered = _write_answer(body, knobs, await _echo(request, knobs.echo))
    elif len(body) <= _KEPT_BODY_BYTES and knobs.text_size <= _KEPT_TEXT:
        answered = _kept_answer(body, knobs)
    else:
        answered = _write_answer(body, knobs)
    token = _token()
    headers = _headers(token)
    served = None
    if knobs.serve_record:
        made = of_message(answered) if isinstance(answered, bytes) else of_events(answered)
        served = request.app[SERVED].keep(headers[REQUEST_ID], made)
    if knobs.encoding is not None:
        headers[hdrs.CONTENT_ENCODING] = knobs.encoding
    if isinstance(answered, bytes):
        return await send_json(request, headers, identify(answered, token), knobs, served)
    planned = writes(answered, knobs, token)
    return await send_stream(
        request, headers, planned, knobs, closing=request.app[_CLOSING], served=served
    )


def _write_answer(body: bytes, knobs: Knobs, echoed: str = "") -> bytes | tuple[wire.Event, ...]:
    prompt = read(body)
    decided = answer(prompt, knobs, echoed=echoed)
    merged = msgspec.json.decode(knobs.usage, type=dict[str, Any]) if knobs.usage else {}
    write = wire.events if prompt.stream else wire.message
    return write(prompt, decided, merged)


# A benchmark repeats its requests; it should measure its subject, not how fast we build answers.
_kept_answer = lru_cache(maxsize=64)(_write_answer)


async def _count_tokens(request: web.Request) -> web.StreamResponse:
    await admit(request)
    prompt = read(await decode_body(request), counting=True)
    return _json({"input_tokens": prompt.usage.total})


async def _models(request: web.Request) -> web.StreamResponse:
    await admit(request)
    return _json(catalog.page(request.query))


async def _model(request: web.Request) -> web.StreamResponse:
    await admit(request)
    return _json(catalog.find(request.match_info["id"]))


async def _report_served(request: web.Request) -> web.StreamResponse:
    return web.Response(body=request.app[SERVED].shown(), content_type="application/json")


async def _hello(_request: web.Request) -> web.StreamResponse:
    return _json({"type": "sandbox", "message": "The sandbox upstream is up."})


async def _echo(request: web.Request, detail: int) -> str:
    seen = await receive(request)
    shown: dict[str, object] = {
        "method": seen.method,
        "path_qs": seen.path_qs,
        "headers": [[_text(name), _text(value)] for name, value in seen.raw_headers],
        "body_sha256": hashlib.sha256(seen.body).hexdigest(),
        "body_bytes": len(seen.body),
    }
    if detail == _WITH_BODY:
        shown["body"] = _text(seen.body)
    return msgspec.json.encode(shown).decode()


def _text(raw: bytes) -> str:
    return raw.decode("latin-1")


def _json(value: object) -> web.Response:
    headers = _headers(_token())
    headers[hdrs.CONTENT_TYPE] = "application/json"
    return web.Response(body=msgspec.json.encode(value), headers=headers)


def _token() -> str:
    return os.urandom(11).hex()


def _headers(token: str) -> CIMultiDict[str]:
    headers = _limits(int(time.time())).copy()
    headers[REQUEST_ID] = f"req_01{token}"
    return headers


@lru_cache(maxsize=1)
def _limits(now: int) -> CIMultiDict[str]:
    """Return the rate limit headers of this second; the sandbox limits nothing."""
    reset = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now + 60))
    limits = {"requests": 4000, "input-tokens": 2_000_000, "output-tokens": 400_000}
    headers: CIMultiDict[str] = CIMultiDict()
    for name, limit in limits.items():
        headers[f"anthropic-ratelimit-{name}-limit"] = str(limit)
        headers[f"anthropic-ratelimit-{name}-remaining"] = str(limit - 1)
        headers[f"anthropic-ratelimit-{name}-reset"] = reset
    return headers
