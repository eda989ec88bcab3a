"""Charts of spans of time, as SVG: a session's lanes, the steps of one request. Pure.

What they look like is `static/charts.css`; they stand in a template as charts of numbers do.
"""

import dataclasses
from collections.abc import Sequence

from markupsafe import Markup

from proxy.admin.page import figures
from proxy.admin.page.charts import Cell, Chart
from proxy.admin.page.svg import across, drawing, element, linked

_LANE_HEIGHT = 34
_BAR_HEIGHT = 10
# From the top of a lane.
_TEXT_BOTTOM = 12
_BAR_TOP = 18
# A bar is never too thin to be seen.
_THINNEST = 0.002
_LONGEST_LABEL = 60
_BREAK = "M-5 0h10l-5 9z"


@dataclasses.dataclass(frozen=True, slots=True)
class Span:
    """A bar of a lane, such as a request.

    Attributes:
        start_ms: when it began, in Unix milliseconds.
        end_ms: when it ended.
        label: what it is, such as `opus-5.5, $0.41, ok`.
        href: where it leads; None: nowhere.
        cache_break: what was lost when it found its cache gone; None: it did not.
        failed: whether it failed.
    """

    start_ms: int
    end_ms: int
    label: str
    href: str | None = None
    cache_break: str | None = None
    failed: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Lane:
    """The spans of one agent."""

    label: str
    spans: tuple[Span, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """A step of a request, in milliseconds from its first."""

    label: str
    start_ms: float
    end_ms: float


def lanes(of: Sequence[Lane], title: str, most: int = 40) -> Chart:
    """Draw a lane per agent, a bar per request, and a mark where one found its cache gone.

    Args:
        of: from the top down.
        title: what they are, such as `Session b160e3 by agent`.
        most: lanes that are drawn; the caption says how many are left out.
    """
    drawn = of[:most]
    spans = [span for lane in drawn for span in lane.spans]
    first_ms = min((span.start_ms for span in spans), default=0)
    last_ms = max((span.end_ms for span in spans), default=0)
    # Whatever began and ended at once has a width nevertheless.
    whole_ms = max(last_ms - first_ms, 1)
    svg = drawing(
        *(_lane(lane, at * _LANE_HEIGHT, first_ms, whole_ms) for at, lane in enumerate(drawn)),
        title=title,
        height=max(len(drawn), 1) * _LANE_HEIGHT,
        class_="lanes",
        has_links=any(span.href is not None for span in spans),
    )
    breaks = sum(span.cache_break is not None for span in spans)
    said = f"{figures.counted(len(spans), 'request')} in {figures.counted(len(drawn), 'lane')}"
    said += f", {figures.counted(breaks, 'cache break')} (a triangle)" if breaks else ""
    failed = sum(span.failed for span in spans)
    said += f", {figures.count(failed)} failed (a frame)" if failed else ""
    hidden = len(of) - len(drawn)
    said += f"; {figures.counted(hidden, 'more lane')} not drawn" if hidden else ""
    return Chart(
        svg,
        f"{title}: {said}." if spans else f"{title}: nothing yet.",
        ("lane", "began", "took", "request", "cache break"),
        tuple(_row(lane, span) for lane in drawn for span in lane.spans),
        ends=(figures.moment(first_ms), figures.moment(last_ms)) if spans else None,
    )


def waterfall(steps: Sequence[Step], title: str) -> Chart:
    """Draw what a request did, step below step."""
    first_ms = min((step.start_ms for step in steps), default=0.0)
    whole_ms = max((step.end_ms for step in steps), default=0.0) - first_ms
    svg = drawing(
        *(_step(step, at, first_ms, whole_ms) for at, step in enumerate(steps)),
        title=title,
        height=max(len(steps), 1) * _LANE_HEIGHT,
        class_="waterfall",
        has_links=False,
    )
    longest = max(steps, key=lambda step: step.end_ms - step.start_ms, default=None)
    took = figures.duration(whole_ms)
    return Chart(
        svg,
        f"{title}: nothing yet."
        if longest is None
        else f"{title}: {took} in all, most of it {longest.label} ({_took(longest)}).",
        ("step", "after", "took"),
        tuple(
            (step.label, figures.duration(step.start_ms - first_ms), _took(step)) for step in steps
        ),
        ends=("0", took) if steps else None,
    )


def _took(of: Span | Step) -> str:
    return figures.duration(of.end_ms - of.start_ms)


def _lane(lane: Lane, top: int, first_ms: int, whole_ms: int) -> Markup:
    marks = [_label(lane.label, top), _rail(top)]
    for span in lane.spans:
        left = (span.start_ms - first_ms) / whole_ms
        bar = _bar(left, (span.end_ms - span.start_ms) / whole_ms, top)
        title = f"{lane.label}, {figures.clock(span.start_ms)}, {_took(span)}: {span.label}"
        classes = "span failed" if span.failed else "span"
        if span.cache_break is None:
            marks.append(element("g", linked(span.href, title, bar), class_=classes))
            continue
        title += f"; cache break: {span.cache_break}"
        # A drawing in the drawing: the mark stands at a share of the width, and keeps its form.
        mark = element(
            "svg", element("path", d=_BREAK), x=across(left), y=top + 8, overflow="visible"
        )
        marks.append(element("g", linked(span.href, title, bar, mark), class_=f"{classes} broken"))
    return element("g", *marks)


def _step(step: Step, at: int, first_ms: float, whole_ms: float) -> Markup:
    top = at * _LANE_HEIGHT
    whole_ms = whole_ms or 1.0
    took = step.end_ms - step.start_ms
    bar = _bar((step.start_ms - first_ms) / whole_ms, took / whole_ms, top)
    label = f"{step.label} {_took(step)}"
    marks = linked(None, label, element("g", bar, class_=f"step s{at % 7}"))
    return element("g", _label(label, top), _rail(top), marks)


def _label(text: str, top: int) -> Markup:
    shown = text if len(text) <= _LONGEST_LABEL else f"{text[: _LONGEST_LABEL - 3]}..."
    return element("text", shown, x=0, y=top + _TEXT_BOTTOM)


def _rail(top: int) -> Markup:
    y = top + _BAR_TOP + _BAR_HEIGHT / 2
    return element("line", x1=0, x2="100%", y1=y, y2=y)


def _bar(left: float, width: float, top: int) -> Markup:
    width = max(width, _THINNEST)
    return element(
        "rect",
        x=across(min(left, 1 - width)),
        width=across(width),
        y=top + _BAR_TOP,
        height=_BAR_HEIGHT,
    )


def _row(lane: Lane, span: Span) -> tuple[Cell | str, ...]:
    began = figures.moment(span.start_ms)
    request = Cell(span.label, span.href)
    return (lane.label, began, _took(span), request, span.cache_break or figures.NONE)
