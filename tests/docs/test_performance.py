"""The figures that are told are those of the run that is kept."""

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
RUN: dict[str, Any] = json.loads((ROOT / "docs/performance.json").read_text("utf-8"))


TIMES = "\N{MULTIPLICATION SIGN}"


def _median(workload: str, contender: str, figure: str) -> float:
    median: float = RUN["workloads"][workload]["contenders"][contender][figure]["median"]
    return median


def test_the_readmes_figures_are_the_runs() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    small = RUN["workloads"]["W1"]["contenders"]["gateway"]
    for told in (
        f"{small['rps']['median']:,.0f} small requests a second",
        f"{small['ratio_to_relay']:.2f} {TIMES} a textbook aiohttp relay",
        f"{small['ratio_to_nginx']:.2f} {TIMES} nginx",
        f"{_median('W6', 'gateway', 'added_p50_ms'):.1f} ms added",
        f"{_median('W7', 'gateway', 'idle_mb'):.0f} MB of memory",
        f"{_median('W7', 'gateway', 'kb_per_stream'):.0f} kB for each open stream",
    ):
        assert told in readme


def test_each_target_is_told_with_what_was_measured() -> None:
    document = (ROOT / "docs/performance.md").read_text("utf-8")
    assert len(RUN["targets"]) >= 17
    for target in RUN["targets"]:
        verdict = "holds" if target["holds"] else "missed"
        assert f"| {target['target']} | {target['measured']:.2f} | {verdict} |" in document


def test_the_tables_rows_are_the_runs() -> None:
    document = (ROOT / "docs/performance.md").read_text("utf-8")
    for workload, figure, shown in (
        ("W1", "rps", ",.0f"),
        ("W2", "rps", ",.0f"),
        ("W3", "rps", ",.0f"),
    ):
        row = " | ".join(
            format(_median(workload, contender, figure), shown)
            for contender in ("nginx", "relay", "gateway")
        )
        assert f"| {row} |" in document
