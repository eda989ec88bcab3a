"""What is compared: nothing in between, nginx, the textbook relay, gateways; upstreams."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from bench.http_client import API_KEY
from bench.processes import Child, free_port
from bench.servers import Servers
from bench.tenancy import tenancy
from bench.view import looked_at, with_admin

DIRECT, NGINX, RELAY, GATEWAY = "direct", "nginx", "relay", "gateway"
# The gateway of another checkout; the gateway by aiohttp's public parts alone.
BEFORE, PLAIN = "before", "plain"
# The gateway with ledger, limits and budgets: SQLite and counts of its own, PostgreSQL and counts in Redis.
EMBEDDED, SCALED = "tenancy embedded", "tenancy scaled"
# The embedded one with the admin API, and somebody who looks at pages and metrics all the time. Not the bare gateway:
# it reckons no costs, and with `admin` it does.
VIEW = "view"
# That one with traces: a `traceparent` for the upstream, and spans, which nobody takes.
TRACES = "traces"
# The gateway whose model is served by a pool of two upstreams; by one of one.
POOL, POOL_OF_ONE = "pool", "pool of one"
ALL = (DIRECT, NGINX, RELAY, BEFORE, GATEWAY, PLAIN, POOL, EMBEDDED, SCALED, VIEW, TRACES)
# What says nothing without the other.
BESIDE = {VIEW: EMBEDDED, TRACES: VIEW}
_LOOKED_AT = (VIEW, TRACES)
# With whom the others are compared.
YARDSTICKS = (NGINX, RELAY, BEFORE, GATEWAY)
_MEMBERS = {POOL: 2, POOL_OF_ONE: 1}

_HERE = Path(__file__).parent
_MESSAGE = {
    "id": "msg_01BenchBenchBenchBench",
    "type": "message",
    "role": "assistant",
    "model": "claude-haiku-4-5",
    "content": [{"type": "text", "text": "Hello."}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 12, "output_tokens": 16},
}
_MESSAGE_BYTES = 300

_NGINX = """\
daemon off;
worker_processes {workers};
worker_rlimit_nofile 16384;
pid {directory}/nginx.pid;
error_log {directory}/error.log crit;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  client_max_body_size 64m;
  client_body_buffer_size 2m;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  {servers}
}}
"""
_PASS_THROUGH = """\
  upstream api {{ server 127.0.0.1:{upstream_port}; keepalive 512; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://api;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_read_timeout 1h;
    }}
  }}
"""
# `return` alone answers before the request body was read, which makes a proxy in front drop the
# connection. `mirror` reads the body first; the 404 for the absent file then becomes the answer.
_FIXED_ANSWER = """\
  default_type application/json;
  log_not_found off;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    root {directory}/none;
    location / {{ mirror /read; error_page 404 405 =200 @answer; }}
    location = /read {{ internal; return 204; }}
    location = /healthz {{ return 200 ""; }}
    location @answer {{ return 200 '{message}'; }}
  }}
"""


@dataclass(frozen=True)
class Running:
    """A contender that serves.

    Attributes:
        port: where to send requests.
        child: its process; None for `direct`.
        start_s: process start to first answered request.
        told_cpu_s: tells the CPU time of what serves requests, where the process does more than that.
    """

    name: str
    port: int
    child: Child | None
    start_s: float
    told_cpu_s: Callable[[], float] | None = None

    def cpu_s(self) -> float:
        """Return the CPU time used so far; 0 of no process."""
        if self.told_cpu_s is not None:
            return self.told_cpu_s()
        return self.child.cpu_s() if self.child else 0.0


def gateway_command() -> str | None:
    """Return the installed gateway's command: beside this interpreter, else on PATH."""
    beside = Path(sys.executable).with_name("anyrouter")
    return str(beside) if beside.exists() else shutil.which("anyrouter")


def missing_tools() -> list[str]:
    """Return the programs that the benchmark needs and does not find."""
    return [tool for tool in ("wrk", "nginx") if _find(tool) is None]


def _find(tool: str) -> str | None:
    # Debian keeps nginx where an ordinary user's PATH does not look.
    return shutil.which(tool) or shutil.which(tool, path="/usr/sbin:/usr/local/sbin")


def _nginx(directory: Path, workers: int, servers: str) -> list[str]:
    text = _NGINX.format(workers=workers, directory=directory, servers=servers)
    if os.geteuid() == 0:
        text = "user root;\n" + text  # its default user cannot write into our directory
    conf = directory / "nginx.conf"
    conf.write_text(text)
    return [_find("nginx") or "nginx", "-p", str(directory), "-c", str(conf)]


def _config(upstream_port: int) -> dict[str, Any]:
    return {
        "upstreams": {
            "bench": {
                "base_url": f"http://127.0.0.1:{upstream_port}",
                "auth": {"scheme": "x-api-key", "key": "upstream-key"},
            }
        },
        "models": [{"id": "anthropic/*", "upstream": "bench"}],
        "keys": [
            {
                "name": "bench",
                "sha256": hashlib.sha256(API_KEY.encode()).hexdigest(),
                "models": ["anthropic/*"],
            }
        ],
        "log": {"level": "info", "format": "json"},
    }


def _pooled(config: dict[str, Any], members: int) -> dict[str, Any]:
    """Return a configuration whose model is served by a pool: of accounts of one upstream."""
    names = [f"bench-{number}" for number in range(members)]
    only = config["upstreams"]["bench"]
    return config | {
        "upstreams": {
            name: only | {"auth": only["auth"] | {"key": f"upstream-key-{name}"}} for name in names
        },
        "pools": {"bench": {"members": [{"upstream": name} for name in names]}},
    }


def _gateway(
    command: list[str], directory: Path, port: int, workers: int, config: dict[str, Any]
) -> list[str]:
    path = directory / "config.yaml"
    path.write_text(json.dumps(config, indent=2))  # JSON is YAML, too
    if "store" in config:
        # Else a child process does it, whose CPU time would be told with that of requests.
        migrate = [*command, "store", "migrate", "--config", str(path)]
        subprocess.run(migrate, check=True, capture_output=True)
    command = [*command, "serve", "--config", str(path), "--workers", str(workers)]
    return [*command, "--host", "127.0.0.1", "--port", str(port)]


@contextmanager
def running(
    name: str,
    upstream_port: int,
    scratch: Path,
    *,
    before: Path | None,
    servers: Servers | None,
    workers: int = 1,
    under: Sequence[str] = (),
) -> Iterator[Running]:
    """Run a contender in front of an upstream.

    Args:
        name: one of `ALL`.
        upstream_port: where it sends requests.
        scratch: existing directory for configuration and output.
        before: the checkout that `before` runs, with this interpreter and what is installed.
        servers: what `SCALED` shares its counts with.
        workers: processes; nginx and the gateways only.
        under: the command of a program that the contender runs in.

    Raises:
        StartError: it did not come up.
    """
    if name == DIRECT:
        yield Running(name, upstream_port, None, 0.0)
        return
    port = free_port()
    directory = scratch / f"{name}-{port}"
    directory.mkdir()
    environment = {}
    if name == NGINX:
        site = _PASS_THROUGH.format(port=port, upstream_port=upstream_port)
        command = _nginx(directory, workers, site)
    elif name == RELAY:
        script = str(_HERE / "bare_relay.py")
        command = [sys.executable, script, "--port", str(port)]
        command += ["--upstream", f"http://127.0.0.1:{upstream_port}"]
    else:
        command = [gateway_command() or "anyrouter"]
        if name == BEFORE:
            # -P: the directory where the benchmark runs holds a `proxy`, too.
            command = [sys.executable, "-P", "-m", "proxy"]
            environment = {"PYTHONPATH": str(before)}
        elif name == PLAIN:
            environment = {"ANYROUTER_PLAIN": "1"}
        config = _config(upstream_port)
        if name in _MEMBERS:
            config = _pooled(config, _MEMBERS[name])
        elif name in (EMBEDDED, SCALED, *_LOOKED_AT):
            config = tenancy(config, directory, servers if name == SCALED else None)
        if name in _LOOKED_AT:
            admin_port = free_port()
            config = with_admin(config, admin_port)
        if name == TRACES:
            config |= {"otel": {"propagate": ["bench"]}}
            environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}"}
        command = _gateway(command, directory, port, workers, config)
    with ExitStack() as stack:
        command = [*under, *command]
        child, start_s = stack.enter_context(_serving(command, directory, port, environment))
        told_cpu_s = stack.enter_context(looked_at(admin_port)) if name in _LOOKED_AT else None
        yield Running(name, port, child, start_s, told_cpu_s)


@contextmanager
def _serving(
    command: list[str],
    directory: Path,
    port: int,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[tuple[Child, float]]:
    child = Child(command, directory / "output.log", environment)
    try:
        yield child, child.wait_until_answering(port)
    finally:
        child.stop()


@contextmanager
def plain_upstream(scratch: Path) -> Iterator[int]:
    """Run the upstream of the plain workloads: nginx with a fixed 300-byte message."""
    message = json.dumps(_MESSAGE, separators=(",", ":"))
    padding = "." * (_MESSAGE_BYTES - len(message))
    message = message.replace("Hello.", "Hello." + padding)
    port = free_port()
    directory = scratch / "plain-upstream"
    directory.mkdir()
    servers = _FIXED_ANSWER.format(port=port, directory=directory, message=message)
    with _serving(_nginx(directory, 1, servers), directory, port):
        yield port


@contextmanager
def stream_upstream(scratch: Path) -> Iterator[int]:
    """Run the upstream of the stream workloads."""
    port = free_port()
    directory = scratch / "stream-upstream"
    directory.mkdir()
    command = [sys.executable, str(_HERE / "sse_upstream.py"), "--port", str(port)]
    with _serving(command, directory, port):
        yield port
