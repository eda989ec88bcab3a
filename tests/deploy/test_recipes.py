"""The questions to the log, as docs/operations.md has them, are answered by jq on the log of a gateway."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.docs.snippets import snippets
from tests.support.client import ask, request
from tests.support.gateways import BODY, Running
from tests.support.raw import UpstreamSide, answer
from tests.support.scripts import gateway_before

(RECIPES,) = [block for block in snippets("docs/operations.md", "sh") if block.startswith("jq")]
# A recipe begins a line; what follows it indented belongs to it.
EACH = re.split(r"\n(?=jq )", RECIPES.strip())


async def some_trouble(gateway: Running) -> list[str]:
    """Ask for what goes well and what does not; return the log."""
    client = {"user-agent": "claude-cli/2.1.330 (external, cli)"}
    for data in (
        request(headers=client),
        request(headers=client | {"x-api-key": "ar-wrong"}),
        request(headers=client, body=BODY.replace(b'"user"', b"7")),
        request(headers=client | {"x-answer": "429"}),
        request(headers=client | {"x-answer": "cut"}),
        request(headers=client, path=b"/nothing"),
    ):
        await ask(gateway, data)
    left = {**gateway.log[0], "cause": "client_closed", "status": None, "total_ms": 61_000}
    one = {**gateway.log[0], "request_id": "req_0123"}
    return [json.dumps(line) for line in (*gateway.log, left, one)]


async def upstream(exchange: UpstreamSide) -> None:
    """Answer as the header x-answer says."""
    if b"x-answer: cut" in exchange.head:
        exchange.reset()
    elif b"x-answer: 429" in exchange.head:
        said = b'{"type":"error","error":{"type":"rate_limit_error","message":"slow down"}}'
        await exchange.send(answer(said, b"429 Too Many Requests", b"retry-after: 17"))
    else:
        await exchange.send(answer())


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    """Return a folder with an access log."""
    async with gateway_before(upstream) as (_, gateway):
        lines = await some_trouble(gateway)
    (tmp_path / "access.log").write_text("\n".join(lines) + "\n", "utf-8")
    return tmp_path


(JOURNAL,) = [
    block for block in snippets("docs/operations.md", "sh") if block.startswith("journalctl")
]
BETWEEN = ["Started anyrouter.service - AnyRouter.", "", "17", '{"cut'
           , '{"time":"t","level":"error","message":"m"}']  # fmt: skip


async def test_what_is_no_json_in_the_journal_stops_no_recipe(folder: Path) -> None:
    log = folder / "access.log"
    lines = log.read_text("utf-8").splitlines()
    both = [each for line in lines for each in (*BETWEEN, line)]
    (folder / "journal").write_text("\n".join([*both, *BETWEEN]) + "\n", "utf-8")
    script, count = re.subn(r"journalctl [^|]+", "cat journal ", JOURNAL)
    assert count == 2
    said = answered(script, folder).splitlines()
    assert said == ["t\terror\tm"] * (len(lines) + 1)
    statuses = [json.loads(line)["status"] for line in log.read_text("utf-8").splitlines()]
    assert statuses == [each for line in lines if (each := json.loads(line)["status"])]


def answered(recipe: str, folder: Path) -> str:
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", recipe],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("recipe", EACH, ids=[each[:60] for each in EACH])
async def test_each_question_has_an_answer(recipe: str, folder: Path) -> None:
    assert answered(recipe, folder).strip()


async def test_who_gets_400_since_the_update_and_why_is_one_line(folder: Path) -> None:
    (row,) = answered(EACH[0], folder).splitlines()
    assert row.split() == [
        *("1", "claude-cli", "2.1.330", "invalid_request_error", "messages.0.role"),
    ]
