"""What answers told and delivered, for tests that compare it with what a gateway says of them."""

import json
from collections import OrderedDict
from dataclasses import asdict, dataclass, field
from typing import Any

from aiohttp import web

from proxy.sandbox.wire import Event

_KEPT = 100_000
_CHARACTERS_PER_TOKEN = 4


@dataclass
class Served:
    """One answer of `/v1/messages`.

    Attributes:
        model: that it names. `stream`: whether it was a stream.
        usage: that it tells, at its end when all of it is read. `stop_reason`: likewise.
        size: of the whole body, in bytes, before any Content-Encoding.
        delivered: bytes of the body that were given to the connection.
        ends: where each event ends, with the characters of its delta, if it is one.
    """

    model: str
    stream: bool
    usage: dict[str, Any]
    stop_reason: str | None
    size: int
    delivered: int = 0
    ends: list[tuple[int, int]] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        """Whether all of it was given to the connection."""
        return self.delivered >= self.size

    @property
    def output_tokens(self) -> int:
        """Return the output of those deltas that were delivered whole; of an answer that is no stream, all."""
        if not self.stream:
            return int(self.usage["output_tokens"])
        characters = sum(length for end, length in self.ends if end <= self.delivered)
        return -(-characters // _CHARACTERS_PER_TOKEN)


class Record(OrderedDict[str, Served]):
    """The last answers by their `request-id`, oldest first."""

    def keep(self, request_id: str, served: Served) -> Served:
        """Keep one more."""
        self[request_id] = served
        if len(self) > _KEPT:
            self.popitem(last=False)
        return served

    def shown(self) -> bytes:
        """Return all as a JSON object."""
        found = {}
        for request_id, served in self.items():
            shown = asdict(served)
            del shown["ends"]
            shown |= {"complete": served.is_complete, "delivered_tokens": served.output_tokens}
            found[request_id] = shown
        return json.dumps(found).encode()


SERVED = web.AppKey("SERVED", Record)


def of_message(body: bytes) -> Served:
    """Return the record of a message object, nothing delivered yet."""
    message = json.loads(body)
    usage, reason = message["usage"], message["stop_reason"]
    return Served(message["model"], False, usage, reason, len(body))


def of_events(events: tuple[Event, ...]) -> Served:
    """Return the record of a stream, nothing delivered yet."""
    found = Served("", stream=True, usage={}, stop_reason=None, size=0)
    for event in events:
        found.size += len(event.frame)
        payload = json.loads(event.frame.partition(b"data: ")[2])
        characters = 0
        match payload:
            case {"type": "message_start", "message": message}:
                found.model = message["model"]
                found.usage |= message["usage"]
            case {"type": "content_block_delta", "delta": delta}:
                texts = (delta.get(name, "") for name in ("text", "thinking", "partial_json"))
                characters = sum(map(len, texts))
            case {"type": "message_delta", "delta": delta, "usage": usage}:
                found.usage |= {name: told for name, told in usage.items() if told is not None}
                found.stop_reason = delta["stop_reason"]
        found.ends.append((found.size, characters))
    return found
