"""What a document says of what the gateway tells by itself: what a schema cannot check, and its configuration. Pure."""

import importlib.metadata
from collections.abc import Iterator, Mapping
from typing import Any

from proxy.config import Alerts, Otel, Receiver
from proxy.config_file.faults import Fault, Path, join_names, suggest
from proxy.config_file.tenancy import to_micros

_USD = "session_usd_in_10_min"
_EXPORTER = "opentelemetry-exporter-otlp-proto-http"
_MISSING = (
    "needs the extra otel: `make install` brings it, or `pip install '.[otel]'` in a checkout"
)


def build_alerts(entry: Mapping[str, Any]) -> Alerts:
    """Return the alerts."""
    to = tuple(Receiver(**each) for each in entry.get("to", ()))
    micros = to_micros(entry[_USD]) if _USD in entry else None
    return Alerts(to) if micros is None else Alerts(to, micros)


def build_otel(entry: Mapping[str, Any] | None) -> Otel | None:
    """Return how traces are made; None: not at all."""
    if entry is None:
        return None
    return Otel(**{**entry, "propagate": tuple(entry.get("propagate", ()))})


def faults(document: Any) -> Iterator[Fault]:
    """Find what is wrong, in a document without what is broken otherwise."""
    alerts = document.get("alerts") or {}
    if alerts.get("to") and not document.get("admin"):
        yield Fault(("alerts",), "needs `admin`, whose process sends them")
    if _USD in alerts and alerts[_USD] is not None and to_micros(alerts[_USD]) is None:
        yield Fault(("alerts", _USD), "must have six decimals at the most")
    for i, receiver in enumerate(alerts.get("to") or ()):
        path: Path = ("alerts", "to", i, "secret")
        if (
            isinstance(receiver, dict)
            and receiver.get("secret")
            and (receiver.get("format", "slack") != "json")
        ):
            yield Fault(path, "only `format: json` is signed")
    if document.get("otel") is not None:
        yield from _of_traces(document)


def _of_traces(document: Any) -> Iterator[Fault]:
    if not document.get("admin"):
        yield Fault(("otel",), "needs `admin`, whose process makes the spans")
    if not document.get("store"):
        yield Fault(("otel",), "needs `store`: spans are made of the ledger's rows")
    if not _has_exporter():
        yield Fault(("otel",), _MISSING)
    upstreams = document.get("upstreams") or {}
    for i, name in enumerate(document["otel"].get("propagate") or ()):
        if upstreams and name is not None and name not in upstreams:
            known = suggest(name, upstreams) or f"; known: {join_names(upstreams)}"
            yield Fault(("otel", "propagate", i), f"no upstream has this name{known}")


def _has_exporter() -> bool:
    """Return whether it is installed, without loading any of it: this runs in workers, too."""
    try:
        importlib.metadata.version(_EXPORTER)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
