"""`anyrouter keys` with a store: keys that are made and changed there, whether a gateway runs or not."""

import asyncio
import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from proxy.__main__ import main
from proxy.access.keys import digest
from tests.support.commands import started, status_of, write_config

STORE = 'store: {url: "sqlite:///store.db", state_dir: state}\nowners: [{name: team-a}]\n'

FOLLOWS = "a running gateway follows within seconds"
APART = "Each worker counts its limits and budgets for itself"


class Typing:
    """Someone at a shell, in a folder with a configuration."""

    def __init__(self, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._config = str(config)
        self._capsys = capsys

    def __call__(self, *words: str) -> tuple[int, str, str]:
        """Run a command; return its status, output and errors."""
        self._capsys.readouterr()
        try:
            status = main([*words, "--config", self._config])
        except SystemExit as ended:
            status = int(ended.code or 0)
        said = self._capsys.readouterr()
        return status, said.out, said.err

    def json(self, *words: str) -> Any:
        """Run a command that is to succeed; return what it prints for programs."""
        status, out, err = self(*words, "--json")
        assert (status, err) == (0, "")
        return json.loads(out)

    def refused(self, *words: str) -> str:
        """Run a command that is wrong; return the one line that says so."""
        status, out, err = self(*words)
        assert (status, out) == (2, "")
        assert err.count("\n") == 1
        return err


@pytest.fixture
def typing(tmp_path: Path, sqlite_made: Path, capsys: pytest.CaptureFixture[str]) -> Typing:
    """Give a configuration with a store that is there; no variable that it names is set."""
    shutil.copy(sqlite_made, tmp_path / "store.db")
    return Typing(write_config(tmp_path, more=STORE), capsys)


def test_limits_that_each_of_several_workers_counts_for_itself_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = write_config(tmp_path, more=STORE)
    text = config.read_text("utf-8")
    typing = Typing(config, capsys)
    limited = (
        ("keys", "new", "a", "--day-usd", "5"),
        ("keys", "update", "a", "--rpm", "7"),
        ("owners", "set", "b", "--day-usd", "5"),
    )
    assert not any("for itself" in typing(*words)[2] for words in limited[1:])
    assert "for itself" not in typing(*limited[0])[2]
    monkeypatch.setenv("WORKERS", "2")
    for n, workers in enumerate(("2", '"${WORKERS}"')):
        config.write_text(text.replace("listen: {", f"listen: {{workers: {workers}, "), "utf-8")
        for words in (("keys", "new", f"c{n}", "--day-usd", "5"), *limited[1:]):
            status, _, err = typing(*words)
            assert (status, err.count(APART)) == (0, 1)
    assert "for itself" not in typing("keys", "new", "free")[2]


def test_a_new_key_is_alone_on_stdout_and_only_its_digest_is_stored(
    typing: Typing, tmp_path: Path
) -> None:
    status, out, err = typing("keys", "new", "laptop")
    key = out.removesuffix("\n")
    assert status == 0
    assert key.startswith("ar-")
    assert "shown this once" in err
    assert "no gateway runs here with this configuration's store" in err
    with sqlite3.connect(tmp_path / "store.db") as store:
        assert store.execute("SELECT key_name, sha256 FROM api_key_secret").fetchall() == [
            ("laptop", digest(key))
        ]
        ((actor, action),) = store.execute("SELECT actor, action FROM audit").fetchall()
    store.close()
    assert actor.startswith("cli:")
    assert action == "key.create"


def test_what_is_given_is_what_is_shown(typing: Typing) -> None:
    made = typing.json(
        *(
            "keys",
            "new",
            "ci",
            "--owner",
            "team-a",
            "--models",
            "claude-a*, claude-b",
            "--rpm",
            "60",
        ),
        *("--input-tpm", "1000", "--output-tpm", "200", "--in-flight", "4", "--day-usd", "0.5"),
        *("--month-usd", "25", "--expires", "2099-01-31", "--tag", "env=prod", "--tag", "a=b=c"),
    )
    assert made.pop("sha256") == digest(made.pop("key"))
    shown = typing.json("keys", "show", "ci")
    assert shown.pop("spent") == {"day_micros": 0, "month_micros": 0}
    assert made == shown
    assert made["owner"] == "team-a"
    assert made["models"] == ["claude-a*", "claude-b"]
    assert made["limits"] == {
        "requests_per_minute": 60,
        "input_tokens_per_minute": 1000,
        "output_tokens_per_minute": 200,
        "max_in_flight": 4,
        "fail": "open",
        "shadow": False,
    }
    assert (made["budgets"]["day_micros"], made["budgets"]["month_micros"]) == (500_000, 25_000_000)
    assert made["expires_at"] == "2099-01-31T00:00:00Z"
    assert made["tags"] == {"env": "prod", "a": "b=c"}


def test_an_update_changes_what_is_given_and_none_takes_it_off(typing: Typing) -> None:
    typing.json("keys", "new", "ci", "--rpm", "60", "--in-flight", "4", "--day-usd", "1")
    typing.json("keys", "update", "ci", "--owner", "team-a", "--tag", "a=1", "--expires", "30d")
    changed = typing.json("keys", "update", "ci", "--rpm", "none", "--day-usd", "2.25")
    assert changed["limits"]["requests_per_minute"] is None
    assert changed["limits"]["max_in_flight"] == 4
    assert changed["budgets"]["day_micros"] == 2_250_000
    assert (changed["owner"], changed["tags"]) == ("team-a", {"a": "1"})
    assert changed["expires_at"] is not None
    off = ("--owner", "none", "--tag", "a=none", "--expires", "none", "--day-usd", "none")
    changed = typing.json("keys", "update", "ci", *off)
    assert (changed["owner"], changed["tags"], changed["expires_at"]) == (None, {}, None)
    assert changed["budgets"]["day_micros"] is None


def test_keys_of_store_and_configuration_are_listed_by_name(typing: Typing) -> None:
    typing.json("keys", "new", "zoe", "--owner", "team-a", "--month-usd", "25")
    typing.json("keys", "new", "adam")
    listed = typing.json("keys", "list")["data"]
    assert [(key["name"], key["source"]) for key in listed] == [
        ("adam", "store"),
        ("tester", "configuration"),
        ("zoe", "store"),
    ]
    assert [key["name"] for key in typing.json("keys", "list", "--owner", "team-a")["data"]] == [
        "zoe"
    ]
    table = typing("keys", "list")[1].splitlines()
    assert [line.split()[0] for line in table if line] == ["key", "adam", "tester", "zoe"]
    assert "$25.00/month" in table[3]


def test_a_rotated_key_has_a_new_secret_and_tells_until_when_the_one_before_works(
    typing: Typing,
) -> None:
    made = typing.json("keys", "new", "ci")
    rotated = typing.json("keys", "rotate", "ci", "--grace", "1h")
    assert rotated["key"] != made["key"]
    assert rotated["previous_valid_until"] is not None
    status, out, err = typing("keys", "rotate", "ci", "--grace", "0")
    assert (status, out[:3], out.count("\n")) == (0, "ar-", 1)
    assert "the one before works no more" in err


def test_a_deleted_key_is_gone_and_its_name_is_not_given_again(typing: Typing) -> None:
    typing.json("keys", "new", "ci")
    assert typing.json("keys", "delete", "ci") == {"type": "key_deleted", "name": "ci"}
    assert "ci is not in the store" in typing.refused("keys", "show", "ci")
    assert "ci is taken, or was" in typing.refused("keys", "new", "ci")


REFUSED = {
    "a configured name": ("new tester", "NAME: tester is a key of "),
    "a change of a configured key": ("disable tester", "NAME: tester is a key of "),
    "an owner that is not there": ("new ci --owner team-b", "there is no owner team-b"),
    "no limit": ("new ci --rpm 0", "--rpm: must be a whole number from 1, or none"),
    "a limit in words": (
        "new ci --in-flight many",
        "--in-flight/--max-in-flight: must be a whole number",
    ),
    "less than a millionth": ("new ci --day-usd 0.0000001", "--day-usd: must be dollars"),
    "money that is no number": ("new ci --month-usd NaN", "--month-usd: must be dollars"),
    "money that is owed": ("new ci --month-usd=-5", "--month-usd: must be dollars"),
    "a time in words": ("new ci --expires tomorrow", "--expires: must be a span such as"),
    "a tag without a value": ("new ci --tag prod", "--tag: must be NAME=VALUE"),
    "a wildcard in the middle": ("new ci --models a*b", "models"),
    "nothing to change": ("update tester", "nothing to change is given"),
    "a grace in words": ("rotate ci --grace long", "--grace: must be a time such as"),
    "an unknown key": ("rotate nobody", "nobody is not in the store"),
}


@pytest.mark.parametrize(("words", "said"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_done_is_one_line_that_says_why(
    typing: Typing, words: str, said: str
) -> None:
    assert said in typing.refused("keys", *words.split())


def test_without_a_store_the_commands_say_how_to_have_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    typing = Typing(write_config(tmp_path), capsys)
    how = 'put `store: {url: "sqlite:///var/anyrouter.db"}` there, in place of `store: null`'
    assert how in typing.refused("keys", "rotate", "ci")
    assert how in typing.refused("usage")
    refused = typing.refused("keys", "new", "ci", "--rpm", "5", "--owner", "a")
    assert "--owner, --rpm: only for keys in a store, and no key is made" in refused
    status, out, err = typing("keys", "list")
    assert (status, [line.split()[0] for line in out.splitlines() if line]) == (
        0,
        ["key", "tester"],
    )
    assert how in err
    assert "tester is a key of " in typing.refused("keys", "disable", "tester")
    status, out, err = typing("keys", "new", "ci")
    assert (status, out[:3]) == (0, "ar-")
    assert "Its entry goes below `keys:` of the configuration" in err


DOWN = {
    "a database that is no database": ("sqlite:///config.yaml", "file is not a database"),
    "a server that is down": ("postgresql://u:secret@127.0.0.1:1/x", "refused"),
}


@pytest.mark.parametrize(("url", "said"), DOWN.values(), ids=DOWN)
def test_a_store_that_does_not_answer_is_one_line_without_its_password(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], url: str, said: str
) -> None:
    typing = Typing(write_config(tmp_path, more=f'store: {{url: "{url}"}}\n'), capsys)
    status, out, err = typing("keys", "list")
    assert (status, out) == (1, "")
    assert err.count("\n") == 1
    assert err.startswith("anyrouter: the store does not answer, and nothing is changed: ")
    assert said in err
    assert "secret" not in err


async def test_a_running_gateway_takes_a_new_key_and_refuses_it_when_it_is_disabled(
    typing: Typing, tmp_path: Path
) -> None:
    async with (
        started("serve", "--config", str(tmp_path / "config.yaml")) as gateway,
        aiohttp.ClientSession() as session,
    ):
        port = await gateway.says(b"listening on http://127.0.0.1:")
        key = typing("keys", "new", "laptop")[1].strip()

        async def comes(wanted: int) -> None:
            url = f"http://127.0.0.1:{port.strip()}/api/v1/models"
            headers = {"x-api-key": key, "anthropic-version": "2023-06-01"}
            status = None
            for _ in range(300):
                status = await status_of(session, url, **headers)
                if status == wanted:
                    return
                await asyncio.sleep(0.05)  # another process: there is no event to wait for
            raise AssertionError(f"{status}, and not {wanted}")

        await comes(200)
        assert typing("keys", "disable", "laptop")[0] == 0
        await comes(401)
        assert typing("keys", "enable", "laptop")[0] == 0
        await comes(200)


CHANGES = (
    ("keys", "new", "ci", "--day-usd", "5"),
    ("keys", "update", "ci", "--rpm", "7"),
    ("keys", "rotate", "ci"),
    ("keys", "disable", "ci"),
    ("keys", "enable", "ci"),
    ("keys", "delete", "ci"),
    ("owners", "set", "team", "--day-usd", "5"),
    ("owners", "set", "team", "--rpm", "7"),
    ("owners", "delete", "team"),
)


def test_each_change_says_that_no_gateway_has_the_store_where_none_has(typing: Typing) -> None:
    for words in CHANGES:
        status, _, err = typing(*words)
        assert (status, FOLLOWS in err) == (0, False)
        assert "no gateway runs here with this configuration's store" in err
        assert APART not in err


async def test_each_change_says_that_it_counts_soon_and_that_workers_count_apart_where_a_gateway_has_them(
    typing: Typing, tmp_path: Path
) -> None:
    args = ("serve", "--config", tmp_path / "config.yaml", "--port", "0", "--workers", "2")
    async with started(*args) as command:
        # The number of workers is the command line's: no file says it.
        await command.says(b"listen.workers: with more than one, limits and budgets")
        said = await command.says(b"config.yaml: 1 upstream, 1 wildcard, 1 key, ")
        assert "store sqlite:///" in said
        await command.says(b"listening on ")
        for words in CHANGES:
            status, _, err = typing(*words)
            assert (status, FOLLOWS in err) == (0, True)
            is_limited = any(word in {"--rpm", "--day-usd"} for word in words)
            assert (APART in err) == is_limited
