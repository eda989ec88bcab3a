"""Compare the gateway with nginx and a textbook aiohttp relay, interleaved, on this machine.

`python -m bench.run` runs everything; `--quick` the three workloads that show most.
"""

import argparse
import json
import os
import platform
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.bodies import small_body
from bench.contenders import (
    ALL,
    BEFORE,
    BESIDE,
    DIRECT,
    EMBEDDED,
    GATEWAY,
    SCALED,
    TRACES,
    VIEW,
    gateway_command,
    missing_tools,
    plain_upstream,
    stream_upstream,
)
from bench.picture import picture
from bench.processes import StartError
from bench.report import table
from bench.results import Results
from bench.servers import Servers
from bench.targets import TARGETS
from bench.workloads import QUICK, WORKLOADS, Bench, BrokenError, verify
from bench.wrk import wrk

_RESULTS = Path(__file__).parent / "results"
_FULL = {"rounds": 3, "seconds": 4, "soak_s": 300}
_BRIEF = {"rounds": 2, "seconds": 3, "soak_s": 0}


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.run", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="under two minutes; always exits 0")
    parser.add_argument(
        "--before", type=Path, metavar="DIR", help="adds the contender before: this checkout's"
    )
    parser.add_argument("--only", help=f"contenders, of {','.join(ALL)}")
    parser.add_argument("--workloads", help=f"workloads, of {','.join(WORKLOADS)}")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=int, help="length of one measurement")
    parser.add_argument("--soak-s", type=int, help="length of the memory soak; 0 for none")
    parser.add_argument("--out", type=Path, default=_RESULTS, help="directory for the results")
    options = parser.parse_args(argv)
    for name, value in (_BRIEF if options.quick else _FULL).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    known = [name for name in ALL if name != BEFORE or options.before]
    quick_contenders = [
        name for name in known if name not in (DIRECT, EMBEDDED, SCALED, VIEW, TRACES)
    ]
    default = quick_contenders if options.quick else known
    chosen = _chosen(parser, options.only, default, known)
    chosen += [BESIDE[name] for name in chosen if name in BESIDE]
    options.only = [name for name in known if name in chosen]
    plan = QUICK if options.quick else tuple(WORKLOADS)
    options.workloads = _chosen(parser, options.workloads, plan, tuple(WORKLOADS))
    return options


def _chosen(
    parser: argparse.ArgumentParser,
    text: str | None,
    default: Sequence[str],
    known: Sequence[str],
) -> list[str]:
    names = [name.strip() for name in text.split(",")] if text else list(default)
    if unknown := [name for name in names if name not in known]:
        parser.error(f"unknown: {', '.join(unknown)}; there are: {', '.join(known)}")
    return [name for name in known if name in names]


class _Run:
    """The rounds of one run."""

    def __init__(self, options: argparse.Namespace, bench: Bench, results: Results) -> None:
        self._options = options
        self._bench = bench
        self._results = results

    def round(self, turn: int) -> None:
        """Start every contender, let each do every workload once, and end them."""
        bench = self._bench
        with ExitStack() as stack:
            bench.plain, bench.streams = {}, {}
            for name in list(self._options.only):
                try:
                    for port, fleet in (
                        (bench.plain_port, bench.plain),
                        (bench.stream_port, bench.streams),
                    ):
                        fleet[name] = stack.enter_context(bench.running(name, port))
                    verify(bench, name)
                    wrk(bench.scratch, bench.plain[name], small_body(), seconds=1)
                except (StartError, BrokenError, OSError, subprocess.SubprocessError) as error:
                    self._leave_out(name, error)
            shift = turn % max(1, len(self._options.only))
            order = self._options.only[shift:] + self._options.only[:shift]
            for workload in self._options.workloads:
                for name in order:
                    self._measure(turn, workload, name)
        self._results.add_latency_over_direct(turn)

    def _leave_out(self, name: str, error: Exception) -> None:
        self._options.only.remove(name)
        self._results.notes.append(f"{name} was left out: {error}")
        _say(self._results.notes[-1])

    def _measure(self, turn: int, workload: str, name: str) -> None:
        plan = WORKLOADS[workload]
        if name in plan.skip or (plan.once and turn):
            return
        try:
            sample = plan.measure(self._bench, name)
        except (StartError, OSError, subprocess.SubprocessError) as error:
            self._results.notes.append(f"{workload} of {name}, round {turn + 1}: {error!r}")
            _say(self._results.notes[-1])
            return
        self._bench.latest[workload, name] = sample
        self._results.add(workload, name, turn, sample)
        figures = "  ".join(f"{metric}={value:.3g}" for metric, value in sample.items())
        _say(f"round {turn + 1}  {workload:8}{name:16} {figures}")


def _machine() -> dict[str, Any]:
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "cpu": models[0] if models else platform.machine(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def _write(options: argparse.Namespace, results: Results, seconds: float) -> None:
    machine = _machine()
    date = datetime.now(UTC).strftime("%Y-%m-%d")
    subtitle = (
        f"{date}, {machine['cores']} cores for gateway, load and upstream together, "
        f"{options.rounds} round(s), medians, Python {machine['python']}"
    )
    document = {
        "date": date,
        "machine": machine,
        "options": {name: getattr(options, name) for name in (*_FULL, "quick", "only")},
        "took_s": round(seconds),
        "workloads": results.as_json(),
        "targets": [
            {"target": str(target), "measured": round(value, 4), "holds": target.holds(value)}
            for target in TARGETS
            if (value := target.measured(results)) is not None
        ],
        "notes": results.notes,
    }
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "latest.json").write_text(json.dumps(document, indent=1) + "\n")
    (options.out / "latest.svg").write_text(picture(results, subtitle))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark; return 0, 1 when the gateway could not be measured, 2 without tools."""
    options = _options(argv)
    if missing := missing_tools():
        _say(f"missing: {', '.join(missing)}; install with: apt-get install wrk nginx-light")
        return 2
    results = Results()
    if GATEWAY in options.only and gateway_command() is None:
        options.only.remove(GATEWAY)
        results.notes.append("gateway was left out: the command anyrouter is not installed")
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))
    wants_gateway = GATEWAY in options.only
    begin = time.monotonic()
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        bench = Bench(
            scratch,
            options.seconds,
            options.soak_s,
            stack.enter_context(plain_upstream(scratch)),
            stack.enter_context(stream_upstream(scratch)),
            options.before,
            Servers(stack),
        )
        run = _Run(options, bench, results)
        for turn in range(options.rounds):
            run.round(turn)
    took_s = time.monotonic() - begin
    _write(options, results, took_s)
    print(table(results))
    print(f"{took_s:.0f} s; results in {options.out.name}/latest.json and latest.svg")
    return int(wants_gateway and GATEWAY not in options.only and not options.quick)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends the children, too
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except StartError as error:
        sys.exit(f"an upstream of the benchmark did not start: {error}")
