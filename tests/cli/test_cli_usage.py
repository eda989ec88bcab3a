"""`anyrouter usage`: what the store's rows add up to, for people and for programs."""

import csv
import json
from pathlib import Path

import pytest

from proxy.__main__ import main
from proxy.commands import usage
from proxy.commands.standard_files import printable
from proxy.commands.tables import finding, table
from proxy.store.rows import RowStore
from tests.store.rows import DAY_MS, opened, row
from tests.support.commands import write_config
from tests.support.stores import make_store

LAPTOP, PHONE = {"owner": "team-a"}, {"key": "phone", "cache_read_tokens": 50, "cost_micros": 30}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give a configuration whose store has four requests of two keys, on two days."""
    folder = tmp_path_factory.mktemp("usage")
    path = write_config(folder, more='store: {url: "sqlite:///store.db"}\n')
    url = f"sqlite:///{folder / 'store.db'}"
    make_store(url)
    later = 20_001 * DAY_MS
    with opened(url) as engine:
        RowStore(engine).put(
            [row(1, **LAPTOP), row(2, **LAPTOP), row(3, **PHONE), row(4, at_ms=later, **LAPTOP)]
        )
    return str(path)


def asked(config: str, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Return what the command prints."""
    assert main(["usage", "--config", config, *words]) == 0
    return capsys.readouterr().out


def test_the_table_is_by_key_the_dearest_first_and_fits_80_columns(
    config: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = asked(config, capsys).splitlines()
    assert [line.split() for line in lines if line] == [
        ["key", "requests", "input", "cached", "output", "dollars"],
        ["phone", "1", "10", "50", "2", "0.000030"],
        ["laptop", "3", "30", "0", "6", "0.000021"],
        ["total", "4", "40", "50", "8", "0.000051"],
    ]
    assert len({len(line) for line in lines if line}) == 1


def test_json_has_every_sum_and_their_total(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    told = json.loads(asked(config, capsys, "--by", "day,key", "--json"))
    assert [(each["day"], each["key"], each["requests"]) for each in told["data"]] == [
        ("2024-10-04", "laptop", 2),
        ("2024-10-04", "phone", 1),
        ("2024-10-05", "laptop", 1),
    ]
    assert told["total"]["cost_micros"] == sum(each["cost_micros"] for each in told["data"]) == 51


def test_csv_is_a_table_for_programs(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    rows = list(csv.DictReader(asked(config, capsys, "--by", "owner", "--csv").splitlines()))
    assert [(each["owner"], each["cost_micros"]) for each in rows] == [("", "30"), ("team-a", "21")]


NARROWED = {
    "a key": (("--key", "phone"), 1),
    "an owner": (("--owner", "team-a"), 3),
    "a model": (("--model", "opus"), 4),
    "a first day": (("--since", "2024-10-05"), 1),
    "days before one": (("--until", "2024-10-05"), 3),
    "the last days": (("--since", "7d"), 0),
    "requests of an hour": (("--by", "hour", "--since", "2024-10-05T00:00:00Z"), 1),
}


@pytest.mark.parametrize(("words", "requests"), NARROWED.values(), ids=NARROWED)
def test_only_what_is_asked_for_is_counted(
    config: str, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], requests: int
) -> None:
    assert json.loads(asked(config, capsys, *words, "--json"))["total"]["requests"] == requests


def test_nothing_is_told_apart_from_a_table(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["usage", "--config", config, "--key", "nobody"]) == 0
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)


def test_where_there_is_nothing_the_rows_that_wait_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_config(tmp_path, more='store: {url: "sqlite:///store.db", state_dir: state}\n')
    make_store(f"sqlite:///{tmp_path / 'store.db'}")
    waiting = tmp_path / "state" / "spool" / "1-2-3"
    waiting.mkdir(parents=True)
    for name, rows in (("000001.seg", 2), ("000002.seg", 1)):
        (waiting / name).write_bytes(b"{}\n" * rows)
    assert main(["usage", "--config", str(path)]) == 0
    assert capsys.readouterr().err.endswith(f"{waiting.parent}, of any kind: 3\n")


def test_an_unknown_dimension_names_those_there_are(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["usage", "--config", config, "--by", "team"])
    assert ended.value.code == 2
    assert "no 'team'; known: key, owner, model" in capsys.readouterr().err


def test_what_clients_choose_obeys_nobody_in_a_table_or_a_spreadsheet() -> None:
    assert printable("a\x1b]0;title\x07\u009b2Jz") == "a?]0;title??2Jz"
    assert "\x1b" not in table(("model",), [("\x1b[2Jopus",)])
    assert "\x1b" not in finding("BAD", "red", "HTTP 500, \x1b[2J")
    written = usage._csv(("tag",), [{"tag": "=HYPERLINK(1)", "requests": 5}])
    assert "\n'=HYPERLINK(1),5," in written


@pytest.mark.parametrize(
    "words",
    [["usage"], ["keys", "list"], ["keys", "show", "laptop"], ["owners", "list"]],
    ids=" ".join,
)
def test_what_only_reads_makes_no_store(
    words: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = write_config(tmp_path, more='store: {url: "sqlite:///gone/store.db"}\n')
    assert main([*words, "--config", str(config)]) == 1
    assert (
        f"the store is not there: {tmp_path / 'gone' / 'store.db'}, as `store.url` of"
        in capsys.readouterr().err
    )
    assert not (tmp_path / "gone").exists()
