"""With `admin.sessions: false` sessions and agents are told nowhere on the admin port."""

import dataclasses
import re
import time

import msgspec
import pytest

from proxy.admin.workers import Answer, SocketWorkers
from proxy.server.live import PHASES, InFlight, Live
from proxy.store.engine import open_engine
from proxy.store.rows import RowStore
from tests.admin.conftest import WRITER
from tests.admin.viewing import ADMIN, ANNA, Browser, viewed
from tests.store.rows import row

VARIABLE = re.compile(r"\{(\w+)[^}]*\}")
OF_SESSIONS = {
    "session_id": "h-session",
    "agent_id": "h-agent",
    "parent_agent_id": "h-parent",
    "agent_type": "h-type",
    "prompt_id": "h-prompt",
}
HIDDEN = ("session", "agent", "agent_type")


class Busy(SocketWorkers):
    """A machine with one request in flight."""

    def __init__(self) -> None:
        super().__init__(())

    async def live(self, key: str | None, upstream: str | None, limit: int) -> list[Answer | None]:
        """Return that request."""
        assert limit
        known = {each: OF_SESSIONS.get(each) for each in InFlight.__struct_fields__}
        numbers = dict.fromkeys(("at_ms", "age_ms", "waiting_ms", "bytes_in", "bytes_out"), 0)
        said = {
            "key": key or "anna",
            "upstream": upstream,
            "id": "req_live",
            "phase": PHASES[0],
            "stream": True,
            "attempts": 0,
        }
        flying = InFlight(**known | numbers | said)  # type: ignore[arg-type]  # by name
        told = Live(1, dict.fromkeys(PHASES, 0), [flying])
        return [(200, msgspec.to_builtins(told))]


def _store(url: str) -> str:
    """Store a request of a session, and return its id."""
    stored = row(1, at_ms=int(time.time() * 1000) - 1000, key="anna", status=529, **OF_SESSIONS)
    engine = open_engine(url)
    try:
        RowStore(engine).put([stored])
    finally:
        engine.dispose()
    return stored.id


def _places(browser: Browser, request_id: str) -> list[str]:
    """Return every path that is read, and with what could lead to a session."""
    named = {"name": "anna", "id": request_id, "kind": "key", "digest": "0"}
    found = set()
    for route in browser.app.router.routes():
        if route.method != "GET" or route.resource is None:
            continue
        path, form, _ = route.resource.canonical.partition("{form}")
        for place in {
            VARIABLE.sub(lambda name: named[name[1]], path),
            path.replace("{id}", "h-session"),
        }:
            if "{" not in place:
                found |= {place + each for each in (("", ".json", ".csv") if form else ("",))}
    return sorted(found)


@pytest.mark.parametrize("key", [WRITER, ANNA])
async def test_no_path_tells_a_session_or_an_agent(store_url: str, key: str) -> None:
    request_id = _store(store_url)
    for shows in (True, False):
        admin = dataclasses.replace(ADMIN, sessions=shows)
        async with viewed(store_url, admin=admin, workers=Busy()) as browser:
            places = _places(browser, request_id)
            assert {"/admin/v1/requests", "/admin/v1/live", "/live.json", "/overview"} <= {*places}
            told = {}
            for place in places:
                if "h-session" in place:
                    assert shows or (await browser(place, headers={"x-api-key": key})).status != 200
                    continue
                told[place] = await browser(place, headers={"x-api-key": key})
        telling = {
            place
            for place, each in told.items()
            if any(value in each.text for value in OF_SESSIONS.values())
        }
        # What is looked at here is told where it may be: else nothing would be seen to be hidden.
        assert bool(telling) == shows, telling
        if shows and key == WRITER:
            assert {"/admin/v1/requests", "/admin/v1/live", "/live.json"} <= telling


@pytest.mark.parametrize("name", HIDDEN)
async def test_usage_and_requests_know_no_session_or_agent(store_url: str, name: str) -> None:
    _store(store_url)
    operator = {"x-api-key": WRITER}
    async with viewed(store_url, admin=dataclasses.replace(ADMIN, sessions=False)) as browser:
        for path in (
            f"/admin/v1/usage?by={name}",
            f"/admin/v1/usage?by=key,{name}",
            f"/admin/v1/usage?{name}=h-type",
            f"/admin/v1/requests?{name}=h-type",
        ):
            told = await browser(path, headers=operator)
            assert told.status == 400, path
            assert f"{name}: sessions are not shown here" in told.text
        for query in (f"by={name}", f"by=key&{name}=h-type"):
            assert (await browser(f"/spend.json?{query}", headers=operator)).status == 400
