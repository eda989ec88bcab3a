"""When an upstream is left alone, and when it is asked again: by scripted clocks."""

from proxy.upstreams.health import Health, Place

A, A_M, A_N, B = Place("a", None), Place("a", "m"), Place("a", "n"), Place("b", None)


def cooled(place: Place, *at: float) -> tuple[Health, list[float]]:
    health = Health()
    return health, [health.strike(place, now, "529") for now in at]


def test_one_failure_or_two_cool_nothing() -> None:
    health, began = cooled(A, 1, 2)
    assert began == [0, 0]
    assert health.ready_at("a", "m") == 0


def test_three_in_a_row_cool_for_five_seconds() -> None:
    health, began = cooled(A, 1, 2, 3)
    assert began == [0, 0, 5]
    assert health.ready_at("a", "m") == 8
    assert health.ready_at("b", "m") == 0


def test_thirty_at_once_are_one_cooldown() -> None:
    health, began = cooled(A, *[1.0] * 30)
    assert sum(map(bool, began)) == 1
    assert health.ready_at("a", "m") == 6


def test_who_fails_again_cools_at_once_for_twice_as_long_up_to_a_minute() -> None:
    health, now, lengths = cooled(A, 1, 1)[0], 1.0, []
    for _ in range(6):
        lengths.append(health.strike(A, now, "529"))
        now = health.ready_at("a", "m")
    assert lengths == [5, 10, 20, 40, 60, 60]


def test_a_success_forgets_everything_and_is_news_once() -> None:
    health, _ = cooled(A, 1, 2, 3)
    assert health.alive("a", "m", 9)
    assert not health.alive("a", "m", 9)
    assert [health.strike(A, now, "529") for now in (10, 11, 12)] == [0, 0, 5]


def test_a_success_between_failures_lets_them_not_add_up() -> None:
    health = Health()
    for now in range(10):
        assert health.strike(A, now, "529") == 0
        assert health.strike(A, now, "529") == 0
        assert not health.alive("a", "m", now)


def test_an_old_request_that_succeeds_ends_no_cooldown() -> None:
    health, _ = cooled(A, 1, 2, 3)
    assert not health.alive("a", "m", 4)
    assert health.ready_at("a", "m") == 8


def test_a_model_cools_alone_and_an_upstream_with_all_of_them() -> None:
    health = Health()
    assert health.cool(A_M, 1, "429", 30) == 30
    assert (health.ready_at("a", "m"), health.ready_at("a", "n")) == (31, 0)
    assert health.cool(A, 1, "401", 60, 600) == 60
    assert (health.ready_at("a", "m"), health.ready_at("a", "n")) == (61, 61)


def test_a_cooldown_is_never_shortened_and_told_once() -> None:
    health = Health()
    assert health.cool(A_M, 0, "429", 30) == 30
    assert health.cool(A_M, 1, "429", 2) == 0
    assert health.ready_at("a", "m") == 30
    assert health.cool(A_M, 2, "429", 60) == 0
    assert health.ready_at("a", "m") == 62


def test_a_cooldown_that_doubles_does_so_once_an_outage() -> None:
    health, now, lengths = Health(), 0.0, []
    for _ in range(6):
        lengths.append(health.cool(A, now, "401", 60, 600))
        assert health.cool(A, now + 1, "401", 60, 600) == 0
        now = health.ready_at("a", "m")
    assert lengths == [60, 120, 240, 480, 600, 600]


def test_jitter_stretches_a_cooldown() -> None:
    health, _ = cooled(A, 0, 0)
    health.strike(A, 0, "529", 1.1)
    assert health.ready_at("a", "m") == 5.5


def test_what_cools_can_be_listed_with_why() -> None:
    health = Health()
    health.cool(A_M, 0, "429", 30)
    health.cool(B, 0, "401", 60)
    listed = {place: (each.why, each.until) for place, each in health.cooling(10)}
    assert listed == {A_M: ("429", 30), B: ("401", 60)}
    assert [place for place, _ in health.cooling(40)] == [B]


def test_another_account_begins_anew() -> None:
    health = Health()
    for place in (A, A_M, A_N, B):
        health.cool(place, 0, "429", 30)
    health.forget("a")
    assert (health.ready_at("a", "m"), health.ready_at("b", "m")) == (0, 30)


def test_models_that_clients_invent_are_bounded() -> None:
    health = Health()
    for number in range(5000):
        health.cool(Place("a", f"m{number}"), 0, "429", 30)
    assert len(health.cooling(1)) == 1024
    assert health.ready_at("a", "m4999") == 30


def test_models_that_clients_invent_do_not_wash_out_what_cools() -> None:
    health = Health()
    health.cool(A_M, 0, "429", 300)
    for number in range(1500):
        place = Place("a", f"m{number}")
        health.strike(place, 1, "404")
        if number % 2:
            health.cool(place, 1, "429", 5)
    assert health.ready_at("a", "m") == 300
    assert len(health.cooling(2)) <= 1024
