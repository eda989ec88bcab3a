"""Tables for people: as wide as the terminal, in colours where one reads them."""

import os
import sys
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

# For a file or a program, which has no width.
_WIDE = 200


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table as it is to be printed, an empty line behind it."""
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        drawn.add_column(column, overflow="fold")
    for row in rows:
        drawn.add_row(*map(Text, row))
    console = Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else _WIDE)
    with console.capture() as captured:
        console.print(drawn)
    return "\n".join(line.rstrip() for line in captured.get().splitlines()) + "\n"
