"""`anyrouter keys` with a store: keys that are made and changed there, whether a gateway runs or not."""

import sqlite3
from pathlib import Path

import pytest

from proxy.access.keys import digest
from tests.cli.shell import Typing
from tests.support.commands import write_config


def test_a_new_key_is_alone_on_stdout_and_only_its_digest_is_stored(
    typing: Typing, tmp_path: Path
) -> None:
    status, out, err = typing("keys", "new", "laptop")
    key = out.removesuffix("\n")
    assert status == 0
    assert key.startswith("ar-")
    assert "shown this once" in err
    assert "/spool, no gateway runs here with this configuration's store" in err
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
    assert [line.split()[-2:] for line in table[1:] if line] == [
        ["active", each["source"]] for each in listed
    ]


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
