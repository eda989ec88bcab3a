"""Charts of numbers, as SVG: a sparkline, bars by day, a bar of progress. Pure.

What they look like is `static/charts.css`. A chart stands in a template as `{{ chart }}`: a figure, a sentence as its
caption, and the same numbers as a table. `sparkline` and `progress` are small drawings for a line or a cell, beside
which the page says the numbers.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence

from markupsafe import Markup

from proxy.admin.page import figures
from proxy.admin.page.svg import across, drawing, element, linked

# Colours that can be told apart; what is beyond them is one.
_SERIES = 7
_OTHERS = "others"
_HEIGHT = 160
_TOP = 16
_SPARK_HEIGHT = 20
_NEAR = 0.75


@dataclasses.dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a chart's table that is a link."""

    text: str
    href: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class Chart:
    """A figure.

    Attributes:
        svg: what is drawn.
        caption: what it shows, in a sentence.
        columns: of the table of the same numbers; the first names a row.
        rows: of that table.
        legend: the class and the word of each colour.
        ends: what stands below the left and the right end.
    """

    svg: Markup
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell | str, ...], ...]
    legend: tuple[tuple[str, str], ...] = ()
    ends: tuple[str, str] | None = None

    def __html__(self) -> str:
        ends = self.ends and element(
            "p", element("span", self.ends[0]), element("span", self.ends[1]), class_="ends"
        )
        legend = self.legend and element("ul", *map(_key, self.legend), class_="legend")
        return element(
            "figure",
            self.svg,
            ends or None,
            element("figcaption", element("p", self.caption), legend or None),
            element("details", element("summary", "As a table"), self._table()),
            class_="chart",
        )

    def _table(self) -> Markup:
        head = element("tr", *(_head(at, name) for at, name in enumerate(self.columns)))
        body = (element("tr", *(_cell(at, of) for at, of in enumerate(row))) for row in self.rows)
        table = element(
            "table",
            element("caption", self.caption),
            element("thead", head),
            element("tbody", *body),
        )
        return element(
            "div", table, class_="wide", role="region", tabindex=0, aria_label=self.caption
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Bar:
    """A bar, such as a day.

    Attributes:
        label: what it is of.
        parts: the number of each part, by its name; none is negative.
        href: where it leads; None: nowhere.
    """

    label: str
    parts: Mapping[str, int]
    href: str | None = None

    @property
    def total(self) -> int:
        """What the parts come to."""
        return sum(self.parts.values())


def bars(
    stacks: Sequence[Bar], title: str, show: Callable[[int], str] = figures.money, of: str = "day"
) -> Chart:
    """Draw stacked bars, the largest part at the bottom.

    Args:
        stacks: from left to right.
        title: what they are, such as `Spend of 30 days by model`.
        show: writes a number.
        of: what a bar is of.
    """
    names = _series(stacks)
    folded = [_fold(bar, names) for bar in stacks]
    highest = max((bar.total for bar in stacks), default=0)
    drawn = [
        _bar(bar, at / len(folded), 1 / len(folded), highest, show) for at, bar in enumerate(folded)
    ]
    svg = drawing(
        _line(_TOP),
        _line((_HEIGHT + _TOP) / 2),
        _line(_HEIGHT - 0.5),
        element("text", show(highest), x=0, y=_TOP - 5) if highest else None,
        *drawn,
        title=title,
        height=_HEIGHT,
        class_="bars",
        has_links=any(bar.href is not None for bar in stacks),
    )
    return Chart(
        svg,
        _sentence(stacks, highest, title, show),
        (of, *names, "in all"),
        tuple(
            (
                Cell(bar.label, bar.href),
                *(show(bar.parts.get(name, 0)) for name in names),
                show(bar.total),
            )
            for bar in folded
        ),
        tuple((f"s{at}", name) for at, name in enumerate(names)),
        (stacks[0].label, stacks[-1].label) if stacks else None,
    )


def sparkline(
    values: Sequence[int], title: str, show: Callable[[int], str] = figures.money
) -> Markup:
    """Draw values as small bars; what it says aloud is the title, the highest value and the last."""
    highest = max(values, default=0)
    said = f"highest {show(highest)}, last {show(values[-1])}" if values else "nothing yet"
    marks = [
        _rect(at / len(values), 0.8 / len(values), _SPARK_HEIGHT, value / highest * _SPARK_HEIGHT)
        for at, value in enumerate(values)
        if value > 0
    ]
    return drawing(
        *marks, title=f"{title}: {said}", height=_SPARK_HEIGHT, class_="spark", has_links=False
    )


def progress(part: float, whole: float, title: str) -> Markup:
    """Draw how much of a whole is used; the class says whether it is near its end or over it."""
    used = part / whole if whole > 0 else float(part > 0)
    state = "over" if used >= 1 else "near" if used >= _NEAR else "fine"
    return drawing(
        element("rect", class_="whole", width="100%", height=10, rx=3),
        element("rect", class_="part", width=across(min(max(used, 0), 1)), height=10, rx=3),
        title=title,
        height=10,
        class_=f"progress {state}",
        has_links=False,
    )


def _series(stacks: Iterable[Bar]) -> list[str]:
    """Return the names of the parts, the largest first, those beyond the colours as one."""
    totals: dict[str, int] = {}
    for bar in stacks:
        for name, number in bar.parts.items():
            totals[name] = totals.get(name, 0) + number
    names = sorted(totals, key=lambda name: (-totals[name], name))
    return names if len(names) <= _SERIES + 1 else [*names[:_SERIES], _OTHERS]


def _fold(bar: Bar, names: Sequence[str]) -> Bar:
    parts = dict.fromkeys(names, 0)
    for name, number in bar.parts.items():
        parts[name if name in parts else _OTHERS] += number
    return dataclasses.replace(bar, parts=parts)


def _bar(
    bar: Bar, left: float, width: float, highest: int, show: Callable[[int], str]
) -> Markup | None:
    said = [f"{name} {show(number)}" for name, number in bar.parts.items() if number]
    title = f"{bar.label}: {show(bar.total)}" + (f" ({', '.join(said)})" if len(said) > 1 else "")
    marks, bottom = [], float(_HEIGHT)
    for at, number in enumerate(bar.parts.values()):
        if number > 0:
            height = number / highest * (_HEIGHT - _TOP)
            marks.append(_rect(left + width / 10, width * 0.8, bottom, height, f"s{at}"))
            bottom -= height
    if not marks:
        return None
    return linked(bar.href, title, *marks)


def _sentence(stacks: Sequence[Bar], highest: int, title: str, show: Callable[[int], str]) -> str:
    if not highest:
        return f"{title}: nothing yet."
    most = next(bar for bar in stacks if bar.total == highest)
    total = show(sum(bar.total for bar in stacks))
    if len(stacks) == 1:
        return f"{title}: {total}."
    return f"{title}: {total} in all, most on {most.label} ({show(highest)})."


def _rect(
    left: float, width: float, bottom: float, height: float, class_: str | None = None
) -> Markup:
    return element(
        "rect",
        class_=class_,
        x=across(left),
        width=across(width),
        y=f"{bottom - height:.1f}",
        height=f"{max(height, 0.5):.1f}",
    )


def _line(y: float) -> Markup:
    return element("line", x1=0, x2="100%", y1=y, y2=y)


def _key(entry: tuple[str, str]) -> Markup:
    class_, word = entry
    swatch = element("rect", class_=class_, width=10, height=10, rx=2)
    return element("li", element("svg", swatch, width=10, height=10, aria_hidden="true"), " ", word)


def _head(at: int, name: str) -> Markup:
    return element("th", name, scope="col", class_="n" if at else None)


def _cell(at: int, of: Cell | str) -> Markup:
    text: object = of
    if isinstance(of, Cell):
        text = of.text if of.href is None else element("a", of.text, href=of.href)
    return element("td", text, class_="n") if at else element("th", text, scope="row")
