"""`GET /metrics`: who may read it, what it says, and that it says what is documented."""

import contextlib
import importlib.util
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import sqlalchemy as sa
from aiohttp import web
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as read_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as read_text

from proxy import Admin, AdminKey, Auth, Key, Member, Pool, RateLimits, Store, Upstream
from proxy.access.keys import digest
from proxy.admin.app import create_app
from proxy.admin.metric_list import METRICS
from proxy.admin.serve import is_for_this_machine
from proxy.admin.workers import OwnGateway
from proxy.ledger.cache_breaks import REASONS
from proxy.sandbox import Knobs, serve_sandbox
from proxy.store.tables import CACHE_DAY
from tests.admin.conftest import READER, WRITER
from tests.store.rows import opened
from tests.support.gateways import KEY, Running, config_for, running

METRICS_KEY = "ara-metrics-0123456789-abcdefghij"
KEYS = (
    AdminKey("ops", digest(WRITER), "write"),
    AdminKey("eye", digest(READER)),
    AdminKey("prometheus", digest(METRICS_KEY), "metrics"),
)
ROOT = Path(__file__).parents[2]


class Scraped:
    """A gateway, and its metrics."""

    def __init__(self, gateway: Running, url: str) -> None:
        self.gateway = gateway
        self.url = url

    async def get(
        self, path: str = "/metrics", key: str | None = None, **headers: str
    ) -> tuple[int, str, str]:
        """Return status, media type and text."""
        given = headers if key is None else {**headers, "authorization": f"Bearer {key}"}
        async with (
            aiohttp.ClientSession() as session,
            session.get(self.url + path, headers=given) as response,
        ):
            return response.status, response.headers["Content-Type"], await response.text()

    async def samples(self) -> dict[str, dict[tuple[str, ...], float]]:
        """Return values by name and labels, the worker's left out."""
        found: dict[str, dict[tuple[str, ...], float]] = {}
        listed = {metric.name.removesuffix("_total"): metric.labels for metric in METRICS}
        for family in read_text((await self.get())[2]):
            order = [name for name in (*listed[family.name], "le") if name != "worker"]
            for each in family.samples:
                labels = tuple(each.labels[name] for name in order if name in each.labels)
                found.setdefault(each.name.removeprefix("anyrouter_"), {})[labels] = each.value
        return found


@contextlib.asynccontextmanager
async def scraped(*, is_open: bool = True, **changes: Any) -> AsyncIterator[Scraped]:
    async with contextlib.AsyncExitStack() as stack:
        sandbox = await serve_sandbox("127.0.0.1", 0, Knobs())
        stack.push_async_callback(sandbox.cleanup)
        config = config_for(
            f"http://127.0.0.1:{sandbox.addresses[0][1]}", admin=Admin(keys=KEYS), **changes
        )
        gateway = await stack.enter_async_context(running(config))
        gateway.gateway.begin_counting()
        app = create_app(config, OwnGateway(gateway.gateway), open_metrics=is_open)
        runner = web.AppRunner(app)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield Scraped(gateway, f"http://127.0.0.1:{runner.addresses[0][1]}")


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


@pytest.mark.parametrize(
    ("is_open", "key", "status"),
    [
        (True, None, 200),
        (True, METRICS_KEY, 200),
        (True, "ara-wrong", 401),
        (False, None, 401),
        (False, METRICS_KEY, 200),
        (False, READER, 200),
        (False, KEY, 401),
    ],
)
async def test_without_a_credential_it_is_read_on_loopback_only(
    is_open: bool,  # noqa: FBT001 - a column of the table
    key: str | None,
    status: int,
) -> None:
    async with scraped(is_open=is_open) as scrape:
        assert (await scrape.get(key=key))[0] == status


@pytest.mark.parametrize("path", ["/admin/v1/keys", "/admin/v1/usage", "/"])
async def test_a_credential_for_metrics_opens_nothing_else(path: str) -> None:
    async with scraped() as scrape:
        status, _, text = await scrape.get(path, METRICS_KEY)
    assert status in (401, 403)
    assert status == 401 or "admin key prometheus may read /metrics only" in text


async def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == "prometheus_client" else find(name, *rest),
    )
    async with scraped() as scrape:
        status, _, text = await scrape.get()
    assert status == 503
    assert text.count("\n") == 1
    assert "needs the extra `view`" in text


@pytest.mark.parametrize(
    ("host", "is_one"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("view.example.com", False),
    ],
)
def test_only_a_loopback_listener_without_a_proxy_in_front_is_for_this_machine(
    host: str,
    is_one: bool,  # noqa: FBT001 - as above
) -> None:
    assert is_for_this_machine(Admin(host=host)) == is_one
    assert not is_for_this_machine(Admin(host=host, behind_https=True))
    assert not is_for_this_machine(Admin(host=host, hosts=("view.example.com",)))


@pytest.mark.parametrize(
    "header",
    [
        "Forwarded",
        "X-Forwarded-For",
        "x-forwarded-proto",
        "X-Forwarded-Host",
        "X-Real-IP",
        "Via",
    ],
)
async def test_what_a_proxy_passes_on_needs_a_credential(header: str) -> None:
    async with scraped(is_open=True) as scrape:
        assert (await scrape.get(**{header: "for"}))[0] == 401
        assert (await scrape.get(key=METRICS_KEY, **{header: "for"}))[0] == 200
