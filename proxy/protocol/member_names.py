"""The names of a request's top-level members: bounded, and read by everybody as they are read here. Pure.

Readers differ in which names they take for one: Go's `encoding/json` and .NET's fold case (the Kelvin sign is a K, the
long s an s), some of them let go of dashes and underscores, C reads a name up to its first NUL. A name that any of them
could take for a checked one, and that was not checked, would be a way around the check.
"""

import functools
from collections.abc import Set as AbstractSet

from proxy.errors import InvalidRequest
from proxy.protocol.json_members import MAX_MEMBERS, MAX_NAME_BYTES

_IGNORED = str.maketrans("", "", "-_")
_MAX_KEPT_CHARS = 64
# Not more than an object may have, so that of those kept any may come together.
_MAX_KEPT = MAX_MEMBERS
_SHOWN_CHARS = 60


def check_names(names: AbstractSet[str], checked: frozenset[str], path: str = "") -> None:
    """Check the names of an object's members.

    Args:
        names: of the members.
        checked: those of the members that are looked at.
        path: of the object, with a dot behind it; the body's own is empty.

    Raises:
        InvalidRequest: too many, one too long, or one that some reader takes for another.
    """
    if len(names) > MAX_MEMBERS:
        raise InvalidRequest(f"{path or 'body'}: over {MAX_MEMBERS} members")
    kept = harmless(checked)
    for name in names - kept:
        if len(name) > _MAX_KEPT_CHARS and len(name.encode()) > MAX_NAME_BYTES:
            raise InvalidRequest(
                f"{path or 'body'}: a member's name is over {MAX_NAME_BYTES} bytes"
            )
        meant = _by_folded(checked).get(_folded(name))
        if meant is not None:
            raise InvalidRequest(f"{path}{_shown(name)}: must be written {meant}")
        if len(name) <= _MAX_KEPT_CHARS and len(kept) < _MAX_KEPT:
            kept.add(name)


@functools.cache
def harmless(checked: frozenset[str]) -> set[str]:
    """Return the names that have been looked at: clients choose them, so only some, and short ones, are kept."""
    return set(checked)


@functools.cache
def _by_folded(checked: frozenset[str]) -> dict[str, str]:
    return {_folded(each): each for each in checked}


def _folded(name: str) -> str:
    return name.partition("\0")[0].strip().upper().casefold().translate(_IGNORED)


def _shown(name: str) -> str:
    return ascii(name[:_SHOWN_CHARS])[1:-1]
