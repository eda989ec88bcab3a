"""Sends spans by OTLP/HTTP, to where the standard variables `OTEL_EXPORTER_OTLP_...` say, and says what went wrong."""

import logging
import threading
from collections.abc import Sequence

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult

_PACKAGE = logging.getLogger(OTLPSpanExporter.__module__)
_MAX_CHARS = 300


class _Said(logging.Filter):
    """Keeps what the package says first of what one thread does: the reason; then come tries, and the end of them."""

    def __init__(self) -> None:
        super().__init__()
        self.thread: int | None = None
        self.text = ""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a line is shown: only one about what others send, such as the application around."""
        if record.thread != self.thread:
            return True
        self.text = self.text or record.getMessage()
        return False


class Sender:
    """Sends from a thread. What the package says of it to its own log is kept here, and not shown."""

    def __init__(self) -> None:
        self._said = _Said()
        _PACKAGE.addFilter(self._said)
        self._exporter = OTLPSpanExporter()

    def send(self, spans: Sequence[ReadableSpan]) -> str | None:
        """Send spans, within OTEL_EXPORTER_OTLP_TIMEOUT; return why they were not taken; None: they were."""
        self._said.thread, self._said.text = threading.get_ident(), ""
        try:
            result = self._exporter.export(spans)
        except Exception as error:  # noqa: BLE001 - of whatever the package uses; the reason is told
            return f"{type(error).__name__}: {error}"[:_MAX_CHARS]
        if result is SpanExportResult.SUCCESS:
            return None
        return " ".join(self._said.text.split())[:_MAX_CHARS] or "no reason is known"

    def close(self) -> None:
        """Give up what is being sent."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]  # the package has no types here
        _PACKAGE.removeFilter(self._said)
