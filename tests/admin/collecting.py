"""A receiver of OTLP/HTTP that decodes what comes as the package's own classes do, and does not always take it."""

import contextlib
import dataclasses
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.trace import SpanKind


@dataclasses.dataclass(frozen=True)
class Received:
    """A span, as it came."""

    trace_id: str
    id: str
    parent_id: str
    name: str
    kind: SpanKind
    attributes: dict[str, Any]
    has_failed: bool
    took_ms: float


class Collector:
    """Takes spans; `refuses` is the status that it has for them instead, `moved_to` where it says that they belong."""

    def __init__(self) -> None:
        self.url = ""
        self.refuses: int | None = None
        self.moved_to = ""
        self.batches: list[list[Received]] = []
        self.resources: list[dict[str, Any]] = []
        self.headers: dict[str, str] = {}
        self.bodies = b""
        self.tries = 0

    @property
    def spans(self) -> list[Received]:
        return [span for batch in self.batches for span in batch]

    def of(self, kind: SpanKind) -> list[Received]:
        return [span for span in self.spans if span.kind is kind]

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.tries += 1
        self.headers = dict(request.headers)
        if self.refuses is not None:
            moved = {"location": self.moved_to} if self.moved_to else {}
            return web.Response(status=self.refuses, headers=moved)
        self.bodies += body
        told = ExportTraceServiceRequest.FromString(body)
        for resource in told.resource_spans:
            self.resources.append(_plain(resource.resource.attributes))
            self.batches.append(
                [_received(each) for scope in resource.scope_spans for each in scope.spans]
            )
        return web.Response(content_type="application/x-protobuf")


def _received(span: Span) -> Received:
    return Received(
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.name,
        SpanKind(span.kind - 1),
        _plain(span.attributes),
        span.status.code == span.status.STATUS_CODE_ERROR,
        (span.end_time_unix_nano - span.start_time_unix_nano) / 1e6,
    )


def _plain(attributes: Any) -> dict[str, Any]:
    return {each.key: _value(each.value) for each in attributes}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(each) for each in value.array_value.values]
    return getattr(value, kind)


@contextlib.asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    """Run a collector."""
    collector = Collector()
    app = web.Application(client_max_size=1 << 26)
    app.router.add_post("/v1/traces", collector.take)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        collector.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield collector
    finally:
        await runner.cleanup()
