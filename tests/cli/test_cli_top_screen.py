"""What `anyrouter top` draws of what the admin API tells."""

import io
import json
import re
import shutil
import time
from pathlib import Path

import pytest
from rich.console import Console, RenderableType

from proxy.commands.top import QUESTIONS
from proxy.commands.top_keys import by_key, keys_table, requests_table
from proxy.commands.top_screen import Told, screen
from proxy.store.rows import RowStore
from tests.admin.conftest import WRITER
from tests.admin.viewing import viewed
from tests.cli.watching import ANSWERS
from tests.store.rows import opened, row


@pytest.mark.parametrize(
    ("budgets", "shown"),
    [
        ({}, "-"),
        ({"day": (50, 50, False)}, "over, 00:00"),
        ({"day": (0, 0, False)}, "over, 00:00"),
        ({"day": (50, 0, False), "month": (50, 60, False)}, "over, 2026-11-27"),
        ({"day": (50, 60, True)}, "##### 120.0 % of the day"),
        ({"month": (50, 1, False)}, "----- 2.0 % of the month"),
    ],
    ids=["none", "spent", "nothing allowed", "the fuller one", "only watched", "little"],
)
def test_a_keys_budget_is_that_of_which_most_is_spent(
    budgets: dict[str, tuple[int, int, bool]], shown: str
) -> None:
    told = {
        period: {
            "limit_micros": limit,
            "spent_micros": spent,
            "shadow": shadow,
            "resets_at": "2026-11-27T00:00:00Z",
        }
        for period, (limit, spent, shadow) in budgets.items()
    }
    limits = [{"subject": "key ci", "budgets": told}]
    (key,) = by_key([{"key": "ci"}], [], limits, "$/h")
    drawn = drawn_of(keys_table([key], 15))
    assert drawn.splitlines()[1].endswith(f" {shown}")


def test_what_clients_choose_is_shown_as_it_is_and_what_is_not_known_yet_as_such() -> None:
    """Of rich's markup: what ends nothing would end this, too."""
    sent = {
        "id": "req_1",
        "key": "ci",
        "doing": "receiving",
        "session_id": "[/b]a",
        "agent_type": "[red]b",
        "agent_id": None,
        "upstream": None,
        "age_ms": 1,
    }
    drawn = drawn_of(requests_table([sent], "ci")).splitlines()[1]
    assert drawn.split() == ["req_1", "[/b]a,", "[red]b", "receiving", "-", "1.0", "ms"]
    (key,) = by_key([{"key": "[/]"}], [], [], "$/h")
    assert "[/]" in drawn_of(keys_table([key], 15))


def drawn_of(what: RenderableType, width: int = 160) -> str:
    terminal = Console(width=width, height=80, record=True, file=io.StringIO())
    terminal.print(what)
    return "\n".join(line.rstrip() for line in terminal.export_text().splitlines())


async def test_the_sums_are_those_of_all_keys_and_of_the_last_minutes_alone(
    sqlite_made: Path, tmp_path: Path
) -> None:
    url = f"sqlite:///{shutil.copy(sqlite_made, tmp_path / 'store.db')}"
    now_ms = int(time.time() * 1000)
    with opened(url) as engine:
        RowStore(engine).put(
            [
                *(row(n, key=f"k{n}", cost_micros=10_000, at_ms=now_ms - 1_000) for n in range(30)),
                row(99, key="k1", cost_micros=5_000_000, at_ms=now_ms - 20 * 60_000),
            ]
        )
    told = Told(15)
    live = {
        "at": "2026-11-26T14:03:07Z",
        "in_flight": 2,
        "workers": 1,
        "workers_silent": 0,
        "data": [{"key": "k1"}],
        "has_more": True,
    }
    async with viewed(url) as browser:
        answers = [
            json.loads((await browser(f"/admin/v1/{each}", headers={"x-api-key": WRITER})).text)
            for each in QUESTIONS[2:4]
        ]
    told.take([live, {"data": [], "times": {"since": None}}, *answers, None])
    drawn = drawn_of(screen(told, "$/h"))
    assert "$1.20/h" in drawn
    assert len(re.findall(r"^k[0-9]+ .*[$]0[.]0400 ", drawn, re.MULTILINE)) == 30
    assert "in flight by key: of the 1 that have waited longest" in drawn


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (120, ["412 ms", "4.80 s", "9.10 s", "1 min 1 s"]),
        (80, ["412 ms", "4.80 s"]),
    ],
)
def test_how_long_requests_take_is_told_as_far_as_there_is_room(
    width: int, shown: list[str]
) -> None:
    told = Told(15, upstreams=ANSWERS["upstreams"])
    lines = drawn_of(screen(told, "$/h", width=width), width).splitlines()
    (line,) = [each for each in lines if each.startswith("acct-b ")]
    for each in ("412 ms", "4.80 s", "9.10 s", "1 min 1 s"):
        assert (each in line) == (each in shown), line
    assert "…" not in line
    assert any("first byte and total: since 13:48" in each for each in lines)


def test_of_several_upstreams_all_together_are_told_too() -> None:
    (first,) = ANSWERS["upstreams"]["data"]
    other = {**first, "upstream": "acct-a", "in_flight": 2, "state": "up", "cooling": []}
    times = {"since": None, **first["times"], "first_byte_ms": {"p50": None, "p95": 1_000}}
    lines = drawn_of(
        screen(Told(15, upstreams={"data": [first, other], "times": times}), "$/h")
    ).splitlines()
    (line,) = [each for each in lines if each.startswith("all ")]
    assert line.split()[:4] == ["all", "3", "-", "1.00"]
    assert any("total: since the workers began" in each for each in lines)
