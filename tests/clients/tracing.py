"""A gateway that traces, with an upstream that keeps what it was sent, and whoever takes spans, of all of them."""

import asyncio
import contextlib
import queue
import re
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from opentelemetry.trace import SpanKind

from proxy.sandbox import Knobs, serve_sandbox
from proxy.sandbox.intake import REQUESTS, Received
from tests.admin import collecting
from tests.admin.collecting import Collector
from tests.clients import stack
from tests.clients.stack import Stack

# Of Claude Code, whose name for a request to the API this is.
CLIENTS_SPAN = "claude_code.llm_request"
_CREDENTIAL = "ara-clients-0123456789-0123456789"
_BEGUN_WITHIN_S = 20.0
# A span comes some seconds after its request.
_SPANS_WITHIN_S = 20.0
_PAGE_S = 10.0
_POLL_S = 0.1
_QUESTION = (
    b'{"model":"anthropic/claude-sonnet-4.6","max_tokens":16,'
    b'"messages":[{"role":"user","content":"say hi"}]}'
)
# How the trace begins that the gateway begins for a request without one.
_OWN = "0000"


@dataclass(frozen=True)
class Traced:
    """What runs.

    Attributes:
        stack: the gateway. `page`: where its pages are.
        collector: takes the spans of gateway and client.
        sent: what the upstream was sent, oldest first.
    """

    stack: Stack
    page: str
    collector: Collector
    sent: Callable[[], list[Received]]

    def variables(self) -> dict[str, str]:
        """Return what has Claude Code trace, too, and go on in what it sends."""
        return {
            "CLAUDE_CODE_ENABLE_TELEMETRY": "1",
            "CLAUDE_CODE_ENHANCED_TELEMETRY_BETA": "1",
            "CLAUDE_CODE_PROPAGATE_TRACEPARENT": "1",
            "CLAUDE_CODE_GATEWAY_HINT_HEADERS": "1",
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.collector.url,
        }

    def shown(self, path: str) -> str:
        """Return a page, as it is shown to an operator."""
        asked = urllib.request.Request(self.page + path, headers={"x-api-key": _CREDENTIAL})
        with urllib.request.urlopen(asked, timeout=_PAGE_S) as response:
            text: str = response.read().decode()
        return text

    def begin(self) -> None:
        """Ask until a span comes: of what ended before the gateway's first look at its rows there is none."""
        deadline = time.monotonic() + _BEGUN_WITHIN_S
        while not self.collector.spans and time.monotonic() < deadline:
            asked = urllib.request.Request(
                f"{self.stack.url}/v1/messages",
                _QUESTION,
                {
                    "x-api-key": self.stack.key,
                    "anthropic-version": "2023-06-01",
                    "content-type": "application/json",
                },
            )
            urllib.request.urlopen(asked, timeout=_PAGE_S).close()
            time.sleep(_POLL_S)  # another process sends it

    def why_apart(self) -> str:
        """Say in what the traces of client, gateway and upstream are not one, as soon as all spans have come."""
        deadline = time.monotonic() + _SPANS_WITHIN_S
        while (why := self._why_apart()) and time.monotonic() < deadline:
            time.sleep(_POLL_S)  # others send them
        return why

    def _why_apart(self) -> str:
        spans = [each for each in self.collector.spans if not each.trace_id.startswith(_OWN)]
        asked = {(each.trace_id, each.id) for each in spans if each.name == CLIENTS_SPAN}
        told = [
            dict(each.raw_headers).get(b"traceparent", b"").decode()
            for each in self.sent()
            if each.path_qs.startswith("/v1/messages")
        ]
        told = [each for each in told if not each.startswith(f"00-{_OWN}")]
        ours = [each for each in spans if each.kind is SpanKind.SERVER]
        below = {each.parent_id: each for each in spans if each.kind is SpanKind.CLIENT}
        if not ours or not len(ours) == len(told) == len(set(told)):
            return f"the gateway has {len(ours)} spans, and the upstream was sent {told}"
        for each in ours:
            if (each.trace_id, each.parent_id) not in asked:
                return f"{each} is below none of {asked}"
            sent = below.get(each.id)
            if sent is None or not any(
                line.startswith(f"00-{sent.trace_id}-{sent.id}-") for line in told
            ):
                return f"{sent} is not what the upstream was told: {told}"
        return ""


@contextlib.contextmanager
def running(place: Path, env: dict[str, str]) -> Iterator[Traced]:
    """Run it; as `stack.running`."""
    with _taking() as (collector, upstream_url, sent):
        port = _free_port()
        settings = {
            "upstreams": {
                "sandbox": {"base_url": upstream_url, "auth": {"scheme": "x-api-key", "key": "k-1"}}
            },
            "admin": {"port": port, "keys": [{"name": "clients", "key": _CREDENTIAL}]},
            "otel": {"propagate": ["sandbox"]},
        }
        environment = {**env, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
        with stack.running(place, environment, **settings) as (gateway, end):
            traced = Traced(gateway, f"http://127.0.0.1:{port}/", collector, sent)
            traced.begin()
            yield traced
            end()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        port: int = one.getsockname()[1]
    return port


@contextlib.contextmanager
def _taking() -> Iterator[tuple[Collector, str, Callable[[], list[Received]]]]:
    """Take spans, and requests as an upstream, in a thread."""
    began: queue.Queue[tuple[Collector, str, Callable[[], list[Received]]]] = queue.Queue()
    ends = threading.Event()

    async def take() -> None:
        async with collecting.collecting() as collector:
            upstream = await serve_sandbox("127.0.0.1", 0, Knobs(record=True))
            try:
                url = f"http://127.0.0.1:{upstream.addresses[0][1]}"
                kept = upstream.app[REQUESTS]
                began.put((collector, url, lambda: list(kept)))
                await asyncio.to_thread(ends.wait)
            finally:
                await upstream.cleanup()

    thread = threading.Thread(target=asyncio.run, args=(take(),))
    thread.start()
    try:
        yield began.get(timeout=_BEGUN_WITHIN_S)
    finally:
        ends.set()
        thread.join(_BEGUN_WITHIN_S)


def lines_of(page: str) -> list[tuple[int, str]]:
    """Return the tree that a session's page shows: how deep each line is, and what it begins with."""
    found = re.findall(r'<th scope="row" class="d(\d)">\s*([^<]*)<span', page)
    return [(int(depth), name.strip()) for depth, name in found]
