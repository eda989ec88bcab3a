"""`anyrouter serve` with several processes: what keeps one from its start ends the start, and is told once."""

from pathlib import Path

import pytest

from proxy.server.processes import respawn_pause_s
from tests.cli.test_cli_admin import ADMIN_KEY
from tests.support.commands import ran, started, write_config

# Its folder is a file.
STORE = 'store: {url: "sqlite:///store.db", state_dir: config.yaml}\n'
ADMIN = f"admin: {{port: 0, keys: [{{name: ops, key: {ADMIN_KEY}}}]}}\n"
SHAPES = {
    "one worker": (STORE, "1"),
    "two workers": (STORE, "2"),
    "a worker and the admin API": (STORE + ADMIN, "1"),
}


@pytest.mark.parametrize(("more", "workers"), SHAPES.values(), ids=SHAPES)
async def test_what_keeps_a_worker_from_its_start_is_one_line_and_exit_1(
    tmp_path: Path, more: str, workers: str
) -> None:
    config = write_config(tmp_path, more=f"log: {{format: text}}\n{more}")
    status, out, err = await ran("serve", "--config", config, "--workers", workers)
    assert (status, out) == (1, "")
    (line,) = [line for line in err.splitlines() if " warning " not in line]
    assert line.startswith(f"anyrouter: store.state_dir: {config} cannot be written: ")


# `anyrouter`, whose workers have a defect.
DEFECTIVE = (
    "import proxy.commands.serve as serve;"
    "serve.serve_one = lambda *_, **__: [][0];"
    "from proxy.__main__ import main; raise SystemExit(main())"
)


async def test_a_defect_ends_the_start_too_and_has_a_traceback(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    args = ("serve", "--config", config, "--workers", "2")
    async with started(*args, program=("-c", DEFECTIVE)) as command:
        assert await command.ended() == 1
    assert b"Traceback" in command.err
    assert b"list index out of range" in command.err
    assert b"starting another" not in command.err


def test_one_that_fails_again_and_again_is_replaced_ever_more_slowly() -> None:
    assert [respawn_pause_s(failures) for failures in (0, 1, 2, 3, 4, 5, 99)] == [
        *(1, 2, 4, 8, 16, 30, 30)
    ]
