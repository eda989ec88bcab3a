"""A command that prints a token: whatever it does, it is bounded, and nothing that it prints is told."""

import sys
import time
from pathlib import Path

import pytest

from proxy.upstreams.token_command import TokenError, token_of
from tests.ledger.rows import until


def shell(script: str) -> tuple[str, ...]:
    return ("sh", "-c", script)


@pytest.mark.parametrize(
    "script", ["printf sk-token", "echo sk-token", "echo complaint >&2; printf 'sk-token\\r\\n'"]
)
async def test_one_line_is_the_token(script: str) -> None:
    assert await token_of(shell(script)) == "sk-token"


async def test_arguments_reach_the_program_as_they_are() -> None:
    printing = (sys.executable, "-S", "-c", "import sys; print(sys.argv[1])", "$HOME;`x`*")
    assert await token_of(printing) == "$HOME;`x`*"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        pytest.param(shell("exit 3"), "it ended with status 3", id="fails"),
        pytest.param(
            shell("echo sk-canary; exit 1"), "it ended with status 1", id="prints and fails"
        ),
        pytest.param(shell("kill -9 $$"), "it ended with status -9", id="is killed"),
        pytest.param(shell("true"), "it printed nothing", id="prints nothing"),
        pytest.param(
            shell("echo sk-canary; echo sk-canary"),
            "it printed no token, one line without spaces",
            id="two lines",
        ),
        pytest.param(
            shell("head -c 20000 /dev/zero | tr '\\0' k"),
            "it printed more than 16384 bytes",
            id="too much",
        ),
        pytest.param(shell("sleep 60"), "it has not ended within 0.2 s", id="hangs"),
        pytest.param(shell("yes"), "it has not ended within 0.2 s", id="prints for ever"),
        pytest.param(
            shell("sleep 60 & echo sk-canary"), "it has not ended within 0.2 s", id="leaves a child"
        ),
        pytest.param(
            ("/no/such/program",),
            "/no/such/program cannot be started: No such file or directory",
            id="is not there",
        ),
    ],
)
async def test_what_is_no_token_is_refused_in_time(command: tuple[str, ...], said: str) -> None:
    started = time.monotonic()
    with pytest.raises(TokenError) as refused:
        await token_of(command, within_s=0.2 if "within" in said else 10)
    assert str(refused.value) == said
    assert time.monotonic() - started < 9


async def test_nothing_of_a_command_is_left(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    with pytest.raises(TokenError):
        await token_of(shell(f"sleep 600 & echo $! > {mark}; wait"), within_s=2)
    await until(lambda: has_ended(mark.read_text().strip()))


def has_ended(pid: str) -> bool:
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z"
