"""One machine's spans of a store, and what took them."""

import contextlib
from typing import Any

from opentelemetry.trace import SpanKind

from proxy import Admin, AdminKey, Store
from proxy.access.keys import digest
from proxy.admin.context import AdminContext
from proxy.admin.otlp import Sender
from proxy.admin.spans import Spans
from proxy.admin.traces import Traces
from proxy.admin.workers import SocketWorkers
from proxy.ledger.row import Row
from proxy.store.rows import RowStore
from tests.admin.collecting import Collector
from tests.admin.conftest import READER
from tests.store.rows import AT_MS, row
from tests.support.gateways import config_for

STEP_MS = 2_000
EARLIER_MS, NOW_MS = AT_MS, AT_MS + 10_000


@contextlib.contextmanager
def machine(url: str, sample: float = 1.0, *, sessions: bool = True) -> Any:
    """Give what one machine sends from a store."""
    admin = Admin(keys=(AdminKey("eye", digest(READER)),), sessions=sessions)
    context = AdminContext(config_for("http://127.0.0.1:9", store=Store(url), admin=admin))
    spans = Spans(sample, {"a": "api.test"}, shows_sessions=sessions)
    traces = Traces(context, SocketWorkers(()), spans, Sender())
    try:
        yield traces, context
    finally:
        traces.close()
        context.close()


def put(context: AdminContext, *rows: Row) -> None:
    assert context.engine is not None
    RowStore(context.engine).put(rows)


def ended(number: int, at_ms: int, **fields: Any) -> Row:
    sent = {"attempts": 1, "status": 200, "model": "m", "upstream_model": "opus"}
    return row(number, at_ms=at_ms - 500, **{"total_ms": 500, **sent, **fields})


def ids(collector: Collector) -> list[int]:
    return [int(span.attributes["anyrouter.id"], 16) for span in collector.of(SpanKind.SERVER)]
