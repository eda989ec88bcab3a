"""Read an event stream as the HTML standard says ("Server-sent events", 9.2.6), whole, and with no thought of speed.

Bytes that are not UTF-8 are kept apart instead of replaced: SDKs refuse them, so an event that has some tells nothing.
"""

import dataclasses
import json
from typing import Any

Event = tuple[str, str]


def events(stream: bytes) -> list[Event]:
    """Give (type, data) of each event that a client is given."""
    found: list[Event] = []
    event_type, data = "", ""
    for line in _lines(stream.decode("utf-8", "surrogateescape").removeprefix("\ufeff")):
        if line == "":
            if data != "":
                found.append((event_type or "message", data.removesuffix("\n")))
            event_type, data = "", ""
        elif line.startswith(":"):
            pass
        else:
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if field == "event":
                event_type = value
            elif field == "data":
                data += value + "\n"
    return found


def _lines(text: str) -> list[str]:
    """Give the lines that have ended, by LF, CR, or CR and LF."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return lines[:-1]


@dataclasses.dataclass
class Told:
    """What a Messages stream tells about itself."""

    usage: dict[str, Any] = dataclasses.field(default_factory=dict)
    finished: bool = False
    failed: bool = False

    def overlay(self, usage: Any) -> None:
        """Take the fields that say something."""
        if isinstance(usage, dict):
            self.usage |= {name: value for name, value in usage.items() if value is not None}


def told(stream: bytes) -> Told:
    """Read what a stream tells, from its events."""
    found = Told()
    for _, data in events(stream):
        event = decoded(data)
        match event:
            case {"type": "message_start", "message": {"usage": usage}}:
                found.overlay(usage)
            case {"type": "message_delta", "usage": usage}:
                found.overlay(usage)
            case {"type": "message_stop" | "error" as kind}:
                found.finished = True
                found.failed = kind == "error"
    return found


def model_of(data: str) -> str | None:
    """Give the model that `message_start` names; None when it names none, or it is another event."""
    match decoded(data):
        case {"type": "message_start", "message": {"model": str(model)}}:
            return model
    return None


def is_start(data: str) -> bool:
    """Tell whether an event's data is a `message_start`."""
    event = decoded(data)
    return isinstance(event, dict) and event.get("type") == "message_start"


def decoded(data: str) -> Any:
    """Decode an event's data; None when it is no JSON, or was not UTF-8."""
    try:
        data.encode()
        return json.loads(data)
    except (ValueError, RecursionError):
        return None
