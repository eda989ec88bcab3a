"""The public interface as a type checker sees it: mypy reads this file, nothing runs it.

Each `type: ignore` is a mistake that must be found: mypy reports those that are not needed.
"""

import logging
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, assert_type

from aiohttp import web
from aiohttp.typedefs import Handler

import proxy


def configurations() -> proxy.Config:
    """Read, and made by hand."""
    assert_type(proxy.load_config("config.yaml"), proxy.Config)
    assert_type(proxy.load_config(Path("config.yaml"), {"ANTHROPIC_API_KEY": "x"}), proxy.Config)
    proxy.load_config(8080)  # type: ignore[arg-type] # a path is needed
    return proxy.Config(
        upstreams=(
            proxy.Upstream("api", "https://api.anthropic.com", proxy.Auth("x-api-key", key="x")),
            proxy.Upstream(
                "cloud",
                "https://cloud.example.com/anthropic",
                proxy.Auth("bearer", command=("print-token",), refresh_s=600),
                betas=("oauth-2025-04-20",),
                tls=proxy.Tls(ca="corp.pem"),
                drop=proxy.Drop(betas=("some-beta-2026-01-01",), members=("metadata",)),
            ),
        ),
        models=(proxy.Model(id="anthropic/*", upstream="api"),),
        keys=(proxy.Key(name="laptop", sha256="0" * 64, models=("anthropic/*",)),),
        listen=proxy.Listen(port=0, base_path="/llm", tls=proxy.Certificate("cert.pem", "key.pem")),
        limits=proxy.Limits(max_body_bytes=1 << 20),
        timeouts=proxy.Timeouts(idle_s=60),
        cors=proxy.Cors(("https://app.example.com",)),
        log=proxy.Log(level="warning", format="text"),
        store=proxy.Store("sqlite:///var/anyrouter.db", retention_days=30),
        redis=proxy.Redis("redis://127.0.0.1:6379/0"),
        reload=proxy.Reload(watch=False),
        quota=proxy.Quota(
            global_limits=proxy.RateLimits(max_in_flight=200),
            each_key_budgets=proxy.Budgets(day_micros=5_000_000, fail="closed"),
        ),
        owners=(proxy.Owner("team-a", proxy.RateLimits(requests_per_minute=60)),),
        prices=proxy.Prices(multiplier=Fraction(11, 10)),
        pools=(proxy.Pool("claude", (proxy.Member("api", weight=2),), prefer="speed"),),
        admin=proxy.Admin(keys=(proxy.AdminKey("ops", sha256="0" * 64, role="write"),)),
        alerts=proxy.Alerts(to=(proxy.Receiver("https://hooks.example.com/x", format="slack"),)),
        otel=proxy.Otel(sample=0.1, propagate=("api",)),
    )


def mistakes(config: proxy.Config) -> None:
    """What cannot be."""
    proxy.Auth("basic")  # type: ignore[arg-type] # no such scheme
    proxy.Budgets(fail="maybe")  # type: ignore[arg-type] # open or closed
    proxy.Log(format="xml")  # type: ignore[arg-type] # no such format
    proxy.Config()  # type: ignore[call-arg] # upstreams and models are needed
    config.echo_model = False  # type: ignore[misc] # it is frozen


def applications(config: proxy.Config, app: web.Application) -> web.AppRunner:
    """An application of ours, and a part of one of yours."""
    lines: list[bytes] = []
    assert_type(proxy.create_app(config), web.Application)
    assert_type(proxy.create_app(config, access_log=None), web.Application)
    assert_type(proxy.create_app(config, access_log=lines.append), web.Application)
    proxy.create_app(config, access_log=take_text)  # type: ignore[arg-type] # lines are bytes
    gateway = proxy.setup(app, config, access_log=lines.append)
    assert_type(gateway, proxy.Gateway)
    assert_type(gateway.draining, bool)
    gateway.draining = True
    assert_type(proxy.create_admin_app(gateway), web.Application)
    proxy.create_admin_app(config)  # type: ignore[arg-type] # the gateway of `setup` is needed
    proxy.setup(app, config, access_log=logging.getLogger("mine"), authenticate=sign_in)
    proxy.setup(app, config, authenticate=name_of)  # type: ignore[arg-type] # a key is needed
    return web.AppRunner(app, shutdown_timeout=30, **proxy.RUNNER_OPTIONS)


async def sign_in(request: web.Request) -> proxy.Key | None:
    """Find a user by what the application knows."""
    return proxy.Key("anna") if "session" in request.cookies else None


async def name_of(request: web.Request) -> str:
    """Give a name only."""
    return request.path


async def leave_alone(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Tell the gateway's responses from others."""
    response = await handler(request)
    if proxy.FROM_GATEWAY in response:
        assert_type(response[proxy.FROM_GATEWAY], bool)
    return response


def take_text(line: str) -> None:
    """Take text, where bytes come."""
    assert_type(line, str)


def errors(complain: Callable[[str], Any]) -> None:
    """What a bad configuration raises."""
    try:
        proxy.load_config("config.yaml")
    except proxy.ConfigError as error:
        complain(str(error))
