"""The command `anyrouter`, also `python -m proxy`."""

import sys
from collections.abc import Sequence

from proxy.commands import (
    check,
    claude,
    demo,
    doctor,
    init,
    keys,
    limits,
    owners,
    reload,
    sandbox,
    serve,
    sessions,
    standard_files,
    store,
    top,
    upstreams,
    usage,
)
from proxy.commands.failures import described
from proxy.commands.parser import FAILED, WRONG_USE, Parser
from proxy.config_file.faults import ConfigError
from proxy.version import __version__

_COMMANDS = (
    demo,
    init,
    serve,
    check,
    reload,
    keys,
    owners,
    limits,
    top,
    upstreams,
    usage,
    sessions,
    store,
    doctor,
    claude,
    sandbox,
)
_START = """\
anyrouter demo         a gateway with a sandbox behind it, ready to try
anyrouter init         write a configuration with a first key
anyrouter serve        run the gateway
anyrouter claude       start Claude Code against it"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        0 done, 1 failed, 2 wrong use or configuration. What went wrong is one line on stderr.
    """
    parser = Parser(
        prog="anyrouter",
        description="An Anthropic Messages gateway: change the base URL, keep your client.",
        notes={"to begin": _START},
    )
    parser.add_argument("--version", action="version", version=f"anyrouter {__version__}")
    # Named, so that argparse need not format a usage for it at each start.
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", prog="anyrouter")
    for command in _COMMANDS:
        command.add_parser(subparsers)
    sessions.add_session_parser(subparsers)
    standard_files.fill_in()
    try:
        args = parser.parse_args(claude.separate_arguments(sys.argv[1:] if argv is None else argv))
        if not hasattr(args, "run"):
            parser.error(
                "which command? `anyrouter demo` shows the gateway, `anyrouter init` begins"
            )
        status: int = args.run(args)
    except ConfigError as error:
        for fault in error.faults:
            standard_files.say_on_errors(f"anyrouter: {fault}")
        return WRONG_USE
    # UnicodeError: a configured host that cannot be looked up is no OSError.
    except (OSError, RuntimeError, UnicodeError) as error:
        standard_files.say_on_errors(f"anyrouter: {described(error)}")
        return FAILED
    except KeyboardInterrupt:
        return FAILED
    finally:
        standard_files.give_up_unwritten()
    return status


if __name__ == "__main__":
    sys.exit(main())
