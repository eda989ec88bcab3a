"""What needs somebody is said in a sentence; what is code in one looks so."""

import pytest

from proxy.admin.page import needs
from proxy.admin.page.crowded import in_common
from proxy.admin.page.filters import coded
from proxy.store.cache_breaks import Crowd

AT_MS = 1_795_000_000_000


def test_a_receiver_of_alerts_that_takes_none_needs_somebody() -> None:
    (need,) = needs.of_receivers({"https://hooks.example": AT_MS})
    assert need.text.startswith("Alerts do not reach https://hooks.example since ")
    assert need.path == ""
    assert needs.of_receivers({}) == []


@pytest.mark.parametrize(
    ("state", "needed"),
    [
        ("up", []),
        ("leaving", []),
        ("failing", ["a failing since 12:41 UTC: 529."]),
        ("cooling", ["a cooling since 12:41 UTC: 529 for m."]),
    ],
)
def test_an_upstream_that_fails_needs_somebody(state: str, needed: list[str]) -> None:
    told = {
        "upstream": "a",
        "state": state,
        "cooling": [{"model": "m"}] if state == "cooling" else [],
        "reason": "529",
        "since": "2026-11-26T12:41:07Z",
    }
    assert [each.text for each in needs.of_upstreams([told])] == needed


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("raise `limits.a` or `b`", "raise <code>limits.a</code> or <code>b</code>"),
        ("one ` alone", "one ` alone"),
        ("<b> `<i>`", "&lt;b&gt; <code>&lt;i&gt;</code>"),
        ("", ""),
    ],
)
def test_what_stands_between_backticks_is_code_and_markup_is_text(text: str, shown: str) -> None:
    assert coded(text) == shown


def test_what_most_breaks_of_a_reason_have_in_common_is_said() -> None:
    crowds = [
        Crowd("moved", 14, "claude-cli/2", 33),
        Crowd("moved", 15, "claude-cli/2", 5),
        Crowd("prefix", 1, "claude-cli/1", 4),
        Crowd("prefix", 2, "claude-cli/1", 4),
        Crowd("prefix", 3, "other", 1),
        Crowd("idle", 1, "a", 2),
    ]
    assert in_common(crowds) == {
        "moved": "Of 38 in the last 24 hours, 33 were in the hour from 1970-01-01 14:00 UTC.",
        "prefix": "Of 9 in the last 24 hours, 8 were from claude-cli/1.",
    }
    assert in_common([]) == {}
