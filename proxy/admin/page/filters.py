"""What templates can name: the functions of figures and charts, and what Claude Code is set to. Pure."""

import re
from collections.abc import Callable
from typing import Any

from markupsafe import Markup, escape

from proxy import client_variables
from proxy.admin.page import charts, figures, spent
from proxy.admin.page.paths import quoted

_CODE = re.compile("`([^`]+)`")


def coded(text: str) -> Markup:
    """Return a sentence with what stands between backticks as code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 - of escaped text


FILTERS: dict[str, Callable[..., Any]] = {
    each.__name__: each
    for each in (
        figures.money,
        figures.exact_money,
        figures.bound,
        figures.rate,
        figures.nanos,
        figures.factor,
        figures.count,
        figures.counted,
        figures.tokens,
        figures.size,
        figures.share,
        figures.change,
        figures.duration,
        figures.day,
        figures.clock,
        figures.exact_clock,
        figures.moment,
        figures.minute,
        figures.ended,
        quoted,
        coded,
    )
}
GLOBALS: dict[str, Any] = {
    **{each.__name__: each for each in (charts.sparkline, charts.progress, spent.days_chart)},
    "client_variables": client_variables.SAFE,
}
