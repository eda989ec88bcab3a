"""Each change of keys and owners says who follows it: a running gateway, or nobody yet."""

import asyncio
from pathlib import Path

import aiohttp
import pytest

from tests.cli.shell import APART, FOLLOWS, STORE, Typing
from tests.support.commands import started, status_of, write_config


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
        assert "/spool, no gateway runs here with this configuration's store" in err
        assert APART not in err


async def test_each_change_says_that_it_counts_soon_and_that_workers_count_apart_where_a_gateway_has_them(
    typing: Typing, tmp_path: Path
) -> None:
    args = ("serve", "--config", tmp_path / "config.yaml", "--port", "0", "--workers", "2")
    async with started(*args) as command:
        # The number of workers is the command line's: no file says it.
        await command.says(b"listen.workers: with more than one, limits and budgets")
        said = await command.says(b"config.yaml: 1 upstream, 1 wildcard, 1 key in the file, ")
        assert "store sqlite:///" in said
        await command.says(b"listening on ")
        for words in CHANGES:
            status, _, err = typing(*words)
            assert (status, FOLLOWS in err) == (0, True)
            is_limited = any(word in {"--rpm", "--day-usd"} for word in words)
            assert (APART in err) == is_limited
