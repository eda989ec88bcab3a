"""Usage and single requests by the admin API: grouped, filtered, paged."""

import sqlalchemy as sa

from proxy.store.engine import open_engine
from proxy.store.rows import RowStore
from tests.admin.conftest import Start
from tests.store.rows import AT_MS, DAY_MS, row


def _store(url: str, *numbers: int, **fields: object) -> None:
    engine: sa.Engine = open_engine(url)
    try:
        RowStore(engine).put([row(number, **fields) for number in numbers])
    finally:
        engine.dispose()


async def test_usage_is_grouped_and_paged_by_its_dimensions(admin: Start, store_url: str) -> None:
    _store(store_url, 1, 2, 3)
    _store(store_url, 4, key="phone", cost_micros=100)
    _store(store_url, 5, key="phone", at_ms=AT_MS + DAY_MS, served_model=None)
    async with admin() as ask:
        _, first = await ask("GET", "/usage?by=key&limit=1")
        (laptop,) = first["data"]
        assert (laptop["key"], laptop["requests"], laptop["cost_micros"]) == ("laptop", 3, 21)
        assert first["has_more"]
        _, second = await ask("GET", f"/usage?by=key&limit=1&after={first['next']}")
        assert [each["key"] for each in second["data"]] == ["phone"]
        assert not second["has_more"]
        _, dearest = await ask("GET", "/usage?by=key&order=cost&limit=1")
        assert [each["key"] for each in dearest["data"]] == ["phone"]
        _, by_day = await ask("GET", "/usage?by=day,model&key=phone")
        assert [(each["day"], each["model"]) for each in by_day["data"]] == [
            ("2024-10-04", "opus"),
            ("2024-10-05", None),
        ]


async def test_single_requests_come_newest_first_page_by_page(admin: Start, store_url: str) -> None:
    _store(store_url, *range(1, 6))
    async with admin() as ask:
        seen, after = [], ""
        while True:
            _, page = await ask("GET", f"/requests?limit=2{after}")
            seen += [each["id"] for each in page["data"]]
            if not page["has_more"]:
                break
            after = f"&after={page['next']}"
        assert seen == [row(number).id for number in range(5, 0, -1)]
        for query in ("until=2024-10-01", "to=2024-10-01", "since=7d", "from=7d", "since=1h&to=1m"):
            _, none = await ask("GET", f"/requests?{query}")
            assert none["data"] == []


async def test_what_cannot_be_asked_is_a_400(admin: Start) -> None:
    async with admin() as ask:
        for query in (
            "by=colour",
            "from=yesterday",
            "since=yesterday",
            "since=7d&from=7d",
            "until=999999w",
            "order=size",
            "after=x",
            "kye=laptop",
            "limit=-1",
        ):
            status, refused = await ask("GET", f"/usage?{query}")
            assert (status, refused["error"]["type"]) == (400, "invalid_request_error")
