"""What requests cost at a running gateway: by the operator's prices, never nothing, and told beside them."""

import contextlib
from collections.abc import AsyncIterator
from fractions import Fraction
from typing import Any

import pytest

from proxy import Budgets, Prices
from proxy.ledger.row import Row
from proxy.money import bill as bills
from proxy.sandbox import serve_sandbox
from tests.support.gateways import BODY, STREAM_BODY, Running, config_for, running
from tests.tenancy.conftest import Start

NEW = BODY.replace(b"claude-sonnet-4.6", b"claude-next-9")
OURS = {
    "id": "claude-sonnet-*",
    "input": 100,
    "output": 1000,
    "cache_write_5m": 1,
    "cache_write_1h": 1,
    "cache_read": 1,
}


@contextlib.asynccontextmanager
async def served_at(prices: Prices) -> AsyncIterator[Running]:
    """Serve a gateway with prices, and nothing else of what tenants need."""
    sandbox = await serve_sandbox("127.0.0.1", 0)
    try:
        url = f"http://127.0.0.1:{sandbox.addresses[0][1]}"
        async with running(config_for(url, prices=prices)) as gateway:
            yield gateway
    finally:
        await sandbox.cleanup()


def _cost(row: Row, dollars_in: float, dollars_out: float, factor: Fraction = Fraction(1)) -> int:
    nanos = round((row.input_tokens or 0) * dollars_in * 1000)
    nanos += round((row.output_tokens or 0) * dollars_out * 1000)
    return (int(nanos * factor) + 500) // 1000


async def test_a_model_without_a_price_costs_and_is_told_once(
    tenant: Start, caplog: pytest.LogCaptureFixture
) -> None:
    async with tenant() as started:
        for _ in range(3):
            async with started.gateway.post(NEW) as response:
                assert response.status == 200
        rows = await started.rows(3)
    assert {row.price for row in rows} == {"unknown@2026-11-20"}
    assert [row.cost_micros for row in rows] == [_cost(row, 5, 25) for row in rows]
    assert all(row.cost_micros > 0 for row in rows)
    told = [record.getMessage() for record in caplog.records if "price" in record.getMessage()]
    assert told == [
        "model 'claude-next-9' has no price: charged as unknown@2026-11-20; add it to prices"
    ]


async def test_the_operators_rows_and_factors_count(tenant: Start) -> None:
    prices = Prices(
        multiplier=Fraction(3, 2), upstreams={"first": Fraction(11, 10)}, overrides=(OURS,)
    )
    async with tenant(prices=prices) as started:
        async with started.gateway.post() as response:
            assert response.status == 200
        (row,) = await started.rows(1)
        (line,) = started.gateway.log
    assert row.price == "claude-sonnet-*@config"
    assert row.cost_micros == _cost(row, 100, 1000, Fraction(33, 20))
    assert (line["cost_micros"], line["usage_source"]) == (row.cost_micros, "reported")


async def test_prices_alone_are_enough_for_costs_in_the_access_line() -> None:
    async with served_at(Prices(multiplier=Fraction(2))) as gateway:
        async with gateway.post() as response:
            assert response.status == 200
        (line,) = gateway.log
    usage = line["usage"]
    nanos = usage["input_tokens"] * 3000 + usage["output_tokens"] * 15_000
    assert line["cost_micros"] == (2 * nanos + 500) // 1000


async def test_without_any_of_it_no_cost_is_reckoned() -> None:
    async with served_at(Prices()) as gateway:
        async with gateway.post() as response:
            assert response.status == 200
        (line,) = gateway.log
    assert not {"cost_micros", "usage_source"} & line.keys()


@pytest.mark.parametrize("body", [BODY, STREAM_BODY], ids=["message", "stream"])
async def test_a_defect_of_the_bill_costs_what_was_reserved_and_holds_nothing(
    tenant: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, body: bytes
) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError

    async with tenant(budgets=Budgets(day_micros=1_000_000)) as started:
        monkeypatch.setattr(bills, "bill", broken)
        async with started.gateway.post(body) as response:
            assert response.status == 200
            await response.read()
        (row,) = await started.rows(1)
        tenancy = started.gateway.gateway.tenancy
        assert tenancy is not None
        counters = tenancy.admission.counters("key tester")
        assert (counters.in_flight, counters.held_micros) == (0, 0)
    # A quarter of the body's bytes, written to the cache, and all the output that it allows.
    assert row.cost_micros == _cost(row, 3, 15) + round(-(-len(body) // 4) * 3.75)
    assert (row.usage_source, row.output_tokens) == ("estimated", 64)
    assert "a defect of the bill" in caplog.text
