"""What commands show to people: as wide as the terminal, in colours where one reads it."""

import io
import os
import sys
from collections.abc import Iterable, Sequence

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from proxy.commands.standard_files import printable

# For a file or a program, which has no width: a line each.
_ENDLESS = 1 << 16


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], right: int = 0) -> str:
    """Return a table, an empty line behind it; so many of the last columns are numbers, below one another."""
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for at, column in enumerate(columns):
        is_number = at >= len(columns) - right
        drawn.add_column(
            column, overflow="fold", justify="right" if is_number else "left", no_wrap=is_number
        )
    for row in rows:
        drawn.add_row(*map(as_text, row))
    return f"{_render(drawn)}\n"


def width() -> int:
    """Return how many characters a line may have."""
    return Console(width=_width()).width


def finding(mark: str, style: str, text: str) -> str:
    """Return a line with a mark before it, broken so that the mark stands alone at the left."""
    drawn = Table.grid(padding=(0, 1, 0, 0))
    drawn.add_column(width=6)
    drawn.add_column(overflow="fold")
    drawn.add_row(Text(f"  {mark}", style), as_text(text))
    return _render(drawn)


def pairs(rows: Iterable[tuple[str, str]]) -> str:
    """Return pairs of a name and what it means, one below the other."""
    drawn = Table.grid(padding=(0, 1, 0, 0))
    drawn.add_column(no_wrap=True)
    drawn.add_column()
    for name, meaning in rows:
        drawn.add_row(as_text(f"  {name}", "bold"), as_text(meaning))
    return _render(drawn)


def as_text(text: str, style: str = "") -> Text:
    """Return a cell with a text as it is, but for what `printable` replaces: in a mere `str` is markup, of rich."""
    return Text(printable(text), style)


def _render(drawn: RenderableType) -> str:
    # Drawn into memory: what is captured of standard output flushes that, too, and it may be full.
    drawing = io.StringIO()
    console = Console(file=drawing, force_terminal=sys.stdout.isatty(), width=_width())
    console.print(drawn)
    return "\n".join(line.rstrip() for line in drawing.getvalue().splitlines())


def _width() -> int | None:
    """Return the width of what is drawn; None: the terminal's."""
    return None if sys.stdout.isatty() or "COLUMNS" in os.environ else _ENDLESS
