"""`anyrouter sessions` and `anyrouter session`: what sessions cost, for people and for programs."""

import json
from pathlib import Path

import pytest
import sqlalchemy as sa

from proxy.__main__ import main
from proxy.ledger.row import Row
from proxy.store.rows import RowStore
from proxy.store.tables import CACHE_BREAK, CACHE_DAY
from tests.store.rows import AT_MS, opened, row
from tests.support.commands import write_config
from tests.support.stores import make_store

SINCE = ("--since", "2024-01-01")


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give a configuration whose store has two sessions, one with agents and a cache break."""
    folder = tmp_path_factory.mktemp("sessions")
    agents = [
        row(
            n,
            session_id="s1",
            prompt_id="p1",
            agent_id=f"a{n}",
            agent_type="Explore",
            cost_micros=100_000,
        )
        for n in (2, 3, 4)
    ]
    first = row(1, session_id="s1", prompt_id="p1", cost_micros=2_000_000, cache_read_tokens=30)
    path = _stored(folder, first, *agents, row(5, session_id="s2", key="phone"))
    with opened(f"sqlite:///{folder / 'store.db'}") as engine:
        lost = {"request_id": first.id, "at_ms": AT_MS, "reason": "idle", "missed": 9, "gap_ms": 1}
        day = {"day": 20_000, "key": "laptop", "model": "opus", "request_class": "main"}
        with engine.begin() as connection:
            connection.execute(sa.insert(CACHE_BREAK).values(**lost, cost_micros=7))
            sums = {**day, "kind": "idle", "requests": 1, "tokens": 9, "cost_micros": 7}
            connection.execute(sa.insert(CACHE_DAY).values(**sums))
    return path


def _stored(folder: Path, *rows: Row) -> str:
    """Return a configuration whose store has these rows."""
    path = write_config(folder, more='store: {url: "sqlite:///store.db"}\n')
    url = f"sqlite:///{folder / 'store.db'}"
    make_store(url)
    with opened(url) as engine:
        RowStore(engine).put(rows)
    return str(path)


def asked(config: str, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Return what a command prints."""
    assert main([*words, "--config", config]) == 0
    return capsys.readouterr().out


def test_sessions_are_listed_the_dearest_first(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = asked(config, capsys, "sessions", *SINCE).splitlines()
    assert [line.split()[:2] for line in lines if line] == [
        ["session", "key"],
        ["s1", "laptop"],
        ["s2", "phone"],
    ]
    assert lines[1].split()[-1] == "$2.30"
    told = json.loads(asked(config, capsys, "sessions", *SINCE, "--key", "phone", "--json"))
    assert [each["id"] for each in told["data"]] == ["s2"]


def test_a_session_is_a_tree_whose_fan_out_is_one_line(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = asked(config, capsys, "session", "s1")
    assert text.startswith(
        "$2.30 = main $2.00 + 3 agents $0.3000; 4 requests; 1 cache break <$0.0001"
    )
    prompt, agents = [line for line in text.splitlines() if "p1" in line or "Explore" in line]
    assert prompt.split()[2:5] == ["$2.00", "$2.30", "4"]
    assert agents.split()[:4] == ["Explore", "x3", "$0", "$0.3000"]
    told = json.loads(asked(config, capsys, "session", "s1", "--json"))
    assert [each["kind"] for each in told["lines"]] == ["prompt", "agents", *["agent"] * 3]


def test_on_a_narrow_terminal_a_session_is_a_line_and_its_id_is_how_it_begins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = "b160e3de-1111-4222-8333-444455556666"
    asks = {"session_id": whole, "key": "nightly-agents", "cost_micros": 1_234_560_000}
    agent = {"agent_id": "a0123456789abcdef", "agent_type": "general-purpose"}
    config = _stored(tmp_path, row(1, **asks), row(2, **asks, **agent))
    monkeypatch.setenv("COLUMNS", "80")
    (line,) = asked(config, capsys, "sessions", *SINCE).splitlines()[1:2]
    assert line.split()[:2] == [whole[:8], "nightly-agents"]
    assert line.split()[-1] == "$2,469.12"
    tree = asked(config, capsys, "session", line.split()[0]).splitlines()
    assert [each.split()[:2] for each in tree[3:] if each] == [
        ["no", "prompt"],
        ["general-purpose", "a0123456"],
    ]
    monkeypatch.setenv("COLUMNS", "150")
    assert whole in asked(config, capsys, "sessions", *SINCE)


def test_on_a_narrow_terminal_ids_are_as_long_as_tells_them_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = _stored(tmp_path, *(row(n, session_id=f"session-{n:04}-of-mine") for n in (1, 2)))
    monkeypatch.setenv("COLUMNS", "80")
    lines = asked(config, capsys, "sessions", *SINCE).splitlines()[1:]
    assert {each.split()[0] for each in lines if each} == {"session-0001", "session-0002"}


def test_a_session_that_is_not_there_says_how_to_find_one(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["session", "nobody", "--config", config]) == 1
    assert "`anyrouter sessions --since 30d` lists" in capsys.readouterr().err


def test_a_store_without_sessions_says_so(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sessions", "--config", config]) == 0
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("words", [["sessions"], ["session", "s1"]], ids=" ".join)
def test_what_shows_sessions_makes_no_store(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_config(tmp_path, more='store: {url: "sqlite:///gone/store.db"}\n')
    assert main([*words, "--config", str(config)]) == 1
    assert "the gateway makes it when it first starts" in capsys.readouterr().err


def test_usage_has_the_caches_share_and_breaks_where_there_is_room(
    config: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    lines = [line.split() for line in asked(config, capsys, "usage").splitlines() if line]
    assert lines[0][:3] == ["key", "hit", "breaks"]
    assert lines[1][:4] == ["laptop", "42.9", "%", "0.000007"]
    assert lines[-1][0] == "total"
    by_upstream = asked(config, capsys, "usage", "--by", "upstream").splitlines()
    assert by_upstream[1].split()[3] == "-"


def test_a_session_is_found_by_how_its_id_begins_and_several_are_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = str(write_config(tmp_path, more='store: {url: "sqlite:///store.db"}\n'))
    url = f"sqlite:///{tmp_path / 'store.db'}"
    make_store(url)
    # Clients make the ids, and may write what a terminal obeys.
    ids = ("0ddbe3fa-6a", "0ddbe3fa-6b", "0ddbe3fa-6b-\u009b2J", "f27c4d8b-a1")
    with opened(url) as engine:
        RowStore(engine).put([row(n, session_id=each) for n, each in enumerate(ids, 1)])
    for text, whole in (("f27c4d", ids[3]), (ids[1], ids[1])):
        told = json.loads(asked(config, capsys, "session", text, "--json"))
        assert told["session"]["id"] == whole
    assert main(["session", "0ddbe3fa", "--config", config]) == 1
    said = capsys.readouterr().err
    shown = ", ".join(ids[:3]).replace("\u009b", "?")
    assert said == f"anyrouter: several sessions begin with '0ddbe3fa': {shown}\n"
    assert main(["session", "f27c4", "--config", config]) == 1
    assert "no session 'f27c4'" in capsys.readouterr().err
