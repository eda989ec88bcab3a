"""What templates can call: the functions of figures and charts. Pure."""

from collections.abc import Callable
from typing import Any

from proxy.admin.page import charts, figures, spent
from proxy.admin.page.paths import quoted

FILTERS: dict[str, Callable[..., Any]] = {
    each.__name__: each
    for each in (
        figures.money,
        figures.exact_money,
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
        quoted,
    )
}
GLOBALS: dict[str, Callable[..., Any]] = {
    each.__name__: each for each in (charts.sparkline, charts.progress, spent.days_chart)
}
