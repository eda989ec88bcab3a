"""How far a request has come with its upstream, which decides what it cost. Pure."""

import enum


class Progress(enum.Enum):
    """What the upstream has got of a request, and given for it."""

    UNSENT = enum.auto()
    """Nothing, as far as is known: no attempt, or none that reached it."""
    SENT = enum.auto()
    """The request is on its way, and no response has begun."""
    REFUSED = enum.auto()
    """It has answered with what is no success: an error, a redirect, an error event before the message."""
    BEGUN = enum.auto()
    """Its response, a success, has begun."""
    COMPLETE = enum.auto()
    """Its response, a success, has come to its end."""
