"""Make Messages streams in every mixture of line ends, comments, fields and cuts."""

import json
from random import Random
from typing import Any

THEIRS = "claude-theirs"

_LINE_ENDS = (("\n",), ("\r\n",), ("\r",), ("\n", "\r\n"), ("\n", "\r"), ("\n", "\r\n", "\r"))
_START: dict[str, Any] = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "model": THEIRS,
        "content": [],
        "usage": {"input_tokens": 11, "cache_read_input_tokens": None, "output_tokens": 1},
    },
}
_OTHER_START: dict[str, Any] = _START | {"message": _START["message"] | {"model": "claude-other"}}
_DELTA: dict[str, Any] = {
    "type": "content_block_delta",
    "index": 0,
    "delta": {
        "type": "text_delta",
        "text": 'say "message_stop" and \u00e9\n\nmessage_delta "error"',
    },
}
_STOP = {"type": "message_stop"}
_ERROR = {"type": "error", "error": {"type": "overloaded_error", "message": "x"}}
_ODD_LINES = (
    *(": a comment", ":", "id: 7", "retry: 10", "event", "data", "data:", "data: ", "unknown: x"),
    *(" data: x", "Data: x", "data : x", "event:message_stop", "event: error", "\u00e9: x"),
    *('data: {"type":"message_stop', 'data: ["message_stop"]', 'data: "error"', ": message_stop"),
)


def stream(random: Random) -> list[bytes]:
    """Make a stream, in chunks."""
    ends = random.choice(_LINE_ENDS)
    lines: list[str] = []
    for event in _events(random):
        lines += _odd(random, 0.1)
        lines += _lines(random, event)
        lines += _odd(random, 0.1)
        lines += [""] * random.choice((1, 1, 1, 1, 2))
    text = "".join(line + random.choice(ends) for line in lines)
    made = text.encode()
    if random.random() < 0.1:
        made = made[: random.randrange(len(made) + 1)]
    if random.random() < 0.02:
        made = b"\xef\xbb\xbf" + made
    return _cut(random, made)


def _events(random: Random) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    if random.random() < 0.9:
        events.append(_START if random.random() < 0.9 else _OTHER_START)
    for _ in range(random.randrange(4)):
        usage = {
            "output_tokens": random.randrange(1000),
            "input_tokens": random.choice((None, 12)),
            "cache_creation": {"ephemeral_5m_input_tokens": 2},
        }
        delta = {"type": "message_delta", "delta": {"stop_reason": None}, "usage": usage}
        events.append(random.choice((_DELTA, {"type": "ping"}, delta)))
    if random.random() < 0.1:
        events.insert(0, {"type": "ping"})
    if random.random() < 0.9:
        events.append(random.choice((_STOP, _STOP, _ERROR)))
    return events


def _lines(random: Random, event: dict[str, Any]) -> list[str]:
    """Write an event, its data on one line or on several, its name before, behind or left out."""
    indent = random.choice((None, None, None, 0, 1))
    separators = random.choice(((",", ":"), (", ", ": "), (" , ", " : ")))
    text = json.dumps(
        event, indent=indent, separators=separators, ensure_ascii=random.random() < 0.5
    )
    opening = random.choice(("data: ", "data: ", "data:", "data:  "))
    lines = [opening + line for line in text.split("\n")]
    match random.randrange(8):
        case 0:
            lines.append(f"event: {event['type']}")
        case 1:
            lines.insert(0, f"event:{event['type']}")
        case 2:
            pass
        case _:
            lines.insert(0, f"event: {event['type']}")
    return lines


def _odd(random: Random, likely: float) -> list[str]:
    return [random.choice(_ODD_LINES)] if random.random() < likely else []


def _cut(random: Random, made: bytes) -> list[bytes]:
    if random.random() < 0.1:
        return [made[i : i + 1] for i in range(len(made))]
    places = sorted(random.randrange(len(made) + 1) for _ in range(random.choice((0, 1, 2, 5, 20))))
    return [made[start:end] for start, end in zip([0, *places], [*places, len(made)], strict=True)]
