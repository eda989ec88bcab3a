"""Of a flood of lines the first is shown, then the last and their number, then that it is over."""

from proxy.telemetry.floods import MAX_KINDS, WINDOW_S, Floods, Folded


def test_the_first_line_of_a_kind_is_shown_and_the_others_are_counted() -> None:
    floods = Floods[str]()
    assert floods.take("a", "first", 0)
    for number in range(5):
        assert not floods.take("a", f"line {number}", 1)
    assert floods.take("b", "first", 1)
    assert floods.due(WINDOW_S - 1) == []
    assert floods.due(WINDOW_S) == [Folded("line 4", 5, 6, 0)]


def test_a_kind_that_was_not_repeated_is_shown_at_once_again() -> None:
    floods = Floods[str]()
    assert floods.take("a", "x", 0)
    assert floods.due(WINDOW_S) == []
    assert floods.take("a", "x", WINDOW_S)


def test_a_flood_that_goes_on_is_one_line_a_window_and_one_when_it_is_over() -> None:
    floods = Floods[str]()
    assert floods.take("a", "x", 0)
    shown = []
    for tenths in range(400):
        now = tenths / 10
        assert not floods.take("a", "x", now)
        shown += floods.due(now)
    for seconds in (50, 60, 70):
        shown += floods.due(seconds)
    assert [each.repeated for each in shown] == [101, 100, 100, 99, 0]
    assert sum(each.repeated for each in shown) + 1 == shown[-1].total == 401


def test_once_a_flood_is_over_the_next_line_is_a_first_one() -> None:
    floods = Floods[str]()
    assert floods.take("a", "x", 0)
    assert not floods.take("a", "y", 0)
    assert floods.due(WINDOW_S) == [Folded("y", 1, 2, 0)]
    # Two lines, both shown, were no flood.
    assert floods.due(2 * WINDOW_S) == []
    assert floods.take("a", "x", 2 * WINDOW_S)


def test_what_is_over_is_told_at_once_and_its_next_line_is_news() -> None:
    floods = Floods[str]()
    for kind in ("a", "b", "c"):
        assert floods.take(kind, "x", 0)
    for kind in ("a", "b"):
        assert not floods.take(kind, f"of {kind}", 1)
    assert floods.end(lambda kind: kind != "b") == [Folded("of a", 1, 2, 0)]
    assert [floods.take(kind, "x", 2) for kind in ("a", "b", "c")] == [True, False, True]


def test_beyond_so_many_kinds_all_others_are_counted_together() -> None:
    floods = Floods[str]()
    shown = [floods.take(number, "x", 0) for number in range(MAX_KINDS + 100)]
    assert sum(shown) == MAX_KINDS + 1
    assert not floods.take(0, "x", 0)
    assert sum(each.repeated for each in floods.due(WINDOW_S)) + sum(shown) == len(shown) + 1


def test_nothing_is_kept_of_kinds_that_ended() -> None:
    floods = Floods[str]()
    for number in range(400):
        assert floods.take(number, "x", 0)
    floods.due(WINDOW_S)
    assert not floods._windows
