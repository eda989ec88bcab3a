"""How many requests are sent once more: few in an outage of everything, enough for single failures."""

from proxy.upstreams.budget import RetryBudget


def test_in_a_complete_outage_at_most_a_fifth_is_sent_again() -> None:
    budget = RetryBudget(0.0)
    again = 0
    for _ in range(1000):
        budget.earn()
        again += budget.spend(0.0)
    assert 1000 * 0.2 <= again <= 1000 * 0.2 + 10


def test_a_pool_with_few_requests_can_always_move_a_few() -> None:
    budget = RetryBudget(0.0)
    assert [budget.spend(0.0) for _ in range(11)] == [True] * 10 + [False]
    assert [budget.spend(3.0) for _ in range(4)] == [True] * 3 + [False]
    assert [budget.spend(100.0) for _ in range(11)] == [True] * 10 + [False]


def test_what_is_saved_is_bounded() -> None:
    budget = RetryBudget(0.0)
    for _ in range(10_000):
        budget.earn()
    assert sum(budget.spend(0.0) for _ in range(1000)) == 100


def test_a_clock_that_stands_earns_nothing() -> None:
    budget = RetryBudget(5.0)
    assert [budget.spend(1.0) for _ in range(11)] == [True] * 10 + [False]


def test_that_it_is_empty_is_told_once_a_minute() -> None:
    budget = RetryBudget(0.0)
    assert [budget.miss(now) for now in (0.0, 1.0, 59.0, 60.0, 61.0)] == [
        *(True, False, False, True, False)
    ]
    assert budget.missed == 5
