"""What `admin.sessions: false` leaves out: what tells sessions and agents apart. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from proxy.errors import InvalidRequest

WHY = "sessions are not shown here: admin.sessions is false"
# What usage is not grouped by then, nor filtered by.
DIMENSIONS = ("session", "agent", "agent_type")
_FIELDS = frozenset({"session_id", "agent_id", "parent_agent_id", "agent_type", "prompt_id"})


def refuse(names: Iterable[str]) -> None:
    """Refuse to group or to filter by what is hidden.

    Raises:
        InvalidRequest: one of the names is.
    """
    for name in names:
        if name in DIMENSIONS:
            raise InvalidRequest(f"{name}: {WHY}")


def without(shown: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request as it is shown, with null in place of its session and agent."""
    return {name: None if name in _FIELDS else value for name, value in shown.items()}
