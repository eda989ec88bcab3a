"""`GET /metrics` says what was asked, and says what is documented."""

import contextlib
import re
import shutil
from pathlib import Path

import sqlalchemy as sa
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as read_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as read_text

from proxy import Auth, Key, Member, Pool, RateLimits, Store, Upstream
from proxy.access.keys import digest
from proxy.admin.metric_list import METRICS
from proxy.ledger.cache_breaks import REASONS
from proxy.sandbox import Knobs, serve_sandbox
from proxy.store.tables import CACHE_DAY
from tests.admin.scraping import scraped
from tests.store.rows import opened
from tests.support.gateways import KEY, config_for

ROOT = Path(__file__).parents[2]


async def test_what_was_asked_and_what_it_cost_is_told() -> None:
    limited = Key("tester", digest(KEY), limits=RateLimits(requests_per_minute=2))
    async with scraped(keys=(limited,)) as scrape:
        statuses = []
        for _ in range(3):
            async with scrape.gateway.post() as response:
                statuses.append(response.status)
        async with scrape.gateway.post(headers={"x-api-key": "ar-nobody"}) as response:
            statuses.append(response.status)
        assert statuses == [200, 200, 429, 401]
        found = await scrape.samples()
        micros = sum(line.get("cost_micros", 0) for line in scrape.gateway.log)
    assert found["requests_total"] == {
        ("messages", "200", ""): 2,
        ("messages", "429", "limited_requests"): 1,
        ("other", "401", "unauthenticated"): 1,
    }
    assert found["key_requests_total"]["tester", "ok"] == 2
    assert found["key_requests_total"]["tester", "limited"] == 1
    assert found["limited_total"]["limited_requests", "false"] == 1
    assert micros > 0
    assert round(found["key_cost_usd_total"]["tester", "reported"] * 1e6) == micros
    assert found["model_cost_usd_total"]["claude-sonnet-4-6", "first"] == micros / 1e6
    assert found["key_tokens_total"]["tester", "output"] > 0
    assert found["request_seconds_count"]["claude-sonnet-4-6", "first"] == 2
    assert found["first_byte_seconds_bucket"]["claude-sonnet-4-6", "first", "+Inf"] == 2
    assert found["gateway_seconds_count"][()] == 2
    assert found["upstream_requests_total"]["first", "", "ok"] == 2
    assert found["in_flight"]["first", "streaming"] == 0
    assert found["connections"][()] >= 1
    assert found["limit_remaining"]["key", "tester", "requests_per_minute"] == 0
    assert found["worker_up"][()] == 1
    assert found["process_resident_memory_bytes"][()] > 1 << 20


async def test_what_a_pool_does_is_told() -> None:
    pool = Pool("pool", (Member("first"), Member("second")))
    async with contextlib.AsyncExitStack() as stack:
        sandbox = await serve_sandbox("127.0.0.1", 0, Knobs())
        stack.push_async_callback(sandbox.cleanup)
        url = f"http://127.0.0.1:{sandbox.addresses[0][1]}"
        config = config_for(url)
        second = Upstream("second", url, config.upstreams[0].auth)
        models = tuple(type(each)(id=each.id, upstream="pool") for each in config.models)
        scrape = await stack.enter_async_context(
            scraped(
                upstreams=(Upstream("first", "http://127.0.0.1:9"), second),
                models=models,
                pools=(pool,),
            )
        )
        for i in range(8):
            async with scrape.gateway.post(
                headers={"x-claude-code-session-id": str(i)}
            ) as response:
                assert response.status == 200
        found = await scrape.samples()
    moved = found["failovers_total"]["pool", "first"]
    assert moved > 0
    assert found["affinity_total"] == {("pool", "home"): 8 - moved, ("pool", "away"): moved}
    assert found["upstream_requests_total"]["second", "pool", "ok"] == 8
    assert found["upstream_cooling"] == {("first",): moved >= 3, ("second",): 0}


async def test_how_old_printed_credentials_are_is_told_and_how_many_access_lines_are_lost() -> None:
    url = "http://127.0.0.1:9"
    printed = Upstream("first", url, Auth("bearer", command=("echo", "sk-1")))
    written = Upstream("second", url, Auth("bearer", key="sk-2"))
    async with scraped(upstreams=(printed, written)) as scrape:
        none = await scrape.samples()
        scrape.gateway.gateway.lost_lines = lambda: 7
        found = await scrape.samples()
    assert list(found["credential_age_seconds"]) == [("first",)]
    assert 0 <= none["credential_age_seconds"]["first",] < found["credential_age_seconds"]["first",]
    assert "access_lines_lost_total" not in none
    assert found["access_lines_lost_total"] == {(): 7}


async def test_what_cache_breaks_cost_is_told_by_reason_and_stays(
    tmp_path: Path, sqlite_made: Path
) -> None:
    made = shutil.copy(sqlite_made, tmp_path / "store.db")
    sums = {"key": "tester", "model": "m", "request_class": "main", "requests": 1}
    rows = [
        {**sums, "day": day, "kind": kind, "tokens": 9_000, "cost_micros": 1_234_567}
        for day, kind in ((1, "idle"), (2, "idle"), (2, "moved"), (2, "paid"))
    ]
    with opened(f"sqlite:///{made}") as engine, engine.begin() as connection:
        connection.execute(sa.insert(CACHE_DAY), rows)
    store = Store(f"sqlite:///{made}", str(tmp_path / "state"))
    async with scraped(store=store) as scrape:
        first = await scrape.samples()
        # Nothing is asked within the minute: what was said stays.
        again = await scrape.samples()
    for found in (first, again):
        dollars, tokens = found["cache_break_usd_total"], found["cache_break_tokens_total"]
        assert set(dollars) == set(tokens) == {(each,) for each in REASONS}
        assert {name[0]: value for name, value in dollars.items() if value} == {
            "idle": 2.469134,
            "moved": 1.234567,
        }
        assert (tokens["idle",], tokens["moved",], tokens["prefix",]) == (18_000, 9_000, 0)


async def test_each_family_is_as_it_is_listed() -> None:
    async with scraped() as scrape:
        async with scrape.gateway.post() as response:
            assert response.status == 200
        families = list(read_text((await scrape.get())[2]))
    listed = {metric.name: metric for metric in METRICS}
    assert len(listed) == len(METRICS)
    names = {each.name + ("_total" if each.type == "counter" else "") for each in families}
    assert names == set(listed)
    for family in families:
        metric = listed[family.name + ("_total" if family.type == "counter" else "")]
        assert (family.type, family.documentation) == (metric.type, metric.help)
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(metric.labels), sample.name


def test_each_metric_is_documented_and_none_else() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text("utf-8")
    assert re.findall(r"^\| `(\w+)` \| (\w+) \|", page, re.MULTILINE) == [
        (metric.name, metric.type) for metric in METRICS
    ]
    for metric in METRICS:
        assert (metric.type == "counter") == metric.name.endswith("_total")
        assert metric.help.endswith(".")


async def test_openmetrics_is_given_to_who_accepts_it() -> None:
    async with scraped() as scrape:
        accepts = "application/openmetrics-text; version=1.0.0"
        status, media_type, text = await scrape.get(accept=accepts)
        plain = await scrape.get()
    assert (status, media_type.partition(";")[0]) == (200, "application/openmetrics-text")
    assert text.endswith("# EOF\n")
    assert list(read_openmetrics(text))  # type: ignore[no-untyped-call] # the library's parser has no types
    assert plain[1].startswith("text/plain; version=0.0.4")
