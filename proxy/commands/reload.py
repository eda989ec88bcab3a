"""`anyrouter reload`: have a running gateway read its configuration again, when that is good."""

import argparse
import os
import signal
from pathlib import Path

from proxy.commands import options
from proxy.commands.parser import add_command
from proxy.commands.processes import Gateway, gateway_of
from proxy.commands.standard_files import say
from proxy.config_file.faults import OWN_ENVIRONMENT, ConfigError
from proxy.config_file.load import load

_MAIN_PID = "MAINPID"


def add_parser(subparsers: "options.Subparsers[argparse.ArgumentParser]") -> None:
    """Describe the command."""
    parser = add_command(
        subparsers,
        "reload",
        "have a running gateway read its configuration again",
        "Checks the configuration that the gateway reads, and sends it SIGHUP when that is good; what is wrong is told "
        "as by `check`, and nothing is sent. The gateway says in its log what has changed, and what waits for a "
        "restart. It also sees by itself when its files change.",
        examples=(
            "anyrouter reload --config team.yaml --pid 4711",
            "anyrouter reload --pid 1",
        ),
        environment={
            options.ANY_VARIABLE: "the ${...} that the configuration names, where those of the process cannot be read",
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
        RuntimeError: there is no such process, or it is no gateway's first, or it is somebody else's, or none is named.
    """
    if args.pid is None:
        raise RuntimeError(
            "which process? give --pid; `pgrep -o -f 'anyrouter serve'` finds the first process of a gateway"
        )
    try:
        gateway = gateway_of(args.pid)
        file = _file(args, gateway)
        _check(file, gateway)
        os.kill(gateway.pid, signal.SIGHUP)
    except OSError as error:
        raise RuntimeError(f"process {args.pid}: {error.strerror}") from None
    reads = (
        f"process {gateway.pid} reads it"
        if gateway.config is not None
        else f"process {gateway.pid} reads its own configuration, and cannot be asked whether it is this file"
    )
    say(
        f"{file}: good; {reads}, and says in its log what has changed, and what waits for a restart"
    )
    return 0


def _check(file: str, gateway: Gateway) -> None:
    """Raise a `ConfigError` that says what is wrong with a file, by the gateway's environment where that is known."""
    try:
        load(file, os.environ if gateway.environ is None else gateway.environ)
    except ConfigError as error:
        if not error.is_of_environment:
            raise
        whose = (
            f"these are variables of process {gateway.pid}; {OWN_ENVIRONMENT}"
            if gateway.environ is not None
            else f"these are variables of this shell, and process {gateway.pid} has its own: `kill -HUP {gateway.pid}` "
            "has it read the file by those, and say in its log what is wrong"
        )
        raise ConfigError(*error.faults, whose) from None


def _file(args: argparse.Namespace, gateway: Gateway) -> str:
    """Return the file to check: the one that the process reads, where that is known.

    Raises:
        ConfigError: there is none, or another one is named.
    """
    if gateway.config is None:
        return options.config_file(args)
    if args.config and not Path(options.config_file(args)).samefile(gateway.config):
        raise ConfigError(
            f"--config: process {gateway.pid} reads {gateway.config}, and nothing is sent: leave --config out"
        )
    return args.config or gateway.config


def _pid(text: str) -> int:
    """Return a number of one process: 0 and less would mean groups of them."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be the number of a process")
    return number
