"""The run as a table on a terminal."""

from collections.abc import Iterator

from bench.contenders import ALL, YARDSTICKS
from bench.results import COUNTS, Results
from bench.targets import TARGETS
from bench.workloads import WORKLOADS

_LABELS = {
    "rps": "req/s",
    "rate": "req/s sent",
    "events_s": "events/s",
    "cpu_us": "CPU µs",
    "tally_us": "tally µs",
    "headers_us": "headers µs",
    "row_us": "its fields of the row µs",
    "parts_us": "all of it µs",
    "small_rps": "W1 req/s",
    "agent_rps": "W2 req/s",
    "w1_scale": "W1 / one",
    "w2_scale": "W2 / one",
    "kb_per_stream": "kB/stream",
    "slope_kb_min": "slope kB/min",
}
_UNITS = ("ms", "mb", "s")
_WHOLE_FROM = 100


def _label(metric: str) -> str:
    if metric in _LABELS:
        return _LABELS[metric]
    name, _, unit = metric.rpartition("_")
    if unit in _UNITS:
        return f"{name.replace('_', ' ').replace('p999', 'p99.9')} {unit.replace('mb', 'MB')}"
    return metric


def number(value: float) -> str:
    """Write a figure with the digits that mean something."""
    return f"{value:,.0f}" if abs(value) >= _WHOLE_FROM else f"{value:.2f}"


def _cell(results: Results, workload: str, contender: str, metric: str) -> str:
    median = results.median(workload, contender, metric)
    if median is None:
        return "-"
    if metric in COUNTS:
        return f"{median:.0f}"
    values = results.values(workload, contender, metric).values()
    spread = f" ({number(min(values))}..{number(max(values))})" if len(values) > 1 else ""
    return number(median) + spread


def _ratios(results: Results, workload: str, contender: str, metric: str) -> list[str]:
    others = _yardsticks(results, workload)
    ratios = [results.ratio(workload, contender, other, metric) for other in others]
    return ["-" if ratio is None else f"{ratio:.2f}" for ratio in ratios]


def _yardsticks(results: Results, workload: str) -> list[str]:
    return [name for name in YARDSTICKS if name in results.contenders(workload)]


def _rows(results: Results, workload: str) -> Iterator[list[str]]:
    metrics = results.metrics(workload)
    ratio_of = WORKLOADS[workload].ratio_of
    head = ["", *(_label(metric) for metric in metrics)]
    if ratio_of:
        at = metrics.index(ratio_of) + 2
        head[at:at] = [f"/ {name}" for name in _yardsticks(results, workload)]
    yield head
    for contender in [name for name in ALL if name in results.contenders(workload)]:
        row = [contender, *(_cell(results, workload, contender, metric) for metric in metrics)]
        if ratio_of:
            row[at:at] = _ratios(results, workload, contender, ratio_of)
        yield row


def _aligned(rows: list[list[str]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [text.rjust(width) for text, width in zip(row[1:], widths[1:], strict=True)]
        yield "  " + "   ".join([row[0].ljust(widths[0]), *cells])


def table(results: Results) -> str:
    """Return the table: medians, in brackets the spread over the rounds, ratios, targets."""
    lines: list[str] = []
    for workload, plan in WORKLOADS.items():
        if results.contenders(workload):
            lines += [f"{workload}  {plan.title}", *_aligned(list(_rows(results, workload))), ""]
    checked = [(target, target.measured(results)) for target in TARGETS]
    rows = [
        [str(target), number(value), "holds" if target.holds(value) else "MISSED"]
        for target, value in checked
        if value is not None
    ]
    if rows:
        lines += ["Targets (gateway)", *_aligned([["", "measured", ""], *rows]), ""]
    lines += [f"Note: {note}" for note in results.notes]
    return "\n".join(lines)
