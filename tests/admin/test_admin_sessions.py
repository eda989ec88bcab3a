"""Sessions and the cache by the admin API."""

from proxy import Admin, AdminKey
from proxy.access.keys import digest
from proxy.store.engine import open_engine
from proxy.store.rows import RowStore
from tests.admin.conftest import WRITER, Start
from tests.store.rows import row

SINCE = "since=2024-01-01"


def _store(url: str) -> None:
    engine = open_engine(url)
    rows = [
        row(n, session_id=f"s{n}", cost_micros=n, agent_id="a" if n == 2 else None)
        for n in range(1, 4)
    ]
    RowStore(engine).put(rows)
    engine.dispose()


async def test_sessions_are_told_in_pages_the_dearest_first(admin: Start, store_url: str) -> None:
    _store(store_url)
    async with admin() as ask:
        _, first = await ask("GET", f"/sessions?{SINCE}&limit=2")
        assert [each["id"] for each in first["data"]] == ["s3", "s2"]
        _, second = await ask("GET", f"/sessions?{SINCE}&limit=2&after={first['next']}")
        assert [each["id"] for each in second["data"]] == ["s1"]
        assert (first["has_more"], second["has_more"], second["next"]) == (True, False, None)
        _, recent = await ask("GET", "/sessions")
        assert recent["data"] == []


async def test_one_session_is_told_with_its_tree_and_its_requests(
    admin: Start, store_url: str
) -> None:
    _store(store_url)
    async with admin() as ask:
        status, told = await ask("GET", "/sessions/s2")
        session = told["session"]
        assert (status, session["id"], session["cost_micros"]) == (200, "s2", 2)
        assert [each["kind"] for each in told["lines"]] == ["prompt", "agent"]
        assert [each["id"] for each in told["requests"]] == [row(2).id]
        assert (await ask("GET", "/sessions/nobody"))[0] == 404


async def test_a_session_is_told_by_how_it_alone_begins(admin: Start, store_url: str) -> None:
    engine = open_engine(store_url)
    names = ("b160e3de-one", "b160e3de-two", "c0ffee00")
    RowStore(engine).put([row(n, session_id=name) for n, name in enumerate(names)])
    engine.dispose()
    async with admin() as ask:
        status, told = await ask("GET", "/sessions/c0ffee")
        assert (status, told["session"]["id"]) == (200, "c0ffee00")
        status, told = await ask("GET", "/sessions/b160e3")
        assert (status, told["error"]["type"]) == (400, "invalid_request_error")
        assert "b160e3de-one, b160e3de-two" in told["error"]["message"]
        assert (await ask("GET", "/sessions/c0ff"))[0] == 404


async def test_the_cache_is_told_and_what_cannot_be_asked_is_a_400(admin: Start) -> None:
    async with admin() as ask:
        status, told = await ask("GET", "/cache?key=laptop")
        assert (status, told["reasons"], told["what_if"]) == (200, [], [])
        for path in (
            "/cache?since=x",
            "/sessions?order=size",
            "/sessions?after=x",
            "/sessions/s?a=b",
        ):
            assert (await ask("GET", path))[0] == 400


async def test_sessions_that_are_not_to_be_shown_are_not_told(admin: Start, store_url: str) -> None:
    _store(store_url)
    hidden = Admin(keys=(AdminKey("ops", digest(WRITER), "write"),), sessions=False)
    async with admin(admin=hidden) as ask:
        for path in ("/sessions", "/sessions/s2"):
            assert (await ask("GET", path))[0] == 404
