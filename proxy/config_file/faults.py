"""What is wrong with a configuration: where, and in words that show no value. Pure.

A value may be a secret, or stand where one was meant to; so none is ever shown, and a name only when it looks like one.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

Path = tuple[str | int, ...]

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
_LIKE_A_SECRET = re.compile(r"(?i)^(sk|ar)-|[a-z0-9]{20}")
# Of a process that runs, in a message about variables that are not set.
OWN_ENVIRONMENT = "a running process keeps the environment that it was started with: start it again, or use ${file:...}"
_UNSET = re.compile(r": environment variable \S+ is not set")
_MAX_LISTED = 12
# What a page writes for the rest of a key: three dots, or one character.
ELLIPSES = ("...", chr(0x2026))


class Fault(NamedTuple):
    """Something wrong at a path; `line`, from 1, where it is known from the start."""

    path: Path
    text: str
    line: int | None = None

    def __str__(self) -> str:
        if not self.path and self.line is not None:
            return f"line {self.line}: {self.text}"
        return f"{dotted_path(self.path)}: {self.text}"

    def at(self, file: str, line: int | None) -> str:
        """Return it with the file and the line, as compilers do."""
        place = file if line is None else f"{file}:{line}"
        return (
            f"{place}: {dotted_path(self.path)}: {self.text}"
            if self.path
            else f"{place}: {self.text}"
        )


class ConfigError(Exception):
    """The configuration cannot be used.

    Attributes:
        faults: everything wrong with it, each `path.of.the.field: what is wrong`, on one line.
        found: those of them whose place in the document is known.
    """

    def __init__(self, *faults: str | Fault) -> None:
        self.found = tuple(each for each in faults if isinstance(each, Fault))
        self.faults = tuple(_one_line(str(each)) for each in faults)
        super().__init__("\n".join(self.faults))

    @property
    def is_of_environment(self) -> bool:
        """Whether a variable is not set, which only says something of the environment that it was looked up in."""
        return any(_UNSET.search(each) for each in self.faults)


class NoCredentialError(ConfigError):
    """A command has printed no credential: the configuration may be good all the same, at another time."""


def _one_line(text: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in " ".join(text.split()))


def dotted_path(path: Sequence[str | int]) -> str:
    """Write the path of a field."""
    return ".".join(map(safe_name, path)) or "file"


def safe_name(name: object) -> str:
    """Return a name as it may be shown: a slip of the indentation makes a name of a secret."""
    text = str(name)
    if _NAME.fullmatch(text) is None or looks_secret(text):
        return "(a name not shown here)"
    return text


def looks_secret(text: str) -> bool:
    """Return whether a text looks like a key or a password that a machine has made."""
    return _LIKE_A_SECRET.search(text) is not None


def placeholder_fault(path: Path, value: object) -> str | None:
    """Describe a key that was copied from a page as it stands there, such as `sk-ant-...`; None: it was not."""
    if path[-1:] == ("key",) and isinstance(value, str) and value.endswith(ELLIPSES):
        return "is a placeholder, and not a key: put the key itself there, or into the variable that stands there"
    return None


def suggest(given: object, known: Iterable[str], likeness: float = 0.6) -> str:
    """Return what was probably meant, as an end of a sentence; nothing when no name is near.

    Args:
        given: what was written.
        known: what there is.
        likeness: from 0 to 1, of what is near; where names are anybody's, a slip of the finger at the most.
    """
    near = difflib.get_close_matches(str(given)[:64], list(known), n=1, cutoff=likeness)
    return f"; did you mean {safe_name(near[0])}?" if near else ""


def doubles(
    named: list[tuple[Path, str]], same: Callable[[str], str], what: str
) -> Iterator[Fault]:
    """Find names that come twice: each with its path, `same` what they have in common, `what` they are."""
    first: dict[str, Path] = {}
    for path, name in named:
        earlier = first.setdefault(same(name), path)
        if earlier != path:
            yield Fault(path, f"{what} is already at {dotted_path(earlier)}")


def join_names(names: Iterable[str]) -> str:
    """Write names one after the other, not too many."""
    every = list(map(safe_name, names))
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
