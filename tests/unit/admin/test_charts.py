"""Charts of numbers and of time: whatever the numbers are, well formed, escaped, and the same as a table."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from functools import partial

import pytest
from markupsafe import Markup

from proxy.admin.page import charts, figures, spent, timelines
from proxy.admin.page.charts import Bar, Chart
from proxy.admin.page.overview import DayOfModel
from proxy.admin.page.timelines import Lane, Span, Step

HOSTILE = """<script>alert(1)</script>"'&"""
_SHARE = re.compile(r"-?\d+\.\d\d%")


def parsed(markup: str) -> ET.Element:
    return ET.fromstring(markup)


def of_chart(chart: Chart) -> ET.Element:
    return parsed(chart.__html__())


def rows(figure: ET.Element) -> list[list[str]]:
    return [["".join(cell.itertext()) for cell in row] for row in figure.iterfind(".//tbody/tr")]


def only(found: ET.Element | None) -> ET.Element:
    assert found is not None
    return found


BARS: dict[str, list[Bar]] = {
    "empty": [],
    "one": [Bar("2026-11-20", {"opus": 5_000_000})],
    "one_of_nothing": [Bar("2026-11-20", {})],
    "zeros": [Bar("2026-11-20", {"opus": 0}), Bar("2026-11-21", {"opus": 0})],
    "equal": [Bar(f"2026-11-{day}", {"opus": 7}) for day in range(10, 30)],
    "a_gap": [Bar("a", {"opus": 1}), Bar("b", {}), Bar("c", {"opus": 3, "haiku": 10**12})],
    "many_parts": [Bar("a", {f"model-{at}": at + 1 for at in range(20)})],
}
SPANS: dict[str, list[Lane]] = {
    "empty": [],
    "a_lane_without_spans": [Lane("main", ())],
    "one": [Lane("main", (Span(1_000, 2_000, "ok"),))],
    "one_of_no_length": [Lane("main", (Span(1_000, 1_000, "ok"),))],
    "equal": [Lane(str(at), (Span(1_000, 2_000, "ok"),)) for at in range(3)],
    "a_break": [Lane("main", (Span(1_000, 2_000, "ok"), Span(9_000, 9_001, "ok", "/r", "$1.60")))],
    "failed": [Lane("main", (Span(1_000, 2_000, "overloaded", failed=True),))],
}
STEPS: dict[str, list[Step]] = {
    "empty": [],
    "one": [Step("body", 0, 0.8)],
    "all_at_once": [Step("body", 0, 0), Step("first byte", 0, 0)],
    "some": [Step("body", 0, 0.8), Step("first byte", 0.8, 1_930), Step("answer", 1_930, 14_200)],
}
CHARTS: dict[str, Callable[[], Chart]] = {
    **{f"bars-{name}": partial(charts.bars, of, "Spend") for name, of in BARS.items()},
    **{f"lanes-{name}": partial(timelines.lanes, of, "Session") for name, of in SPANS.items()},
    **{f"steps-{name}": partial(timelines.waterfall, of, "Steps") for name, of in STEPS.items()},
}


@pytest.mark.parametrize("make", CHARTS.values(), ids=CHARTS)
def test_a_chart_has_a_title_a_sentence_and_a_table(make: Callable[[], Chart]) -> None:
    figure = of_chart(make())
    svg = only(figure.find("svg"))
    assert only(svg.find("title")).text == svg.get("aria-label")
    assert "".join(only(figure.find("figcaption/p")).itertext()).endswith(".")
    columns = figure.findall(".//thead/tr/th")
    assert all(len(row) == len(columns) for row in rows(figure))


@pytest.mark.parametrize("make", CHARTS.values(), ids=CHARTS)
def test_a_chart_keeps_to_its_place(make: Callable[[], Chart]) -> None:
    for each in of_chart(make()).iter("rect"):
        left, width = (each.get(name, "0%") for name in ("x", "width"))
        if _SHARE.fullmatch(width):
            assert float(left.rstrip("%")) >= 0
            assert float(left.rstrip("%")) + float(width.rstrip("%")) <= 100.01
            assert float(each.get("height", "")) > 0
            assert float(each.get("y", "")) >= 0


@pytest.mark.parametrize("make", CHARTS.values(), ids=CHARTS)
def test_nothing_in_a_chart_is_a_style_or_a_script(make: Callable[[], Chart]) -> None:
    for each in of_chart(make()).iter():
        assert each.tag not in {"style", "script", "foreignObject"}
        assert not any(name == "style" or name.startswith("on") for name in each.attrib)


@pytest.mark.parametrize(
    "make",
    [
        lambda: charts.bars([Bar(HOSTILE, {HOSTILE: 1}, f"/x?{HOSTILE}")], HOSTILE),
        lambda: timelines.lanes(
            [Lane(HOSTILE, (Span(0, 1, HOSTILE, f"/x?{HOSTILE}", HOSTILE),))], HOSTILE
        ),
        lambda: timelines.waterfall([Step(HOSTILE, 0, 1)], HOSTILE),
    ],
    ids=["bars", "lanes", "waterfall"],
)
def test_markup_in_names_is_text(make: Callable[[], Chart]) -> None:
    chart = make()
    figure = of_chart(chart)
    assert figure.find(".//script") is None
    assert HOSTILE in "".join(figure.itertext())
    assert "<script" not in chart.__html__()


@pytest.mark.parametrize(
    ("of", "caption"),
    [
        ("empty", "Spend: nothing yet."),
        ("zeros", "Spend: nothing yet."),
        ("one", "Spend: $5.00."),
        ("equal", "Spend: $0.0001 in all, most on 2026-11-10 (<$0.0001)."),
        ("a_gap", "Spend: $1,000,000.00 in all, most on c ($1,000,000.00)."),
    ],
)
def test_bars_say_what_they_come_to(of: str, caption: str) -> None:
    assert charts.bars(BARS[of], "Spend").caption == caption


def test_bars_show_each_number_in_the_table() -> None:
    figure = of_chart(charts.bars(BARS["a_gap"], "Spend", show=str))
    assert rows(figure) == [
        ["a", "0", "1", "1"],
        ["b", "0", "0", "0"],
        ["c", "1000000000000", "3", "1000000000003"],
    ]


def test_parts_beyond_the_colours_are_one_and_none_is_lost() -> None:
    chart = charts.bars(BARS["many_parts"], "Spend", show=str)
    assert chart.columns[-2:] == ("others", "in all")
    (numbers,) = (row[1:] for row in rows(of_chart(chart)))
    assert sum(map(int, numbers[:-1])) == int(numbers[-1]) == 210
    assert len(chart.legend) == 8


def test_a_bar_leads_somewhere_in_the_chart_and_in_the_table() -> None:
    figure = of_chart(charts.bars([Bar("day", {"opus": 1}, "/spend?day=1&by=key")], "Spend"))
    assert [a.get("href") for a in figure.iter("a")] == ["/spend?day=1&by=key"] * 2
    assert only(figure.find("svg")).get("role") == "group"


def test_a_drawing_without_links_is_an_image() -> None:
    assert only(of_chart(charts.bars(BARS["one"], "Spend")).find("svg")).get("role") == "img"


def test_the_heights_of_bars_are_as_their_numbers() -> None:
    bars = [Bar("a", {"opus": 25}), Bar("b", {"opus": 100}), Bar("c", {"opus": 30, "haiku": 20})]
    figure = of_chart(charts.bars(bars, "Spend", show=str))
    heights = [float(rect.get("height", "")) for rect in figure.iterfind("svg//rect")]
    assert [round(height / heights[1], 2) for height in heights] == [0.25, 1, 0.3, 0.2]


@pytest.mark.parametrize(
    ("values", "said", "marks"),
    [
        ([], "Last 24 h: nothing yet", 0),
        ([0], "Last 24 h: highest $0, last $0", 0),
        ([0, 0], "Last 24 h: highest $0, last $0", 0),
        ([5_000_000], "Last 24 h: highest $5.00, last $5.00", 1),
        ([5_000_000, 0, 1], "Last 24 h: highest $5.00, last <$0.0001", 2),
    ],
    ids=["empty", "zero", "zeros", "one", "some"],
)
def test_a_sparkline_says_its_highest_value_and_its_last(
    values: list[int], said: str, marks: int
) -> None:
    svg = parsed(charts.sparkline(values, "Last 24 h"))
    assert (svg.get("aria-label"), len(svg.findall("rect"))) == (said, marks)


@pytest.mark.parametrize(
    ("part", "whole", "state", "width"),
    [
        (0, 50, "fine", "0.00%"),
        (15.5, 50, "fine", "31.00%"),
        (37.5, 50, "near", "75.00%"),
        (50, 50, "over", "100.00%"),
        (60, 50, "over", "100.00%"),
        (0, 0, "fine", "0.00%"),
        (1, 0, "over", "100.00%"),
        (-1, 50, "fine", "0.00%"),
    ],
)
def test_progress_is_near_from_three_quarters_and_never_over_its_end(
    part: float, whole: float, state: str, width: str
) -> None:
    svg = parsed(charts.progress(part, whole, "of the budget"))
    assert svg.get("class") == f"chart progress {state}"
    assert [rect.get("width") for rect in svg.findall("rect")] == ["100%", width]


def test_lanes_mark_cache_breaks_and_say_what_was_lost() -> None:
    chart = timelines.lanes(SPANS["a_break"], "Session")
    figure = of_chart(chart)
    assert chart.caption == "Session: 2 requests in 1 lane, 1 cache break (a triangle)."
    assert len(figure.findall("svg//path")) == 1
    link = only(figure.find("svg//a"))
    assert link.get("aria-label") == "main, 00:00:09, 1.0 ms: ok; cache break: $1.60"
    assert [row[-1] for row in rows(figure)] == [figures.NONE, "$1.60"]


def test_lanes_say_how_many_failed_and_how_it_is_drawn() -> None:
    chart = timelines.lanes(SPANS["failed"], "Session")
    assert chart.caption == "Session: 1 request in 1 lane, 1 failed (a frame)."


def test_days_that_cost_nothing_are_no_chart() -> None:
    free, paid = DayOfModel(20_000, "opus", 0), DayOfModel(20_001, "opus", 1)
    assert spent.days_chart([], "/") == spent.days_chart([free], "/") == ""
    assert isinstance(spent.days_chart([free, paid], "/"), Chart)


def test_lanes_beyond_the_most_are_counted() -> None:
    chart = timelines.lanes(SPANS["equal"], "Session", most=2)
    assert chart.caption == "Session: 2 requests in 2 lanes; 1 more lane not drawn."
    assert len(rows(of_chart(chart))) == 2


def test_a_long_label_is_cut_in_the_drawing_and_whole_in_the_table() -> None:
    figure = of_chart(timelines.lanes([Lane("x" * 100, (Span(0, 1, "ok"),))], "Session"))
    assert only(figure.find("svg//text")).text == "x" * 57 + "..."
    assert rows(figure)[0][0] == "x" * 100


def test_a_waterfall_names_its_longest_step() -> None:
    chart = timelines.waterfall(STEPS["some"], "Request")
    assert chart.caption == "Request: 14.2 s in all, most of it answer (12.3 s)."
    assert rows(of_chart(chart)) == [
        ["body", "0 ms", "0.8 ms"],
        ["first byte", "0.8 ms", "1.93 s"],
        ["answer", "1.93 s", "12.3 s"],
    ]


def test_a_chart_stands_in_a_template_as_it_is() -> None:
    assert Markup("{}").format(charts.bars([], "Spend")).startswith("<figure")
