"""Standard output and standard error, whatever has become of them: closed, a pipe that nobody reads, a full disk."""

import contextlib
import io
import os
import sys


def fill_in() -> None:
    """Open the null device in place of what is closed.

    Else the first sockets would get these numbers: what is printed would go to a client, and libuv aborts the process
    when it is to close one of them.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    # None when they were closed as the interpreter started.
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - for the life of the process
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - for the life of the process


def output() -> io.FileIO:
    """Open standard output for bytes, unbuffered: what cannot be written must not be tried again at the exit."""
    return open(sys.stdout.fileno(), "wb", buffering=0, closefd=False)


def errors() -> io.FileIO:
    """Open standard error for bytes, unbuffered."""
    return open(sys.stderr.fileno(), "wb", buffering=0, closefd=False)


def printable(text: str) -> str:
    """Return a text without what a terminal obeys: clients and servers choose some of what is shown."""
    return "".join(each if each.isprintable() else "?" for each in text)


def say(text: str) -> None:
    """Print for whoever reads, at once; that nobody can is no failure of the command."""
    with contextlib.suppress(OSError):
        print(text, flush=True)


def hand_out(key: str) -> None:
    """Print a new key, alone on standard output, so that a shell or a program can take it from there.

    Raises:
        RuntimeError: it could not be printed, so that it is known to nobody: that is no success.
    """
    try:
        print(key, flush=True)
    except OSError as error:
        raise RuntimeError(f"the key could not be printed: {error.strerror}") from None


def say_on_errors(text: str) -> None:
    """As `say`, on standard error."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def give_up_unwritten() -> None:
    """Write what was printed, or forget it: the interpreter would try again at the exit, and end with 120."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, stream.fileno())
            os.close(null)
