"""Why a pipe hands over to its task."""

import enum


class Wake(enum.Enum):
    """What a pipe's task has to see to."""

    END = enum.auto()
    CLIENT_SLOW = enum.auto()
    CLIENT_GONE = enum.auto()
