"""The knobs as command line flags."""

import argparse
from collections.abc import Callable

from proxy.sandbox.knob_values import switch
from proxy.sandbox.knobs import METADATA, Knobs, read_knob


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add one flag for each knob, `fail_rate` as `--fail-rate`; read them with `knobs_from`."""
    group = parser.add_argument_group(
        "knobs", "also per request, with _ for - in the names: x-sandbox: fail_rate=0.1,no_stop"
    )
    for name, meta in METADATA.items():
        flag = "--" + name.replace("_", "-")
        about = meta["about"].replace("%", "%%")
        if meta["read"] is switch:
            group.add_argument(flag, dest=name, action="store_true", help=about)
        else:
            group.add_argument(
                flag, dest=name, type=_argument(name), default=argparse.SUPPRESS, help=about
            )


def _argument(name: str) -> Callable[[str], object]:
    def read(value: str) -> object:
        try:
            return read_knob(name, value)
        except ValueError as exc:
            raise argparse.ArgumentTypeError(str(exc)) from exc

    return read


def knobs_from(args: argparse.Namespace) -> Knobs:
    """Return the knobs that the flags of `add_arguments` set.

    Raises:
        ValueError: the flags are good one by one, but not together.
    """
    given = {name: value for name, value in vars(args).items() if name in METADATA}
    return Knobs(**given)
