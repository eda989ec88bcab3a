"""Fuzz the gateway: random cases, each checked against a plain reading of what should become of it.

`python -m fuzz.run` runs every program for its share of `--seconds`. A failure is made small and written to
`fuzz/failures/`; `--case FILE` checks such a file alone. The last line counts cases; the exit code is 1 if any failed.
"""

import argparse
import ast
import asyncio
import re
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import uvloop

from fuzz.desync import Desync
from fuzz.event_streams import EventStreams
from fuzz.json_bodies import JsonBodies
from fuzz.mutated_requests import MutatedRequests
from fuzz.program import Broken, Found, Program, as_broken, search
from fuzz.shrink import shrunk

PROGRAMS: dict[str, type[Program[Any]]] = {
    program.name: program for program in (JsonBodies, Desync, MutatedRequests, EventStreams)
}

FAILURES = Path(__file__).parent / "failures"
_SHRINK_S = 20.0
_SHOWN_CHARS = 2000


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m fuzz.run", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120, help="for all programs together")
    parser.add_argument("--seed", default="1", help="any text; the same one makes the same cases")
    parser.add_argument("--only", help=f"programs, of {','.join(PROGRAMS)}")
    parser.add_argument("--case", type=Path, help="check the case in this file, and nothing else")
    options = parser.parse_args(argv)
    names = options.only.split(",") if options.only else list(PROGRAMS)
    if unknown := set(names) - PROGRAMS.keys():
        parser.error(f"no such program: {', '.join(sorted(unknown))}")
    options.names = names
    return options


async def _run(program: Program[Any], seed: str, seconds: float) -> Found[Any]:
    """Run one program and tell what it found."""
    print(f"{program.name}: seed {seed}, {seconds:.0f} s", flush=True)
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        await program.open(stack)
        found = await search(program, seed, seconds)
        took = time.monotonic() - began
        for kind, failures in found.failures.items():
            first = min(failures, key=lambda failure: len(failure.case))
            small = await shrunk(program, first.case, kind, _SHRINK_S)
            _tell(program.name, f"seed {seed}, case {first.number}", first.broken, small)
    words = ", ".join(f"{count} {word}" for word, count in found.words.most_common())
    print(f"{program.name}: {found.passed + found.failed} cases in {took:.0f} s: {words or 'none'}")
    for remark in program.remarks():
        print(f"{program.name}: {remark}")
    print(f"{program.name}: {found.passed} passed, {found.failed} failed", flush=True)
    return found


def _tell(name: str, place: str, broken: Broken, case: Any) -> None:
    """Write a failing case to a file, and say what is wrong with it."""
    FAILURES.mkdir(exist_ok=True)
    slug = re.sub(r"[^a-z0-9]+", "-", broken.kind.lower())[:60].strip("-")
    path = FAILURES / f"{name}-{slug}.case"
    path.write_text(f"({name!r}, {case!r})\n", "utf-8")
    print(f"{name}: FAILED ({place}): {broken.kind}: {str(broken.detail)[:_SHOWN_CHARS]}")
    print(f"  {str(case)[:_SHOWN_CHARS]}")
    print(f"  again: make fuzz CASE={path}", flush=True)


async def _check(name: str, case: Any) -> bool:
    """Check one case; tell whether it passed."""
    program = PROGRAMS[name]()
    async with AsyncExitStack() as stack:
        await program.open(stack)
        try:
            word = await program.check(case)
        except Exception as error:  # noqa: BLE001 - as in the search
            broken = as_broken(error)
            print(f"{name}: FAILED: {broken.kind}: {broken.detail}")
            return False
    print(f"{name}: {word}")
    return True


def main(argv: Sequence[str] | None = None) -> int:
    """Run; give the exit code."""
    options = _options(argv)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        if options.case:
            passed = runner.run(_check(*ast.literal_eval(options.case.read_text("utf-8"))))
            print(f"{int(passed)} passed, {int(not passed)} failed")
            return int(not passed)
        share = options.seconds / len(options.names)
        results = [
            runner.run(_run(PROGRAMS[name](), options.seed, share)) for name in options.names
        ]
    failed = sum(found.failed for found in results)
    print(f"{sum(found.passed for found in results)} passed, {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
