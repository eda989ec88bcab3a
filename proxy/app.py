"""Wiring: a complete application, or the gateway as a part of yours."""

import logging
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

from proxy.aiohttp_fast.parser import has_compiled_parser
from proxy.api import cors, routes
from proxy.api.guard import guarded_by
from proxy.config import Config
from proxy.config_file.by_hand import check
from proxy.config_file.faults import ConfigError
from proxy.gateway import GATEWAY, Authenticate, Gateway
from proxy.ledger.first_file import make_first
from proxy.notices.events import Event
from proxy.notices.notice import notice
from proxy.protocol.checks import prepare
from proxy.telemetry.access_log import AccessLog, LineSink
from proxy.tenancy.alone import doubt_of_limits
from proxy.tenancy.tenancy import has_bounds
from proxy.trailers import close_behind_chunks

# For the `AppRunner` of an application that holds a gateway, which does without: with it, a client that leaves cancels
# its request at once, and not within a second; those of the application itself, too.
RUNNER_OPTIONS: dict[str, Any] = {"handler_cancellation": True}

_log = logging.getLogger(__name__)

ACCESS_LOGGER = logging.getLogger("anyrouter.access")


def create_app(
    config: Config, *, access_log: LineSink | logging.Logger | AccessLog | None = ACCESS_LOGGER
) -> web.Application:
    """Make an application that is a gateway: the API under `config.listen.base_path` and under `/`.

    Args:
        config: from `load_config`, or built by hand.
        access_log: takes each request's line; a logger gets it at level info, with a 4xx warning, with a 5xx error;
            default: the logger `anyrouter.access`; None: no lines.

    Raises:
        ConfigError: the configuration is wrong, as a file would be.
        RuntimeError: aiohttp's compiled HTTP parser is missing.
        TypeError: what is given is no configuration.
    """
    check(config)
    app = assemble(config, access_log)
    app.middlewares.insert(0, close_behind_chunks)
    app.on_startup.append(_note_what_is_not_served)
    app.on_startup.insert(0, _make_store)
    return app


def assemble(
    config: Config, access_log: LineSink | logging.Logger | AccessLog | None
) -> web.Application:
    """Make an application of a configuration that was checked; otherwise as `create_app`."""
    app = _gateway_app(config, access_log)
    is_limited = app[GATEWAY].tenancy is not None
    routes.add(app.router, ("", config.listen.base_path), limited=is_limited)
    return app


def setup(
    app: web.Application,
    config: Config,
    *,
    access_log: LineSink | logging.Logger | AccessLog | None = ACCESS_LOGGER,
    authenticate: Authenticate | None = None,
) -> Gateway:
    """Mount a gateway under `config.listen.base_path` of an application, beside its other routes.

    Run the application as you like, with `web.run_app(app)` too: nothing of it is changed. `listen.host`, `port` and
    `tls`, `limits.max_connections`, `limits.max_connections_per_client`, `timeouts.request_head_s`, `client_idle_s` and
    `drain_s` belong to a server, which here is yours. `listen.workers` says in how many processes of yours the
    gateway runs: with more than one, limits and budgets need `redis`.

    Args:
        app: not started yet.
        config: as for `create_app`.
        access_log: as for `create_app`.
        authenticate: finds whose request it is by your own means, and returns that as a `Key`: its name, for the
            log, the ledger and what is counted, its models, and its owner, limits and budgets, which hold from this
            request on. When it returns None, the key counts that the request carries. Headers that it reads are
            forwarded, but for cookies and credentials.

    Returns:
        The gateway; set its `draining` to make it refuse new requests. The application's shutdown does.

    Raises:
        ConfigError: the configuration is wrong, as a file would be, or `app` has a part below its base path already.
        RuntimeError: aiohttp's compiled HTTP parser is missing, or `app` has started.
        TypeError: what is given is no configuration, or nothing that can be called.
    """
    check(config)
    if not (authenticate is None or callable(authenticate)):
        raise TypeError("authenticate: must be a coroutine function that is given the request")
    base_path = config.listen.base_path
    if any(
        isinstance(each, web.PrefixedSubAppResource) and each.canonical == base_path
        for each in app.router.resources()
    ):
        raise ConfigError(
            f"listen.base_path: what the application has below {base_path} already would get all requests; take another"
        )
    part = _gateway_app(config, access_log, authenticate)
    part.middlewares.insert(0, close_behind_chunks)
    part.on_startup.append(_note_what_is_not_served)
    part.on_startup.insert(0, _make_store)
    if not (config.keys or config.store or authenticate):
        _log.warning(
            "no keys are configured: every request is refused with a 401",
            extra=notice(Event.NO_KEYS),
        )
    if has_bounds(config) and (doubt := doubt_of_limits(config)) is not None:
        _log.warning(doubt, extra=notice(Event.CONFIG_DOUBTED))
    routes.add(part.router, ("",), limited=part[GATEWAY].tenancy is not None)
    app.add_subapp(base_path, part)
    return part[GATEWAY]


async def _make_store(app: web.Application) -> None:
    make_first(app[GATEWAY].snapshot.config.store)


async def _note_what_is_not_served(app: web.Application) -> None:
    gateway = app[GATEWAY]
    if gateway.snapshot.config.admin is not None and not gateway.has_admin:
        _log.warning(
            "`admin` is not served here: proxy.create_admin_app makes an application of it, and `anyrouter serve` "
            "has a process of its own for it",
            extra=notice(Event.ADMIN_NOT_SERVED),
        )


def _gateway_app(
    config: Config,
    access_log: LineSink | logging.Logger | AccessLog | None,
    authenticate: Authenticate | None = None,
) -> web.Application:
    if not has_compiled_parser():
        # The pure Python parser has had request smuggling bugs, and is slow.
        raise RuntimeError(
            "aiohttp's compiled HTTP parser is missing; reinstall aiohttp from a wheel"
        )
    prepare()
    if not isinstance(access_log, AccessLog):
        access_log = AccessLog(access_log, config.log)
    gateway = Gateway(config, (access_log,), authenticate)
    app = web.Application(middlewares=[guarded_by(gateway)])
    app[GATEWAY] = gateway
    if config.cors.origins:
        app.middlewares.append(cors.allow_origins(app))
    gateway.on_reload.append(lambda config: access_log.change(config.log))
    app.cleanup_ctx.append(_open_connections)
    app.on_shutdown.append(_drain)
    return app


async def _drain(app: web.Application) -> None:
    app[GATEWAY].draining = True


async def _open_connections(app: web.Application) -> AsyncIterator[None]:
    gateway = app[GATEWAY]
    for upstream in gateway.snapshot.upstreams.values():
        upstream.announce()
    async with gateway.connections:
        await gateway.open()
        if gateway.tenancy is not None:
            await gateway.tenancy.open()
        try:
            yield
        finally:
            await gateway.model_lists.close()
            await gateway.credentials.close()
            if gateway.tenancy is not None:
                await gateway.tenancy.close()
