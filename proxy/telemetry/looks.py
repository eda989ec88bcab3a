"""How lines look, of both streams: as JSON for programs, as text for people, with colours on a terminal."""

import enum
import os
import time
from typing import Literal

from proxy.telemetry.sink import RawStream


class Look(enum.Enum):
    """How lines look. What is coloured is text."""

    JSON = enum.auto()
    TEXT = enum.auto()
    COLOURED = enum.auto()


def look_for(line_format: Literal["auto", "json", "text"], stream: RawStream) -> Look:
    """Return how lines look on a stream: `auto` is text on a terminal, and JSON elsewhere.

    Colours are left out where `NO_COLOR` is set, or the terminal is a dumb one.
    """
    is_terminal = os.isatty(stream.fileno())
    if line_format == "json" or (line_format == "auto" and not is_terminal):
        return Look.JSON
    can_colour = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return Look.COLOURED if is_terminal and can_colour else Look.TEXT


class Clock:
    """Writes moments in UTC, as every line does: `2026-11-20T20:18:52.071Z`."""

    def __init__(self) -> None:
        self._second = -1
        self._stamp = ""

    def __call__(self, unix_s: float) -> str:
        """Write a moment, given in Unix seconds."""
        second = int(unix_s)
        if second != self._second:
            self._second = second
            self._stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{self._stamp}.{int((unix_s - second) * 1e3):03d}Z"
