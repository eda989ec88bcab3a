"""For scripts that run inside a client's own runtime: checks as functions, one line each on stdout.

The lines are `ok WHAT` and `FAIL WHAT: WHY`; after the last check comes `end`, without which the script has crashed.
"""

import signal
import sys
from collections.abc import Callable
from typing import Any

CHECK_S = 20

Check = Callable[[], None]


class WrongError(Exception):
    """What a check found wrong."""


class Checks:
    """Checks in the order they were written."""

    def __init__(self) -> None:
        self._all: list[tuple[str, Check]] = []

    def __call__(self, what: str) -> Callable[[Check], Check]:
        """Add the decorated function; it raises when something is wrong."""

        def add(check: Check) -> Check:
            self._all.append((what, check))
            return check

        return add

    def run(self) -> None:
        """Run every check, whatever the others found."""
        signal.signal(signal.SIGALRM, _too_late)
        for what, check in self._all:
            try:
                signal.alarm(CHECK_S)
                check()
            except Exception as error:  # noqa: BLE001 - whatever the client raises is the finding
                why = str(error) if isinstance(error, WrongError) else repr(error)
                say(f"FAIL {what}: {' '.join(why.split())[:600]}")
            else:
                say(f"ok {what}")
            finally:
                signal.alarm(0)
        say("end")


def _too_late(*_: object) -> None:
    raise WrongError(f"no end after {CHECK_S} s")


def same(found: object, wanted: object, about: str = "") -> None:
    """Require equality.

    Raises:
        WrongError: they differ.
    """
    if found != wanted:
        raise WrongError(f"{about}: {found!r} instead of {wanted!r}".removeprefix(": "))


def require(condition: object, why_not: str) -> None:
    """Require something that is true.

    Raises:
        WrongError: it is not.
    """
    if not condition:
        raise WrongError(why_not)


def raised(attempt: Callable[..., Any], *arguments: Any, **members: Any) -> Any:
    """Give the error that something fails with.

    Raises:
        WrongError: it does not fail, or does not end.
    """
    try:
        found = attempt(*arguments, **members)
    except WrongError:
        raise
    except Exception as error:  # noqa: BLE001 - which one it is, is the question
        return error
    raise WrongError(f"no error, but {found!r}")


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
