"""`anyrouter reload`: have a running gateway read its configuration again, when that is good."""

import argparse
import os
import signal

from proxy.commands import options
from proxy.commands.parser import add_command
from proxy.commands.standard_files import say
from proxy.config_file.load import load

_MAIN_PID = "MAINPID"


def add_parser(subparsers: "options.Subparsers[argparse.ArgumentParser]") -> None:
    """Describe the command."""
    parser = add_command(
        subparsers,
        "reload",
        "have a running gateway read its configuration again",
        "Checks the configuration, and sends SIGHUP to the gateway when it is good; what is wrong is told as by "
        "`check`, and nothing is sent. The gateway says in its log what has changed. It also sees by itself when its "
        "files change.",
        examples=(
            "anyrouter reload --config team.yaml --pid 4711",
            "anyrouter reload --pid 1",
        ),
        environment={
            options.ANY_VARIABLE: "the ${...} that the configuration names",
            _MAIN_PID: "the gateway's process, when --pid is left out; systemd sets it for ExecReload=",
        },
    )
    options.add_config(parser)
    parser.add_argument(
        "--pid",
        type=_pid,
        default=os.environ.get(_MAIN_PID),
        help="the gateway's first process; default: $MAINPID",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Check, and send; a `ConfigError` says what is wrong.

    Raises:
        RuntimeError: there is no such process, or it is somebody else's, or none is named.
    """
    file = options.config_file(args)
    load(file)
    if args.pid is None:
        raise RuntimeError("which process? give --pid; `pgrep -f 'anyrouter serve'` lists them")
    try:
        os.kill(args.pid, signal.SIGHUP)
    except OSError as error:
        raise RuntimeError(f"process {args.pid}: {error.strerror}") from None
    say(f"{file}: good; process {args.pid} reads it, and says in its log what has changed")
    return 0


def _pid(text: str) -> int:
    """Return a number of one process: 0 and less would mean groups of them."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be the number of a process")
    return number
