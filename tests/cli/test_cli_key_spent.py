"""`anyrouter keys show` tells what a key has spent, whichever it is, and `usage` takes the API's older names."""

import json
import time

import pytest

from proxy.__main__ import main
from proxy.store.rows import RowStore
from tests.store.rows import opened, row
from tests.support.commands import write_config
from tests.support.stores import make_store


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give a configuration whose store has requests of today."""
    folder = tmp_path_factory.mktemp("spent")
    url = f"sqlite:///{folder / 'store.db'}"
    make_store(url)
    with opened(url) as engine:
        now_ms = time.time_ns() // 1_000_000
        rows = [row(number, key="tester", owner=None, at_ms=now_ms) for number in (1, 2)]
        RowStore(engine).put(rows)
    return str(write_config(folder, more='store: {url: "sqlite:///store.db"}\n'))


def test_what_a_key_has_spent_is_shown(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "show", "tester", "--config", config, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["spent"] == {"day_micros": 14, "month_micros": 14}
    assert main(["keys", "show", "tester", "--config", config]) == 0
    assert "$0.000014 today, $0.000014 this month, in UTC" in capsys.readouterr().out


def test_a_new_key_has_spent_nothing(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "new", "fresh", "--config", config]) == 0
    assert main(["keys", "show", "fresh", "--config", config]) == 0
    assert "$0.00 today, $0.00 this month, in UTC" in capsys.readouterr().out


@pytest.mark.parametrize(("since", "until"), [("--since", "--until"), ("--from", "--to")])
def test_usage_takes_either_name_of_a_time(
    config: str, since: str, until: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for flags, count in (((since, "1h"), 2), ((until, "3d"), 0)):
        assert main(["usage", *flags, "--config", config, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["total"]["requests"] == count
