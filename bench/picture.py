"""The run as one SVG: a panel of bars per figure, each with its ratio to nginx."""

from collections.abc import Iterator
from html import escape

from bench.contenders import GATEWAY, NGINX, RELAY
from bench.report import number
from bench.results import Results

_PANELS = (
    ("W1", "rps", "Small requests (110 B)", "requests/s, more is better"),
    ("W2", "rps", "Agent-sized requests (108 kB)", "requests/s, more is better"),
    ("W3", "rps", "Long conversations (1 MB)", "requests/s, more is better"),
    ("W4", "rps", "Unpaced streams of 64 events", "streams/s, more is better"),
    ("W5 200", "cpu_us", "CPU per streamed event", "µs, less is better"),
    ("W5 200", "event_p99_ms", "Event delay p99, 200 streams", "ms, less is better"),
    ("W6", "added_p50_ms", "Added latency p50, one connection", "ms, less is better"),
    ("W7", "idle_mb", "Memory, idle", "MB, less is better"),
)
_COLOURS = {NGINX: "#a8b0b9", RELAY: "#7ea6d9", GATEWAY: "#d9683c"}
_NAMES = {NGINX: "nginx", RELAY: "bare aiohttp relay", GATEWAY: "AnyRouter"}
_COLUMNS = 2
_MARGIN = 28
_PANEL_WIDTH, _PANEL_HEIGHT, _GAP = 430, 136, 24
_HEAD_HEIGHT = 76
_BAR_LEFT, _BAR_WIDTH, _BAR_HEIGHT, _BAR_STEP = 128, 150, 18, 27
_LEAST_BAR = 2.0
_STYLE = (
    "<style>text{font:13px system-ui,'DejaVu Sans',sans-serif;fill:#24292f}"
    ".head{font-size:19px;font-weight:600}.title{font-size:14px;font-weight:600}"
    ".dim{font-size:12px;fill:#656d76}.name{font-size:12px;text-anchor:end}</style>"
)


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    attribute = f' class="{kind}"' if kind else ""
    return f'<text x="{x:g}" y="{y:g}"{attribute}>{escape(text)}</text>'


def _panel(results: Results, x: float, y: float, panel: tuple[str, str, str, str]) -> Iterator[str]:
    workload, metric, title, unit = panel
    medians = {name: results.median(workload, name, metric) for name in _COLOURS}
    known = {name: value for name, value in medians.items() if value is not None}
    most = max([*known.values(), 1e-9])
    yield _text(x, y + 14, title, "title")
    yield _text(x, y + 32, f"{workload}: {unit}", "dim")
    for row, (name, value) in enumerate(known.items()):
        top = y + 46 + row * _BAR_STEP
        width = max(_LEAST_BAR, value / most * _BAR_WIDTH)
        yield _text(x + _BAR_LEFT - 8, top + 13, _NAMES[name], "name")
        yield (
            f'<rect x="{x + _BAR_LEFT}" y="{top}" width="{width:.1f}" height="{_BAR_HEIGHT}" '
            f'rx="2" fill="{_COLOURS[name]}"/>'
        )
        ratio = results.ratio(workload, name, NGINX, metric)
        label = number(value)
        if ratio is not None and name != NGINX:
            label += f"  ({ratio:.2f} times nginx)"
        yield _text(x + _BAR_LEFT + width + 6, top + 13, label)


def picture(results: Results, subtitle: str) -> str:
    """Return the SVG of all panels that the run has figures for."""
    panels = [panel for panel in _PANELS if results.values(panel[0], NGINX, panel[1])]
    rows = -(-len(panels) // _COLUMNS)
    width = 2 * _MARGIN + _COLUMNS * _PANEL_WIDTH + (_COLUMNS - 1) * _GAP
    height = _HEAD_HEIGHT + rows * (_PANEL_HEIGHT + _GAP) + 4
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        "<title>AnyRouter benchmark</title>",
        _STYLE,
        f'<rect width="{width}" height="{height}" rx="6" fill="#ffffff"/>',
        _text(_MARGIN, 34, "AnyRouter beside nginx and a bare aiohttp relay", "head"),
        _text(_MARGIN, 55, subtitle, "dim"),
    ]
    for index, panel in enumerate(panels):
        x = _MARGIN + index % _COLUMNS * (_PANEL_WIDTH + _GAP)
        y = _HEAD_HEIGHT + index // _COLUMNS * (_PANEL_HEIGHT + _GAP)
        parts += _panel(results, x, y, panel)
    return "\n".join([*parts, "</svg>", ""])
