"""What Linux tells of a gateway's process: whether it is one, whose worker, and which configuration it reads."""

import itertools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from proxy.commands.options import CONFIG_FILES

_PROC = Path("/proc")
_FLAG = "--config"


class Gateway(NamedTuple):
    """A running `anyrouter serve`.

    Attributes:
        config: the file that it reads; None: that cannot be told from here.
        environ: the environment that it was started with; None: as well.
    """

    pid: int
    config: str | None
    environ: Mapping[str, str] | None


def gateway_of(pid: int) -> Gateway:
    """Return the gateway whose first process this is.

    Raises:
        RuntimeError: it is another program's process, which a signal could end, or a worker.
        OSError: there is no such process, or it is somebody else's.
    """
    os.kill(pid, 0)
    if not (_PROC / "self" / "cmdline").exists():
        return Gateway(pid, None, None)
    arguments = _serve_arguments(pid)
    if arguments is None:
        raise RuntimeError(
            f"process {pid} is no `anyrouter serve`, and nothing is sent: "
            "`pgrep -o -f 'anyrouter serve'` finds the oldest"
        )
    parent = _parent_of(pid)
    if parent and _serve_arguments(parent) is not None:
        raise RuntimeError(
            f"process {pid} is a worker of {parent}, and nothing is sent: use --pid {parent}"
        )
    return Gateway(pid, _config_of(pid, arguments), _environ_of(pid))


def _serve_arguments(pid: int) -> list[str] | None:
    """Return what follows `serve` in a command line; None: it is another program's, or cannot be read."""
    try:
        line = os.fsdecode((_PROC / str(pid) / "cmdline").read_bytes()).split("\0")[:-1]
    except OSError:
        return None
    return after_serve(line)


def after_serve(line: list[str]) -> list[str] | None:
    """Return what follows `serve` in the command line of a gateway; None: it is another program's."""
    program = Path(line[0]).name if line else ""
    for at in range(len(line) - 1):
        is_script = Path(line[at]).name == "anyrouter"
        is_module = line[at] == "proxy" and line[at - 1] == "-m"
        if (at == 0 or program.startswith("python")) and (is_script or is_module):
            return line[at + 2 :] if line[at + 1] == "serve" else None
    return None


def _parent_of(pid: int) -> int:
    # The name, in parentheses, may have spaces and parentheses of its own.
    stat = (_PROC / str(pid) / "stat").read_text("utf-8", "replace")
    return int(stat.rpartition(")")[2].split()[1])


def _config_of(pid: int, arguments: list[str]) -> str | None:
    try:
        folder = (_PROC / str(pid) / "cwd").readlink()
        # Else its paths lead elsewhere than ours, as a container's do.
        if not (_PROC / str(pid) / "root").samefile("/"):
            return None
    except OSError:
        return None
    names = named_config(arguments)
    return next((str(folder / name) for name in names if (folder / name).exists()), None)


def _environ_of(pid: int) -> dict[str, str] | None:
    try:
        given = os.fsdecode((_PROC / str(pid) / "environ").read_bytes())
    except OSError:
        return None
    pairs = (each.partition("=") for each in given.split("\0") if "=" in each)
    return {name: value for name, _, value in pairs}


def named_config(arguments: list[str]) -> tuple[str, ...]:
    """Return the names of the configuration that a command line asks for, of which the first that is there is read."""
    named = [after for flag, after in itertools.pairwise(arguments) if flag == _FLAG]
    named += [each.partition("=")[2] for each in arguments if each.startswith(f"{_FLAG}=")]
    return tuple(named[-1:]) or CONFIG_FILES
