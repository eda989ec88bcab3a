"""A search finds a planted fault, makes it small, writes it down, and finds it again from the file."""

import re
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random

import pytest

from fuzz import guided, run
from fuzz.desync import Desync
from fuzz.event_streams import EventStreams
from fuzz.http_texts import message, plain
from fuzz.json_bodies import JsonBodies
from fuzz.mutated_requests import MutatedRequests
from fuzz.program import Broken, Program, search
from fuzz.pure_functions import TARGETS
from fuzz.shrink import shrunk


class Planted(Program[bytes]):
    """Fails for every case with a 7 and an 8 behind it."""

    name = "planted"

    def make(self, random: Random) -> bytes:
        return bytes(random.randrange(10) for _ in range(30))

    async def check(self, case: bytes) -> str:
        if b"\x08" in case.partition(b"\x07")[2]:
            raise Broken("an 8 behind a 7", len(case))
        return "good"


async def test_a_search_finds_the_same_cases_for_the_same_seed() -> None:
    first, second = [await search(Planted(), "1", 0.2) for _ in range(2)]
    kinds = [found.failures["an 8 behind a 7"][0] for found in (first, second)]
    assert (kinds[0].number, kinds[0].case) == (kinds[1].number, kinds[1].case)
    assert first.passed
    assert first.failed > len(first.failures["an 8 behind a 7"]) == 100


async def test_a_failing_case_is_made_small() -> None:
    assert await shrunk(Planted(), bytes(range(10)) * 3, "an 8 behind a 7", 5) == b"\x07\x08"


def test_a_run_writes_what_fails_and_a_file_fails_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "PROGRAMS", {"planted": Planted})
    monkeypatch.setattr(run, "FAILURES", tmp_path / "failures")
    assert run.main(["--seconds", "0.2"]) == 1
    said = capsys.readouterr().out
    assert "seed 1" in said
    assert re.fullmatch(r"\d+ passed, [1-9]\d+ failed", said.splitlines()[-1])
    (case,) = (tmp_path / "failures").iterdir()
    assert case.read_text("utf-8") == "('planted', b'\\x07\\x08')\n"
    assert run.main(["--case", str(case)]) == 1
    assert capsys.readouterr().out.endswith("0 passed, 1 failed\n")
    case.write_text("('planted', b'\\x07')\n", "utf-8")
    assert run.main(["--case", str(case)]) == 0


PROGRAMS = [JsonBodies, Desync, MutatedRequests, EventStreams]
HELLO = plain(message(1), b"connection: close")
GOOD = {
    "json": (b'{"model":"m","max_tokens":1,"messages":[]}', "accepted"),
    "desync": ([HELLO], "of 1"),
    "mutated": ([HELLO[:30], HELLO[30:]], "200"),
    "sse": ([b'data: {"type":"mess', b'age_stop"}\n\n'], "finished"),
}


@pytest.mark.parametrize("program", PROGRAMS, ids=GOOD)
async def test_every_program_passes_what_is_good(program: type[Program[bytes]]) -> None:
    opened = program()
    case, word = GOOD[opened.name]
    async with AsyncExitStack() as stack:
        await opened.open(stack)
        assert await opened.check(case) == word  # type: ignore[arg-type] # each its own kind of case


@pytest.mark.parametrize("name", TARGETS)
def test_a_guided_target_takes_its_own_seeds_from_a_file(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = {
        "parse_call": b'{"model":"m","max_tokens":1,"messages":[]}',
        "json_members": b'{"a":1,"b":2}',
        "stream_tap": b'\x03data: {"type":"message_stop"}\n\n',
        "headers": b"x-a: b\nConnection: x-a\nx-api-key: ar-1",
        "model_ids": b"claude-a-4.6[1m]",
        "content_encoding": b"\x02not gzip",
    }
    case = tmp_path / "case"
    case.write_bytes(good[name])
    assert guided.main([name, "--case", str(case)]) == 0
    assert capsys.readouterr().out == "1 passed, 0 failed\n"
