"""Fuzz one pure function with atheris, guided by coverage: `make fuzz-atheris TARGET=parse_call SECONDS=60`.

An input that breaks the property is written to `fuzz/failures/`; `--case FILE` checks such a file, without atheris.
"""

import argparse
import importlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

_FAILURES = Path(__file__).parent / "failures"
_SEEDS = 200
_MAX_BYTES = 1 << 14
_RUNS = re.compile(r"^(?:Done |#)(\d+)", re.MULTILINE)


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m fuzz.guided", description=__doc__)
    parser.add_argument("target", help="a name of fuzz/pure_functions.py")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--case", type=Path, help="check the input in this file, and nothing else")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options, flags = parser.parse_known_args(argv)
    options.flags = flags
    return options


def _target(name: str) -> Any:
    targets = importlib.import_module("fuzz.pure_functions").TARGETS
    if name not in targets:
        raise SystemExit(f"no such target: {name}; there are {', '.join(targets)}")
    return targets[name]


def _fuzz(name: str, flags: Sequence[str]) -> None:
    """Hand this process over to atheris, which ends it."""
    # Not in the lock of the other tools: it has no wheels for some platforms that these run on.
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["proxy"]):
        check, _ = _target(name)
    atheris.Setup([sys.argv[0], *flags], check)
    atheris.Fuzz()


def main(argv: Sequence[str] | None = None) -> int:
    """Fuzz a target in a process of its own; give the exit code."""
    options = _options(argv)
    if options.inside:
        _fuzz(options.target, options.flags)
    check, seeds = _target(options.target)
    if options.case:
        check(options.case.read_bytes())
        print("1 passed, 0 failed")
        return 0
    _FAILURES.mkdir(exist_ok=True)
    print(f"{options.target}: seed {options.seed}, {options.seconds} s", flush=True)
    with tempfile.TemporaryDirectory() as corpus:
        for number in range(_SEEDS):
            made = seeds(Random(f"{options.seed}/{options.target}/{number}"))
            (Path(corpus) / f"{number:03}").write_bytes(made)
        ended = subprocess.run(
            [
                *(sys.executable, "-m", "fuzz.guided", options.target, "--inside"),
                *(f"-seed={options.seed}", f"-max_total_time={options.seconds}"),
                *(f"-artifact_prefix={_FAILURES}/{options.target}-", f"-max_len={_MAX_BYTES}"),
                *("-timeout=20", "-rss_limit_mb=4096", "-verbosity=1", corpus),
            ],
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    runs = max(map(int, _RUNS.findall(ended.stdout)), default=0)
    failed = int(ended.returncode != 0)
    if failed:
        print(ended.stdout[-8000:])
    print(f"{runs - failed if runs else 0} passed, {failed} failed")
    return failed


if __name__ == "__main__":
    sys.exit(main())
