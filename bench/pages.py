"""How long the pages take over a ledger of a million requests: `python -m bench.pages [--store URL] [--days N]`.

Without a URL it fills a store in SQLite; with one it fills that, unless it has requests already. Each page's model is
made as for a browser, ten times: it prints the least, the longest, and this process's CPU time, which of SQLite is all
there is. It fails when the longest of any is over 300 ms, or the Overview's over 100.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa

from proxy import Admin, AdminKey, Auth, Config, Key, Model, Store, Upstream
from proxy.access.keys import digest
from proxy.admin.context import AdminContext
from proxy.admin.page.page import Page, View
from proxy.admin.page.pages import PAGES
from proxy.admin.page.viewer import Viewer
from proxy.admin.workers import OwnGateway
from proxy.gateway import Gateway
from proxy.store.engine import open_engine, reading
from proxy.store.migrate import ensure_current
from proxy.store.tables import CACHE_SUMS, DAY_SUMS

_DAY_MS, _HOUR_MS = 86_400_000, 3_600_000
_TIMES = 10
_MOST_MS = 300.0
_MOST_MS_OF = {"/": 100.0}
_SECRET = "ara-bench-0123456789-0123456789"
# Sixty keys, sessions of forty requests with seven agents and a main one, four models, two upstreams.
_COLUMNS = {
    "id": "'req_' || (10000000000 + x)",
    "at_ms": ":first + x * CAST(:step AS BIGINT)",
    "key": "'key-' || ((x / 40) % 60)",
    "endpoint": "'messages'",
    "owner": "'team-' || ((x / 40) % 6)",
    "model": "'claude-' || ((x / 40) % 4)",
    "upstream": "'acct-' || (x % 2)",
    "upstream_model": "'claude-opus-5-5'",
    "served_model": "'claude-' || ((x / 40) % 4)",
    "upstream_request_id": "'req_01' || (10000000000 + x)",
    "status": "200",
    "cause": "CASE WHEN x % 200 = 0 THEN 'upstream_cut' END",
    "stream": "1",
    "first_byte_ms": "400 + x % 900",
    "total_ms": "2000 + x % 9000",
    "bytes_in": "50000",
    "bytes_out": "9000",
    "input_tokens": "x % 2000",
    "output_tokens": "x % 3000",
    "cache_write_5m_tokens": "x % 5000",
    "cache_read_tokens": "90000 + x % 9000",
    "cost_micros": "30000 + x % 9000",
    "usage_source": "'reported'",
    "price": "'claude-opus-5-5@2026-11-20'",
    "session_id": "'session-' || (x / 40)",
    "agent_id": "CASE WHEN x % 8 > 0 THEN 'agent-' || (x % 8) END",
    "request_class": "CASE WHEN x % 8 > 0 THEN 'subagent' ELSE 'main' END",
    "requests": "1",
    "prompt_id": "'prompt-' || (x / 10)",
    "agent_type": "CASE WHEN x % 8 > 0 THEN 'Explore' END",
    "client": "'claude-cli/2.1.332'",
    "tag": "'repo=shop/' || ((x / 40) % 9)",
    "compacted": "0",
    "away": "0",
    "attempts": "1",
    "billed_entries": "1",
}
_NUMBERS = "WITH RECURSIVE n(x) AS (SELECT 0 UNION ALL SELECT x + 1 FROM n WHERE x + 1 < :rows)"


def _fill(engine: sa.Engine, rows: int, days: float) -> None:
    """Fill an empty store with requests of so many days up to now, their sums, and a cache break in twenty.

    All of them count as looked at, as they would be if they had come one by one.
    """
    step = int(days * _DAY_MS) // rows
    first = int(time.time() * 1000) - rows * step
    numbers = {"rows": rows, "first": first, "step": step}
    requests = f"INSERT INTO request ({', '.join(_COLUMNS)}) {_NUMBERS} SELECT {', '.join(_COLUMNS.values())} FROM n"
    sums = dict.fromkeys(DAY_SUMS, "0") | {"requests": "COUNT(*)"}
    summed = ("input_tokens", "output_tokens", "cache_write_5m_tokens", "cache_read_tokens")
    sums |= {name: f"SUM({name})" for name in (*summed, "cost_micros")}
    day = f"at_ms / {_DAY_MS}"
    failed = "SUM(CASE WHEN cause IS NULL THEN 0 ELSE 1 END)"
    summed_up = [
        f"INSERT INTO {table} ({unit}, key, owner, model, upstream, {', '.join(sums)}) SELECT at_ms / {of_ms}, key, "
        f"owner, served_model, upstream, {', '.join((sums | {'failed': failed}).values())} FROM request "
        "GROUP BY 1, 2, 3, 4, 5"
        for table, unit, of_ms in (("usage_day", "day", _DAY_MS), ("usage_hour", "hour", _HOUR_MS))
    ]
    breaks = (
        "INSERT INTO cache_break (request_id, at_ms, reason, missed, cost_micros, gap_ms) "
        "SELECT id, at_ms, 'idle', 90000, 40000, 400000 FROM request WHERE total_ms % 20 = 0"
    )
    kinds = " UNION ALL ".join(
        f"SELECT '{kind}' AS kind" for kind in ("paid", "idle", "cold", "writes_5m")
    )
    caches = (
        f"INSERT INTO cache_day (day, key, model, request_class, kind, {', '.join(CACHE_SUMS)}) SELECT {day}, key, "
        f"served_model, request_class, kind, COUNT(*), SUM(cache_read_tokens), SUM(cost_micros) "
        f"FROM request, ({kinds}) AS kinds GROUP BY 1, 2, 3, 4, 5"
    )
    with engine.begin() as connection:
        connection.execute(sa.text(requests), numbers)
        for statement in (*summed_up, breaks, caches):
            connection.execute(sa.text(statement))
        until_ms = {"value": first + rows * step}
        connection.execute(
            sa.text("UPDATE meta SET value = :value WHERE name = 'breaks_until'"), until_ms
        )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("ANALYZE"))


def _is_empty(engine: sa.Engine) -> bool:
    with reading(engine) as connection:
        return connection.scalar(sa.text("SELECT 1 FROM request LIMIT 1")) is None


async def _measure(config: Config, rows: int) -> list[tuple[str, float, float, float]]:
    context = AdminContext(config)
    view = View(context, OwnGateway(Gateway(config, ())))
    viewer = Viewer("ops", "read")
    last = rows - 41
    path = {"id": f"session-{last // 40}"}
    request = {"id": f"req_{10_000_000_000 + last}"}
    asked: list[tuple[str, Page, dict[str, str]]] = []
    for page in PAGES:
        if "{id}" in page.path:
            asked.append((page.path, page, request if page.path.startswith("/requests") else path))
        elif "{" not in page.path and page.path != "/find":
            asked.append((page.path, page, {}))
    spend = next(page for page in PAGES if page.path == "/spend")
    asked.append(("/spend?by=hour,model", spend, {"by": "hour,model"}))
    asked.append(("/spend?by=day,key", spend, {"by": "day,key"}))
    found: list[tuple[str, float, float, float]] = []
    for name, page, query in asked:
        began_cpu_s = time.process_time()
        took = sorted([await _timed(page, view, viewer, query) for _ in range(_TIMES)])
        cpu_ms = (time.process_time() - began_cpu_s) * 1000 / _TIMES
        found.append((name, took[0], took[-1], cpu_ms))
    context.close()
    return found


async def _timed(page: Page, view: View, viewer: Viewer, query: dict[str, str]) -> float:
    began = time.perf_counter()
    await page.make(view, viewer, query)
    return (time.perf_counter() - began) * 1000


def _config(url: str) -> Config:
    return Config(
        upstreams=(Upstream("a", "http://127.0.0.1:9", Auth("x-api-key", "k")),),
        models=(Model("*", "a"),),
        keys=(Key("bench", digest("bench")),),
        admin=Admin(keys=(AdminKey("ops", digest(_SECRET)),)),
        store=Store(url),
    )


def _with_store(url: str | None, work: Callable[[str], int]) -> int:
    if url is not None:
        return work(url)
    with tempfile.TemporaryDirectory() as folder:
        return work(f"sqlite:///{Path(folder) / 'store.db'}")


def main() -> int:
    """Fill, measure, print; return 1 when a page takes too long."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--days", type=float, default=30, help="of how long the rows are")
    parser.add_argument("--store", help="the URL of a store, empty or filled by this before")
    args = parser.parse_args()

    def work(url: str) -> int:
        engine = open_engine(url)
        ensure_current(engine)
        began = time.perf_counter()
        if _is_empty(engine):
            _fill(engine, args.rows, args.days)
            print(f"{args.rows} requests in {time.perf_counter() - began:.0f} s")
        engine.dispose()
        found = asyncio.run(_measure(_config(url), args.rows))
        slow = [name for name, _, ms, _ in found if ms > _MOST_MS_OF.get(name, _MOST_MS)]
        for name, least_ms, most_ms, cpu_ms in found:
            told = "  TOO LONG" if name in slow else ""
            print(
                f"{name:<24} least {least_ms:7.1f} ms   p95 {most_ms:7.1f} ms   CPU {cpu_ms:6.1f} ms{told}"
            )
        return int(bool(slow))

    return _with_store(args.store, work)


if __name__ == "__main__":
    sys.exit(main())
