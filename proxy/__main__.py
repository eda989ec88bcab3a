"""The command `anyrouter`, also `python -m proxy`."""

import argparse
import importlib
import sys
from collections.abc import Sequence

from proxy.commands import standard_files
from proxy.commands.failures import describe
from proxy.commands.parser import FAILED, WRONG_USE, Parser
from proxy.config_file.faults import ConfigError
from proxy.version import __version__

# Below `proxy.commands`, in the order of the help; each adds the command of its name.
_MODULES = (
    "demo",
    "init",
    "serve",
    "check",
    "reload",
    "keys",
    "owners",
    "limits",
    "top",
    "upstreams",
    "usage",
    "sessions",
    "statusline",
    "store",
    "doctor",
    "claude",
    "sandbox",
)
_MODULE_OF = {module: module for module in _MODULES} | {"session": "sessions"}
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
    arguments = list(sys.argv[1:] if argv is None else argv)
    for module in _modules(arguments):
        importlib.import_module(f"proxy.commands.{module}").add_parser(subparsers)
    standard_files.fill_in()
    args = argparse.Namespace()
    try:
        if arguments[:1] == ["claude"]:
            from proxy.commands.claude import separate_arguments  # noqa: PLC0415 - as all commands are

            arguments = separate_arguments(arguments)
        args = parser.parse_args(arguments)
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
        said = " ".join(describe(error, has_config=hasattr(args, "config")).splitlines())
        standard_files.say_on_errors(f"anyrouter: {standard_files.printable(said)}")
        return FAILED
    except KeyboardInterrupt:
        return FAILED
    finally:
        standard_files.give_up_unwritten()
    return status


def _modules(arguments: Sequence[str]) -> Sequence[str]:
    """Return which modules are needed: that of the command, or all for the help and for what is no command."""
    if arguments[:1] == ["--version"]:
        return ()
    module = _MODULE_OF.get(arguments[0]) if arguments else None
    return _MODULES if module is None else (module,)


if __name__ == "__main__":
    sys.exit(main())
