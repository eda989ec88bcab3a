"""What a document says of what the gateway tells by itself: what a schema cannot check, and its configuration. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from proxy.config import Alerts, Receiver
from proxy.config_file.faults import Fault, Path
from proxy.config_file.tenancy import to_micros

_USD = "session_usd_in_10_min"


def build_alerts(entry: Mapping[str, Any]) -> Alerts:
    """Return the alerts."""
    to = tuple(Receiver(**each) for each in entry.get("to", ()))
    micros = to_micros(entry[_USD]) if _USD in entry else None
    return Alerts(to) if micros is None else Alerts(to, micros)


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
