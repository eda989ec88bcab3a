"""What a JSON object comes apart into. Pure."""

from typing import NamedTuple

from proxy.protocol.json_members import Span


class Piece(NamedTuple):
    """Some elements of a member that is an array or object.

    Attributes:
        name: the member's.
        first: the index of the first element.
        text: an array or object of them, long strings cut.
        span: of the same elements in the whole text, without brackets.
    """

    name: str
    first: int
    text: bytes
    span: Span


class Outline(NamedTuple):
    """What pieces leave over.

    Attributes:
        text: the whole; empty what came in pieces, long strings cut.
        members: name and span of each member's value, in their order; a name may come twice.
        lengths: how many elements the members had that came in pieces.
    """

    text: bytes
    members: list[tuple[str, Span]]
    lengths: dict[str, int]
