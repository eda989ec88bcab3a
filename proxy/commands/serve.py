"""`anyrouter serve`: run the gateway."""

import argparse
import asyncio
import contextlib
import functools
import logging
import re
import socket
from collections.abc import Callable, Sequence

import aiohttp
import uvloop

from proxy.aiohttp_fast import IS_FAST
from proxy.app import assemble
from proxy.commands import options, standard_files
from proxy.commands.adjustments import THIS_RUN, Adjustments
from proxy.commands.check import summary
from proxy.commands.failures import describe, of_admin
from proxy.commands.parser import add_command
from proxy.commands.parts import shown_store
from proxy.config import Admin, Config, Listen
from proxy.config_file.source import Source
from proxy.gateway import GATEWAY
from proxy.ledger.first_file import is_to_be_made, make_first
from proxy.notices.events import Event
from proxy.notices.notice import notice
from proxy.server.addresses import bound
from proxy.server.heartbeat import ParentLink
from proxy.server.notify import notify
from proxy.server.open_files import raise_open_file_limit
from proxy.server.reload import ParentReloads, Reloader
from proxy.server.serve import serve
from proxy.server.signals import ignore_user_signals
from proxy.server.state import StateSocket, state_sockets
from proxy.server.tls import ServerTls
from proxy.server.worker import Work
from proxy.server.workers import supervise
from proxy.telemetry.access_log import AccessLog
from proxy.telemetry.log import logging_to, set_level
from proxy.telemetry.looks import Look, look_for
from proxy.telemetry.sink import BufferedSink
from proxy.tenancy.alone import refuse_another
from proxy.version import __version__

_log = logging.getLogger("anyrouter")
_EVERYWHERE = re.compile(r"\b0\.0\.0\.0\b|\[::\]")


def add_parser(subparsers: "options.Subparsers[argparse.ArgumentParser]") -> None:
    """Describe the command."""
    parser = add_command(
        subparsers,
        "serve",
        "run the gateway",
        "Runs the gateway until SIGTERM or Ctrl-C, which let running requests finish; a second one ends them. "
        "Access lines go to standard output, everything else to standard error.",
        examples=("anyrouter serve", "anyrouter serve --config team.yaml --port 9000 --workers 2"),
        environment={
            options.ANY_VARIABLE: "the ${...} that the configuration names",
            "HTTPS_PROXY, NO_PROXY": "the proxy on the way to the upstreams; also HTTP_PROXY, ALL_PROXY",
            "SSL_CERT_FILE": "the file of a private authority's certificate",
        },
    )
    options.add_config(parser)
    parser.add_argument(
        "--host", type=options.host, help="address to bind; default: the configuration's"
    )
    parser.add_argument("--port", type=options.port, help="default: the configuration's")
    parser.add_argument(
        "--workers",
        type=options.workers,
        metavar="N",
        help="processes; default: the configuration's",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Serve until told to stop."""
    ignore_user_signals()
    file = options.config_file(args)
    adjustments = Adjustments(args.host, args.port, args.workers)
    source = Source(file, adjustments)
    config, warnings = source.read()
    with logging_to(standard_files.errors(), config.log) as look:
        for warning in warnings:
            _log.warning(warning, extra=notice(Event.CONFIG_DOUBTED))
        try:
            return _run(config, source, adjustments.key)
        except (OSError, RuntimeError, UnicodeError) as error:
            if look is not Look.JSON:
                raise
            _log.critical("%s", describe(error), extra=notice(Event.NOT_STARTED))
            return 1


def _run(config: Config, source: Source, key: str) -> int:
    def ready(addresses: Sequence[tuple[str, int]]) -> None:
        configured = f"{source.path}: {summary(config)}, {shown_store(config)}"
        announce(addresses, configured, config.listen)
        if [each.name for each in config.keys] == [THIS_RUN]:
            # Whatever level is shown: without it nobody could use the gateway.
            level = max(logging.WARNING, _log.getEffectiveLevel())
            _log.log(
                level,
                "no keys are configured; for this run only, use: %s",
                key,
                extra=notice(Event.NO_KEYS),
            )

    raise_open_file_limit(config.limits.max_connections)
    if config.admin is not None or is_to_be_made(config.store):
        # First: another gateway may have the port, and its store been moved away.
        _refuse_taken_ports(config.listen, config.admin)
    make_first(config.store)  # here, once: a worker that is started again makes none
    if config.listen.workers > 1 or config.admin is not None:
        # A proxy in the environment that cannot be used is told once, and not by each worker as it starts again.
        tls = None if config.listen.tls is None else ServerTls(config.listen.tls)
        follow = (lambda _: None) if tls is None else tls.renew
        reloads = ParentReloads(source, config, follow=follow)
        count = config.listen.workers if config.admin is not None else 0
        state_dir = None if config.store is None else config.store.state_dir
        if state_dir is not None and config.redis is None and config.listen.workers == 1:
            # What keeps the worker from its start is told once, and not by one that is started again and again.
            asyncio.run(refuse_another(state_dir))
        with state_sockets(count, state_dir) as sockets:
            works: list[Work] = [
                functools.partial(
                    serve_worker, source, state=sockets[i] if sockets else None, tls=tls
                )
                for i in range(config.listen.workers)
            ]
            if sockets:
                works.append(
                    functools.partial(serve_admin, source, states=[each.path for each in sockets])
                )
            return supervise(config, works, ready, reloads=reloads)
    serve_one(source, config, ready)
    return 0


def _refuse_taken_ports(listen: Listen, admin: Admin | None) -> None:
    """Say which port is taken, the clients' first, while there is one process to say it: by an `OSError`."""
    with bound(listen.hosts, listen.port):
        try:
            with bound((admin.host,), admin.port) if admin else contextlib.nullcontext():
                pass
        except OSError as error:
            raise of_admin(error) from None


def serve_worker(  # noqa: PLR0917 - as a `Work`, which is given the others
    source: Source,
    config: Config,
    parent: ParentLink,
    sockets: Sequence[socket.socket],
    state: StateSocket | None = None,
    tls: ServerTls | None = None,
) -> None:
    """Be one of several processes on the port."""
    with logging_to(standard_files.errors(), config.log):
        try:
            serve_one(source, config, lambda _: None, parent, sockets=sockets, state=state, tls=tls)
        except Exception as error:  # noqa: BLE001 - the process ends with it, and must say why
            _fail(parent, error)
            raise SystemExit(1) from None


def serve_admin(
    source: Source,
    config: Config,
    parent: ParentLink,
    _sockets: Sequence[socket.socket],
    states: Sequence[str],
) -> None:
    """Be the one process that serves the admin API."""
    from proxy.admin.serve import serve as serve_admin_api  # noqa: PLC0415 - without it, none of it is imported

    with logging_to(standard_files.errors(), config.log):
        try:
            uvloop.run(serve_admin_api(source, config, parent, states))
        except Exception as error:  # noqa: BLE001 - as a worker
            _fail(parent, error, "the admin API cannot be served: ")
            raise SystemExit(1) from None


def _fail(parent: ParentLink, error: Exception, what: str = "") -> None:
    """Have the parent say what keeps this process from its work; with a traceback here when it is a defect."""
    if not isinstance(error, (OSError, RuntimeError, UnicodeError)):
        _log.exception("a worker cannot serve")
    parent.fail(f"{what}{describe(error)}")


def serve_one(
    source: Source,
    config: Config,
    ready: Callable[[Sequence[tuple[str, int]]], None],
    parent: ParentLink | None = None,
    *,
    sockets: Sequence[socket.socket] = (),
    state: StateSocket | None = None,
    tls: ServerTls | None = None,
) -> None:
    """Serve in this process, access lines on stdout."""
    stream = standard_files.output()
    sink = BufferedSink(stream, shared=parent is not None)
    least = logging.getLogger("anyrouter").getEffectiveLevel()
    access_log = AccessLog(sink, config.log, look_for(config.log.format, stream), least)
    try:
        app = assemble(config, access_log)
        if state is not None:
            app.cleanup_ctx.append(state.serve)
        gateway = app[GATEWAY]
        gateway.lost_lines = sink.lost
        gateway.on_reload.append(lambda config: set_level(config.log))
        reloader = Reloader(
            source,
            gateway.take_over,
            None if parent is not None else lambda: gateway.snapshot.config.reload.watch,
            taken=(lambda _: None) if parent is None else parent.took_over,
        )
        gateway.credentials.reread = lambda name: reloader.read_key(
            name, lambda: gateway.snapshot.config
        )
        serving = serve(
            app, config, ready, reloader=reloader, parent=parent, sockets=sockets, tls=tls
        )
        uvloop.run(serving)
    finally:
        sink.close()


def announce(addresses: Sequence[tuple[str, int]], configured: str, listen: Listen) -> None:
    """Log what serves, with what configuration, and where; and tell the service manager that it does."""
    origins = [origin(host, port, listen.scheme) for host, port in addresses]
    here = _EVERYWHERE.sub("127.0.0.1", origins[0])
    _log.info("anyrouter %s; %s; base URL %s", __version__, configured, here + listen.base_path)
    _log.info("listening on %s", ", ".join(origins))
    wire = "fast paths" if IS_FAST else "public API only: correct, and slower"
    _log.info("aiohttp %s, %s", aiohttp.__version__, wire)
    notify("READY=1")


def origin(host: str, port: int, scheme: str = "http") -> str:
    """Return the URL of an address."""
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
