"""The command `anyrouter`, also `python -m proxy`."""

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from proxy import __version__
from proxy.commands import check, claude, demo, doctor, init, keys, sandbox, serve, standard_files
from proxy.config_file.faults import ConfigError

DONE, FAILED, WRONG_USE = 0, 1, 2

_COMMANDS = (demo, init, serve, sandbox, check, keys, claude, doctor)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as everything else here does; argparse would print the usage before it."""

    def error(self, message: str) -> NoReturn:
        self.exit(WRONG_USE, f"{self.prog}: {' '.join(message.split())}\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        0 done, 1 failed, 2 wrong use or configuration. What went wrong is one line on stderr.
    """
    parser = _Parser(
        prog="anyrouter",
        description="An Anthropic Messages gateway: change the base URL, keep your client.",
    )
    parser.add_argument("--version", action="version", version=f"anyrouter {__version__}")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in _COMMANDS:
        command.add_parser(subparsers)
    standard_files.fill_in()
    try:
        args = parser.parse_args(claude.separated(sys.argv[1:] if argv is None else argv))
        status: int = args.run(args)
    except ConfigError as error:
        for fault in error.faults:
            standard_files.say_on_errors(f"anyrouter: {fault}")
        return WRONG_USE
    # UnicodeError: a configured host that cannot be looked up is no OSError.
    except (OSError, RuntimeError, UnicodeError) as error:
        standard_files.say_on_errors(f"anyrouter: {error}")
        return FAILED
    except KeyboardInterrupt:
        return FAILED
    finally:
        standard_files.give_up_unwritten()
    return status


if __name__ == "__main__":
    sys.exit(main())
