"""`anyrouter init`: write a configuration with a first key in it."""

import argparse
import os
from importlib import resources
from pathlib import Path

from proxy.access import keys
from proxy.commands import options
from proxy.commands.parser import add_command
from proxy.commands.standard_files import hand_out, say_on_errors
from proxy.config_file.faults import ConfigError
from proxy.config_file.key_entry import with_key

_KEY_NAME = "laptop"
_API_KEY = "ANTHROPIC_API_KEY"


def add_parser(subparsers: "options.Subparsers[argparse.ArgumentParser]") -> None:
    """Describe the command."""
    parser = add_command(
        subparsers,
        "init",
        "write a configuration with a first key",
        "Writes a commented configuration that works as it is, with the digest of a first key in it. "
        "The key alone goes to standard output. What is there is never overwritten.",
        examples=("anyrouter init", "export ANYROUTER_KEY=$(anyrouter init --config team.yaml)"),
    )
    parser.add_argument(
        "--config",
        default=options.CONFIG_FILES[0],
        metavar="FILE",
        help="what to write; default: %(default)s",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the file, and print the key, which is stored nowhere."""
    key = keys.new_key()
    text = with_key(_read_example(), _KEY_NAME, keys.digest(key))
    path = Path(args.config)
    is_made = False
    try:
        with path.open("x", encoding="utf-8") as file:
            is_made = True
            file.write(text)
    except FileExistsError:
        raise ConfigError(
            f"{path} is there already, and stays as it is: `anyrouter keys new NAME --write {path}` "
            f"adds a key to it, `anyrouter init --config FILE` writes another file"
        ) from None
    except OSError as error:
        if is_made:
            path.unlink()
        raise RuntimeError(f"{path} cannot be written: {error.strerror}") from None
    try:
        hand_out(key)
    except RuntimeError:
        path.unlink()
        raise
    say_on_errors(
        f"The key is shown this once; clients send it. {path} has its digest, under the name {_KEY_NAME}.\n"
        f"Next:\n{_next_lines(path)}"
    )
    return 0


def _next_lines(path: Path) -> str:
    named = "" if os.fspath(path) == options.CONFIG_FILES[0] else f" --config {path}"
    lines = [f"  export {_API_KEY}=sk-ant-...   # the API's key, which only the gateway has"]
    if os.environ.get(_API_KEY):
        lines = []
    lines += [
        f"  anyrouter check{named}",
        f"  anyrouter serve{named}",
        "  ANYROUTER_KEY=ar-... anyrouter doctor   # from another terminal, with the key above",
    ]
    return "\n".join(lines)


def _read_example() -> str:
    """Read the example: inside the installed package, or beside it in a checkout."""
    installed = resources.files("proxy").joinpath("config.yaml")
    shipped = installed if installed.is_file() else Path(__file__).parents[2] / "config.yaml"
    return shipped.read_text("utf-8")
