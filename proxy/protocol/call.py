"""A request, checked: its body, and what is known of it. Pure."""

from collections.abc import Sequence

import msgspec

from proxy.protocol import json_members
from proxy.protocol.checks import COUNT_TOKENS, MESSAGES
from proxy.protocol.model_places import NamedModel

__all__ = ["COUNT_TOKENS", "MESSAGES", "Call"]


class Call(msgspec.Struct, frozen=True):
    """A checked request.

    Attributes:
        body: the JSON text as the client sent it, decoded from any Content-Encoding; a large one with doubled names
            written anew.
        model: the id the client asked for. `named`: the models it names beside it.
        stream: whether it asked for server-sent events; False for count_tokens, whose answers are whole.
        max_tokens: None for count_tokens, which has none.
        members: its top-level members, each with its own bytes; empty when it is known where they stand.
        spans: where the value of each top-level member stands; empty: not looked for yet.
    """

    body: bytes
    model: str
    stream: bool
    max_tokens: int | None
    named: tuple[NamedModel, ...] = ()
    members: json_members.Members = {}
    spans: dict[str, json_members.Span] = {}

    def beginning(self, name: str, most: int) -> bytes:
        """Return the JSON text of a top-level member, its first bytes at the most; nothing when there is none."""
        if name in self.spans:
            start, end = self.spans[name]
            return self.body[start : min(end, start + most)]
        return bytes(memoryview(self.members[name])[:most]) if name in self.members else b""

    def body_for(
        self, upstream_model: str, named: Sequence[str | None] = ()
    ) -> tuple[bytes | memoryview, ...]:
        """Return the outbound body, in pieces: this one, with the upstream's ids of its model and of those `named`."""
        if not self.spans:
            model = msgspec.json.encode(upstream_model)
            return json_members.splice(self.body, self.members, "model", model)
        return json_members.edit(self.body, self.edits(upstream_model, named))

    def edits(
        self, upstream_model: str, named: Sequence[str | None]
    ) -> list[tuple[json_members.Span, bytes]]:
        """Return what `body_for` replaces, when it is known where."""
        edits = [(self.spans["model"], msgspec.json.encode(upstream_model))]
        for place, other in zip(self.named, named, strict=True):
            if other is not None:
                edits.append((place.span, msgspec.json.encode(other)))
        return edits
