"""Sends spans by OTLP/HTTP, to where the standard variables `OTEL_EXPORTER_OTLP_...` say, and says what went wrong."""

import io
import logging
import os
import socket
import ssl
import threading
from collections.abc import Generator, Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import requests
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult

_PACKAGE = logging.getLogger(OTLPSpanExporter.__module__)
_MAX_CHARS = 300
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_DEFAULT_ENDPOINT = "http://localhost:4318"
_REDIRECTS = range(300, 400)


class _RedirectError(Exception):
    """Spans were answered with a redirect; the message says so."""


class _Session(requests.Session):
    """Follows no redirect: where it leads to, nobody has configured, and headers of ours may be secrets.

    The package itself would take one for a success, and the spans would be lost without a word.
    And it would read a body that has no end.
    """

    def send(self, request: requests.PreparedRequest, **given: Any) -> requests.Response:
        """Send a request.

        Raises:
            _RedirectError: the answer is a redirect.
        """
        # Nothing but the head is read: a body may have no end, and tells nothing that counts.
        unread = {"allow_redirects": False, "stream": True}
        response = super().send(request, **(given | unread))
        response.close()
        response.raw = io.BytesIO()
        if response.status_code in _REDIRECTS:
            raise _RedirectError(f"answered with a redirect (status {response.status_code})")
        return response

    def resolve_redirects(self, *_: Any, **__: Any) -> Generator[requests.Response, None, None]:
        """Yield nothing: the package looks for the next one also where none is followed, and reads the body for it."""
        yield from ()


def describe(error: BaseException) -> str:
    """Return why nobody took spans; the package's own words quote objects of Python."""
    url = next(filter(None, map(os.environ.get, _ENDPOINTS)), _DEFAULT_ENDPOINT)
    place = urlsplit(url).netloc.rpartition("@")[2]  # without a password
    for each in _causes(error):
        match each:
            case ConnectionRefusedError():
                return f"nothing listens on {place}"
            case TimeoutError():
                return f"{place} timed out"
            case socket.gaierror():
                return f"the name of {place} was not found"
            case ssl.SSLError():
                return f"TLS with {place} failed ({each.reason})"
            case OSError(errno=int() as number):
                return f"{place}: {os.strerror(number)}"
    return f"{place}: {type(error).__name__}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    at: BaseException | None = error
    while at is not None:
        yield at
        at = at.__cause__ or at.__context__


def _reason(record: logging.LogRecord) -> str:
    for each in record.args if isinstance(record.args, tuple) else ():
        if isinstance(each, _RedirectError):
            return str(each)
        if isinstance(each, BaseException):
            return describe(each)
        if isinstance(each, int):
            return f"answered with status {each}"
    return record.getMessage()


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
        self.text = self.text or _reason(record)
        return False


class Sender:
    """Sends from a thread. What the package says of it to its own log is kept here, and not shown."""

    def __init__(self) -> None:
        self._said = _Said()
        _PACKAGE.addFilter(self._said)
        self._exporter = OTLPSpanExporter(session=_Session())

    def send(self, spans: Sequence[ReadableSpan]) -> str | None:
        """Send spans, within OTEL_EXPORTER_OTLP_TIMEOUT; return why they were not taken; None: they were."""
        self._said.thread, self._said.text = threading.get_ident(), ""
        try:
            result = self._exporter.export(spans)
        except Exception as error:  # noqa: BLE001 - of whatever the package uses; the reason is told
            return describe(error)
        if result is SpanExportResult.SUCCESS:
            return None
        return " ".join(self._said.text.split())[:_MAX_CHARS] or "no reason is known"

    def close(self) -> None:
        """Give up what is being sent."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]  # the package has no types here
        _PACKAGE.removeFilter(self._said)
