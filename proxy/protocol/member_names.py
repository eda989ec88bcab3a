"""The names of members that are looked at: bounded, and read by everybody as they are read here. Pure.

Readers differ in which names they take for one: Go's `encoding/json` and .NET's fold case (the Kelvin sign is a K, the
long s an s), some of them let go of dashes and underscores, C reads a name up to its first NUL. A name that any of them
could take for a checked one, and that was not checked, would be a way around the check.
"""

import functools
from collections.abc import Set as AbstractSet
from typing import Annotated, Any

import msgspec

from proxy.errors import InvalidRequest
from proxy.protocol.json_members import MAX_MEMBERS, MAX_NAME_BYTES

_IGNORED = str.maketrans("", "", "-_")
_MAX_KEPT_CHARS = 64
# Not more than an object may have, so that of those kept any may come together.
_MAX_KEPT = MAX_MEMBERS
_MAX_QUOTED_CHARS = 60


def check_names(names: AbstractSet[str], checked: frozenset[str]) -> None:
    """Check the names of a body's members.

    Args:
        names: of the members.
        checked: those of the members that are looked at.

    Raises:
        InvalidRequest: too many, one too long, or one that some reader takes for another.
    """
    _bound_number(names, "body")
    kept = harmless(checked)
    for name in names - kept:
        _bound_length(name, "body")
        meant = _index_by_fold(checked).get(_fold(name))
        if meant is not None:
            refuse_spelling(name, meant)
        if len(name) <= _MAX_KEPT_CHARS and len(kept) < _MAX_KEPT:
            kept.add(name)


def harmless_type(*words: str, but: str = "") -> Any:
    """Return a type of names of which nobody takes any for one of some words. Odd names are not of it.

    Args:
        words: of ASCII letters.
        but: one of them that is of the type in this very spelling.
    """
    taken = "|".join(
        "[-_]*" + "".join(f"[{letter}{letter.upper()}][-_]*" for letter in word) for word in words
    )
    harmless = rf"(?!(?:{taken})$)[A-Za-z0-9_.-]{{1,{_MAX_KEPT_CHARS}}}"
    return Annotated[str, msgspec.Meta(pattern=rf"\A(?:{harmless}|{but})\Z")]


def taken_for(names: AbstractSet[str], meant: str, path: str) -> list[str]:
    """Return those of an object's names that some reader takes for one.

    Raises:
        InvalidRequest: they are too many, or one is too long.
    """
    _bound_number(names, path)
    for name in names:
        _bound_length(name, path)
    return [name for name in names if _fold(name) == _fold(meant)]


def refuse_spelling(name: str, meant: str, path: str = "") -> None:
    """Refuse a name that is taken for another.

    Raises:
        InvalidRequest: it is not the very one that is meant.
    """
    if name != meant:
        raise InvalidRequest(f"{path}{_show(name)}: must be written {meant}")


def _bound_number(names: AbstractSet[str], path: str) -> None:
    if len(names) > MAX_MEMBERS:
        raise InvalidRequest(f"{path}: over {MAX_MEMBERS} members")


def _bound_length(name: str, path: str) -> None:
    if len(name) > _MAX_KEPT_CHARS and len(name.encode()) > MAX_NAME_BYTES:
        raise InvalidRequest(f"{path}: a member's name is over {MAX_NAME_BYTES} bytes")


@functools.cache
def harmless(checked: frozenset[str]) -> set[str]:
    """Return the names that have been looked at: clients choose them, so only some, and short ones, are kept."""
    return set(checked)


@functools.cache
def _index_by_fold(checked: frozenset[str]) -> dict[str, str]:
    return {_fold(each): each for each in checked}


def _fold(name: str) -> str:
    return name.partition("\0")[0].strip().upper().casefold().translate(_IGNORED)


def _show(name: str) -> str:
    return ascii(name[:_MAX_QUOTED_CHARS])[1:-1]
