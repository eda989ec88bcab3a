"""What was spent by day, as a chart. Pure."""

import datetime
from collections.abc import Iterable
from typing import Protocol

from markupsafe import Markup

from proxy.admin.page.charts import Bar, Chart, bars

_DAYS = 30
_EPOCH = datetime.date(1970, 1, 1)


class DayOf(Protocol):
    """What a model cost on a day, which is counted since 1970."""

    @property
    def day(self) -> int:
        """The day."""

    @property
    def model(self) -> str:
        """The model."""

    @property
    def cost_micros(self) -> int:
        """What it cost."""


def days_chart(days: Iterable[DayOf], base: str) -> Chart | Markup:
    """Draw 30 days up to the last one that something was spent on; nothing: none was.

    Args:
        days: what each model cost.
        base: what the paths of the pages begin with.
    """
    parts: dict[int, dict[str, int]] = {}
    for each in days:
        of = parts.setdefault(each.day, {})
        of[each.model] = of.get(each.model, 0) + each.cost_micros
    if not any(cost for of in parts.values() for cost in of.values()):
        return Markup()
    last = max(parts)
    return bars(
        [_bar(day, parts.get(day, {}), base) for day in range(last - _DAYS + 1, last + 1)],
        "Spend of 30 days by model",
    )


def _bar(day: int, parts: dict[str, int], base: str) -> Bar:
    text = (_EPOCH + datetime.timedelta(days=day)).isoformat()

    href = f"{base}spend?since={text}&by=day,model" if parts else None
    return Bar(text, {model or "unknown": cost for model, cost in parts.items() if cost}, href)
