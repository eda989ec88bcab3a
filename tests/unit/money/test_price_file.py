"""The price file: what is wrong with one is told by its place, and stops the start."""

from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.money import price_file, price_rows
from proxy.money.price_rows import PriceError
from proxy.money.usage import Billed

RATES = {"input": 1, "output": 5, "cache_write_5m": 1.25, "cache_write_1h": 2, "cache_read": 0.1}
FILE = {
    "version": "2026-01-01",
    "unknown": RATES,
    "web_search_per_1000": 10,
    "models": [{"id": "a", **RATES}],
}


def faults(document: Any, **configured: Any) -> tuple[str, ...]:
    with pytest.raises(PriceError) as raised:
        price_rows.build(document, **configured)
    assert str(raised.value) == "\n".join(raised.value.faults)
    return raised.value.faults


def with_row(**changes: Any) -> dict[str, Any]:
    return {**FILE, "models": [{"id": "a", **RATES, **changes}]}


def test_a_file_needs_neither_geo_nor_tier() -> None:
    assert price_rows.build(FILE).find("a", "").name == "a@2026-01-01"


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ([], "file: must be a mapping"),
        (with_row(input=0.0001), "models.0.input: has more than 3 digits behind the point"),
        (with_row(input=-1), "models.0.input: must be between 0 and 1000000"),
        (with_row(input=1e7), "models.0.input: must be between 0 and 1000000"),
        (with_row(input="dear"), "models.0.input: must be a number"),
        (with_row(input=float("nan")), "models.0.input: must be a number"),
        (with_row(input=float("inf")), "models.0.input: must be a number"),
        (with_row(input="1e999999999"), "models.0.input: must be a number"),
        (with_row(input="1e-999999999"), "models.0.input: must be a number"),
        (with_row(input=1.23456789012345), "models.0.input: must be a number"),
        (with_row(input=True), "models.0.input: must be a number"),
        (with_row(input=None), "models.0.input: is missing"),
        (with_row(inputs=1), "models.0: 'inputs' is not known here"),
        (with_row(id=""), "models.0.id: must be text of ASCII characters; put it in quotes"),
        (with_row(id=5), "models.0.id: must be text of ASCII characters; put it in quotes"),
        (with_row(id="a b"), "models.0.id: must be one word of at most 100 characters"),
        (with_row(id="unknown"), "models.0.id: must be one word of at most 100 characters"),
        (with_row(id="a*b"), "models.0: id: only its last character may be a *"),
        (with_row(fast=-2), "models.0.fast: must be between 0 and 1000"),
        (with_row(fast="x"), "models.0.fast: must be a number"),
        (with_row(long_prompt=5), "models.0.long_prompt: must be a mapping"),
        (
            with_row(long_prompt={"over_tokens": 1.5, **RATES}),
            "models.0.long_prompt.over_tokens: must be whole",
        ),
        (with_row(long_prompt=RATES), "models.0.long_prompt.over_tokens: is missing"),
        (
            {**FILE, "models": [{"id": "x/A.a", **RATES}, {"id": "A.a", **RATES}]},
            "models.1: id: comes twice, also as x/A.a",
        ),
        ({**FILE, "models": {}}, "models: must be a list"),
        ({**FILE, "models": "a"}, "models: must be a list"),
        ({**FILE, "geo": []}, "geo: must be a mapping"),
        ({**FILE, "geo": {"us": "x"}}, "geo.us: must be a number"),
        (
            {**FILE, "version": 2026},
            "file.version: must be text of ASCII characters; put it in quotes",
        ),
        ({**FILE, "currency": "EUR"}, "file: 'currency' is not known here"),
    ],
)
def test_what_is_wrong_is_told_by_its_place(document: Any, said: str) -> None:
    assert said in faults(document)


def test_everything_wrong_is_told_at_once() -> None:
    told = faults(with_row(input=None, fast="x"), multiplier="y", upstreams={"eu": -1})
    assert set(told) == {
        "models.0.input: is missing",
        "models.0.fast: must be a number",
        "upstreams.eu: must be between 0 and 1000",
        "multiplier: must be a number",
    }


def test_a_configured_row_is_checked_as_one_of_the_file() -> None:
    assert faults(FILE, overrides=[{"id": "b", "input": 1}])[0] == "overrides.0.output: is missing"


@pytest.mark.parametrize("factor", [1.1, "1.1", Fraction(11, 10), Decimal("1.1")])
def test_factors_are_taken_exactly_as_they_were_written(factor: Any) -> None:
    table = price_rows.build(FILE, multiplier=factor, upstreams={"eu": factor})
    assert table.modifiers("eu")[:2] == (121, 100)
    assert table.modifiers("other")[:2] == (11, 10)


def test_a_file_of_the_operators_stands_for_the_shipped_one(tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").write_text(yaml.safe_dump(FILE), "utf-8")
    table = price_file.load(tmp_path / "prices.yaml")
    assert (
        table.find("a", "").cost_micros(Billed(input=1_000_000), table.modifiers("x")) == 1_000_000
    )
    assert table.find("claude-opus-5-5", "").name == "unknown@2026-01-01"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"version: [", "not YAML"),
        (b"\xff", "not YAML in UTF-8"),
        (b"version: a\nversion: b\n", "line 2: 'version' is written twice"),
        (b"a: {x: 1,\n x: 2}\n", "line 2: 'x' is written twice"),
        (b"", "file: must be a mapping"),
        (b"? [1]\n: 2\n", "not YAML"),
        (b"!!python/object:os.system {}", "not YAML"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_fault(tmp_path: Path, text: bytes, said: str) -> None:
    (tmp_path / "prices.yaml").write_bytes(text)
    with pytest.raises(PriceError, match=said):
        price_file.load(tmp_path / "prices.yaml")


def test_a_file_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(PriceError, match="file: No such file"):
        price_file.load(tmp_path / "prices.yaml")


def test_every_shipped_row_says_where_it_is_from() -> None:
    text = Path(price_file.__file__).with_name("prices.yaml").read_text("utf-8")
    assert all(row["source"] for row in yaml.safe_load(text)["models"])
