"""What is wrong with a configuration: where, and in words that show no value. Pure.

A value may be a secret, or stand where one was meant to; so none is ever shown, and a name only when it looks like one.
"""

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

Path = tuple[str | int, ...]

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
_LIKE_A_SECRET = re.compile(r"(?i)^(sk|ar)-|[a-z0-9]{20}")
_MAX_LISTED = 12


class ConfigError(Exception):
    """The configuration cannot be used.

    Attributes:
        faults: everything wrong with it, each `path.of.the.field: what is wrong`, on one line.
    """

    def __init__(self, *faults: str) -> None:
        self.faults = tuple(map(_one_line, faults))
        super().__init__("\n".join(self.faults))


def _one_line(text: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in " ".join(text.split()))


class Fault(NamedTuple):
    """Something wrong at a path."""

    path: Path
    text: str

    def __str__(self) -> str:
        return f"{dotted(self.path)}: {self.text}"


def dotted(path: Sequence[str | int]) -> str:
    """Write the path of a field."""
    return ".".join(map(shown, path)) or "file"


def shown(name: object) -> str:
    """Return a name as it may be shown: a slip of the indentation makes a name of a secret."""
    text = str(name)
    if _NAME.fullmatch(text) is None or _LIKE_A_SECRET.search(text):
        return "(a name not shown here)"
    return text


def suggest(given: object, known: Iterable[str]) -> str:
    """Return what was probably meant, as an end of a sentence; nothing when no name is near."""
    near = difflib.get_close_matches(str(given)[:64], list(known), n=1)
    return f"; did you mean {shown(near[0])}?" if near else ""


def listed(names: Iterable[str]) -> str:
    """Write names one after the other, not too many."""
    every = list(map(shown, names))
    more = f" and {len(every) - _MAX_LISTED} more" if len(every) > _MAX_LISTED else ""
    return ", ".join(every[:_MAX_LISTED]) + more


def kind_of(value: Any) -> str:
    """Name the kind of a value."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
    return "a mapping"
