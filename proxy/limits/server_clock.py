"""The time of the server that counts, as far as its replies tell it. Pure.

A reply names a moment of the server's between the call and its return. So a moment of this process is known there to
within what a call takes: to a moment it cannot be later than, and to one it cannot be earlier than.
"""


class ServerClock:
    """What the last reply told; of no reply yet, the server's time is not known."""

    def __init__(self) -> None:
        self._ahead_us: tuple[int, int] | None = None

    def told(self, called_us: int, server_us: int, returned_us: int) -> None:
        """Take over what a reply told: when the call began, by this process, when it ran, and when it came back."""
        self._ahead_us = server_us - returned_us, server_us - called_us

    def earliest_us(self, at_us: int) -> int:
        """Return what the server's time was at a moment at the earliest; 0: it is not known."""
        return 0 if self._ahead_us is None else at_us + self._ahead_us[0]

    def latest_us(self, at_us: int) -> int:
        """Return what the server's time was at a moment at the latest; 0: it is not known."""
        return 0 if self._ahead_us is None else at_us + self._ahead_us[1]


# Of a server whose time is ours.
SAME = ServerClock()
SAME.told(0, 0, 0)
