"""What answers say that an account has left."""

import pytest

from proxy.upstreams.account import Headroom, headroom

LIMIT = {"anthropic-ratelimit-requests-limit": "50", "anthropic-ratelimit-requests-remaining": "7"}
RESET = "anthropic-ratelimit-requests-reset"
READINGS = {
    "nothing": ({}, {}),
    "limit and rest": (LIMIT, {"requests": Headroom(50, 7)}),
    "until when": (
        {**LIMIT, RESET: "2026-11-26T08:00:00Z"},
        {"requests": Headroom(50, 7, "2026-11-26T08:00:00Z")},
    ),
    "a moment that is none": ({**LIMIT, RESET: "<b>soon</b>"}, {"requests": Headroom(50, 7)}),
    "a limit without a rest": ({"anthropic-ratelimit-tokens-limit": "50"}, {}),
    "what is no number": ({**LIMIT, "anthropic-ratelimit-requests-remaining": "-1"}, {}),
    "endless digits": ({**LIMIT, "anthropic-ratelimit-requests-limit": "9" * 10_000}, {}),
    "a kind that nobody knows": (
        {"anthropic-ratelimit-odd-limit": "1", "anthropic-ratelimit-odd-remaining": "1"},
        {},
    ),
}


@pytest.mark.parametrize(("fields", "told"), READINGS.values(), ids=READINGS)
def test_only_limits_that_can_be_read_are_told(
    fields: dict[str, str], told: dict[str, Headroom]
) -> None:
    assert headroom(fields) == told
