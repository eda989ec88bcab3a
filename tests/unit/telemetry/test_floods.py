"""Of a flood of lines the first is shown, then the last and their number."""

from proxy.telemetry.floods import WINDOW_S, Floods


def test_the_first_line_of_a_kind_is_shown_and_the_others_are_counted() -> None:
    floods = Floods[str]()
    assert floods.is_first("a", 0)
    for number in range(5):
        assert not floods.is_first("a", 1)
        floods.count("a", f"line {number}")
    assert floods.is_first("b", 1)
    assert floods.due(WINDOW_S - 1) == []
    assert floods.due(WINDOW_S) == [("line 4", 5)]


def test_a_kind_that_was_not_repeated_is_shown_at_once_again() -> None:
    floods = Floods[str]()
    assert floods.is_first("a", 0)
    assert floods.due(WINDOW_S) == []
    assert floods.is_first("a", WINDOW_S)


def test_a_flood_that_goes_on_is_one_line_a_window() -> None:
    floods = Floods[str]()
    assert floods.is_first("a", 0)
    shown = []
    for tenths in range(400):
        now = tenths / 10
        assert not floods.is_first("a", now)
        floods.count("a", "x")
        shown += floods.due(now)
    assert shown == [("x", 101), ("x", 100), ("x", 100)]


def test_once_a_flood_is_over_the_next_line_is_a_first_one() -> None:
    floods = Floods[str]()
    assert floods.is_first("a", 0)
    floods.count("a", "x")
    assert floods.due(WINDOW_S) == [("x", 1)]
    assert floods.due(2 * WINDOW_S) == []
    assert floods.is_first("a", 2 * WINDOW_S)


def test_nothing_is_kept_of_kinds_that_ended() -> None:
    floods = Floods[str]()
    for number in range(1000):
        assert floods.is_first(number, 0)
    floods.due(WINDOW_S)
    assert not floods._windows
