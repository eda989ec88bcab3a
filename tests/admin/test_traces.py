"""Each request is in one trace, that of its client, and in no other; who takes spans is noticed by no request."""

import asyncio
import contextlib
import logging
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import sqlalchemy as sa
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.trace import SpanKind

from proxy import Admin, AdminKey, Otel, Store
from proxy.access.keys import digest
from proxy.admin.app import create_app
from proxy.admin.otlp import Sender
from proxy.admin.spans import Spans
from proxy.admin.traces import BATCH_ROWS, CATCH_UP_MS
from proxy.notices.events import Event
from proxy.store import traces as stored_traces
from tests.admin.collecting import Collector, collecting
from tests.admin.conftest import READER
from tests.admin.tracing import EARLIER_MS, NOW_MS, STEP_MS, ended, ids, machine, put
from tests.cli.test_cli_admin import LISTENING, _config
from tests.store.rows import AT_MS, opened
from tests.support.commands import environment, started
from tests.support.gateways import BODY, HEADERS, config_for
from tests.support.raw import MESSAGE, UpstreamSide, answer, raw_upstream

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
HINTS = {"traceparent": f"00-{TRACE}-{PARENT}-01", "x-claude-code-session-id": "session-1"}


@pytest.fixture
async def collector(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Collector]:
    async with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-token=t-1")
        # Too short for the package to try again by itself.
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.7")
        yield collector


async def test_what_ended_before_the_first_time_is_in_no_trace_and_all_else_once(
    store_url: str, collector: Collector
) -> None:
    with machine(store_url) as (traces, context):
        put(context, ended(1, EARLIER_MS))
        await traces.step(NOW_MS)
        put(context, ended(2, NOW_MS + 1), ended(3, NOW_MS + 2))
        for step in range(1, 5):
            await traces.step(NOW_MS + step * STEP_MS)
    # After a restart.
    with machine(store_url) as (traces, context):
        put(context, ended(4, NOW_MS + 5 * STEP_MS))
        await traces.step(NOW_MS + 8 * STEP_MS)
        await traces.step(NOW_MS + 9 * STEP_MS)
    assert ids(collector) == [2, 3, 4]
    assert collector.headers["x-token"] == "t-1"
    assert {each["service.name"] for each in collector.resources} == {"anyrouter"}


async def test_those_that_took_long_are_found_by_their_index(
    sqlite_made: Path, tmp_path: Path
) -> None:
    url = f"sqlite:///{shutil.copy(sqlite_made, tmp_path / 'store.db')}"
    asked: list[tuple[str, Any]] = []
    with opened(url) as engine:
        sa.event.listen(
            engine, "before_cursor_execute", lambda *said: asked.append((said[2], said[3]))
        )
        assert stored_traces.ended(engine, stored_traces.SLOW, AT_MS, AT_MS + 1, 5) == (
            [],
            AT_MS + 1,
        )
        sql, values = asked[-1]
        with engine.connect() as connection:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values).all()
    assert "request_slow_at" in str(plan)


async def test_of_two_machines_one_sends_each_request(store_url: str, collector: Collector) -> None:
    with machine(store_url) as (one, context), machine(store_url) as (other, _):
        await one.step(NOW_MS)
        for number in range(8):
            at_ms = NOW_MS + (number + 1) * STEP_MS
            put(context, ended(number, at_ms - STEP_MS))
            await (one if number % 3 else other).step(at_ms)
            await (other if number % 3 else one).step(at_ms)
        await one.step(NOW_MS + 30 * STEP_MS)
    assert ids(collector) == list(range(8))


async def test_many_rows_are_sent_in_bounded_pieces_and_none_twice(
    store_url: str, collector: Collector
) -> None:
    count = 2 * BATCH_ROWS + 500
    with machine(store_url) as (traces, context):
        await traces.step(NOW_MS)
        # Ten end in each millisecond.
        put(context, *(ended(number, NOW_MS + number // 10) for number in range(count)))
        steps = 1
        while await traces.step(NOW_MS + 10 * STEP_MS):
            steps += 1
    assert sorted(ids(collector)) == list(range(count))
    assert steps == 3
    assert max(map(len, collector.batches)) <= 513


async def test_while_nobody_takes_spans_it_is_told_once_and_later_the_last_ten_minutes_are_sent(
    store_url: str,
    collector: Collector,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level("INFO")
    shown: list[str] = []
    shows = logging.Handler()
    monkeypatch.setattr(shows, "emit", lambda record: shown.append(record.name))
    logging.root.addHandler(shows)
    collector.refuses = 401
    with machine(store_url) as (traces, context):
        await traces.step(NOW_MS)
        put(context, ended(1, NOW_MS + 1))
        for minute in range(1, 15):
            put(context, ended(1 + minute, NOW_MS + minute * 60_000))
            await traces.step(NOW_MS + minute * 60_000 + 10_000)
        assert collector.tries <= 15
        # What an application says that sends spans of its own is still its log's.
        logging.getLogger(OTLPSpanExporter.__module__).error("of the host")
        # It comes back: what is taken first is as old as it may be.
        collector.refuses = None
        back_ms = NOW_MS + 16 * 60_000
        put(context, ended(99, back_ms - 10_000))
        for step in range(3):
            await traces.step(back_ms + step * 61_000)
    told = [each for each in caplog.records if hasattr(each, "notice")]
    assert [each.notice.event for each in told] == [Event.SPANS_NOT_TAKEN, Event.SPANS_TAKEN]
    assert told[0].getMessage() == "spans were not taken: answered with status 401"
    assert told[0].notice.do
    # Nothing of the package's own is shown beside it.
    logging.root.removeHandler(shows)
    assert "anyrouter" in shown
    assert [name for name in shown if name.startswith("opentelemetry")] == [
        OTLPSpanExporter.__module__
    ]
    assert len(set(ids(collector))) == len(ids(collector))
    assert 99 in ids(collector)
    # What waited longer was let go, with the batch that nobody took.
    assert 1 not in ids(collector)
    assert min(ids(collector)) > 1 + (back_ms - 2 * CATCH_UP_MS - NOW_MS) // 60_000
    assert set(range(8, 16)) <= set(ids(collector))


async def test_a_receiver_that_is_not_there_is_told_with_the_reason(
    store_url: str, collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    with machine(store_url) as (traces, context), pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
        # Enough for a second try, before which the package says what was wrong with the first.
        patch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1.5")
        with machine(store_url) as (unheard, _):
            await unheard.step(NOW_MS)
            put(context, ended(1, NOW_MS + 1))
            await unheard.step(NOW_MS + 2 * STEP_MS)
        await traces.step(NOW_MS + 4 * STEP_MS)
    (told,) = [each.getMessage() for each in caplog.records if hasattr(each, "notice")]
    assert told == "spans were not taken: nothing listens on 127.0.0.1:9"
    # Whose process ended with it: it is in no trace, rather than in two.
    assert ids(collector) == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed_and_is_told_as_not_taken(
    collector: Collector, status: int
) -> None:
    async with collecting() as elsewhere:
        collector.refuses, collector.moved_to = status, f"{elsewhere.url}/v1/traces"
        sender = Sender()
        spans = Spans(1.0, {}, shows_sessions=True).of(ended(1, NOW_MS))
        told = await asyncio.to_thread(sender.send, spans)
        sender.close()
    assert told == f"answered with a redirect (status {status})"
    assert collector.tries == 1
    # Nobody else has seen the secret among the headers.
    assert elsewhere.tries == 0


ENDLESS = {
    "taken": (b"200 OK", None),
    "moved": (
        b"307 Temporary Redirect\r\nlocation: http://127.0.0.1:9/",
        "answered with a redirect (status 307)",
    ),
}


@pytest.mark.parametrize(("status", "said"), ENDLESS.values(), ids=ENDLESS)
async def test_no_answer_is_read_behind_its_head(
    monkeypatch: pytest.MonkeyPatch, status: bytes, said: str | None
) -> None:
    gone = asyncio.Event()

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 %b\r\ncontent-type: application/x-protobuf\r\n\r\n" % status)
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()
        gone.set()
        writer.close()

    server = await asyncio.start_server(endless, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    sender = Sender()
    spans = Spans(1.0, {}, shows_sessions=True).of(ended(1, NOW_MS))
    async with server, asyncio.timeout(30):
        assert await asyncio.to_thread(sender.send, spans) == said
        await gone.wait()
        sender.close()


async def test_what_failed_or_was_slow_is_sent_whatever_the_sample(
    store_url: str, collector: Collector
) -> None:
    fields: list[dict[str, Any]] = [
        {},
        {"status": 502, "cause": "upstream_cut"},
        {"status": 429, "cause": "key_limit", "attempts": 0, "upstream": None},
        {"total_ms": 61_000},
        {"cause": "client_closed"},
    ]
    with machine(store_url, sample=0.0) as (traces, context):
        await traces.step(NOW_MS)
        put(context, *(ended(n, NOW_MS + 62_000, **each) for n, each in enumerate(fields)))
        await traces.step(NOW_MS + 130_000)
    assert sorted(ids(collector)) == [1, 2, 3]
    # What was never sent has no span of an upstream.
    assert len(collector.of(SpanKind.CLIENT)) == 2


async def test_hidden_sessions_are_in_no_span(store_url: str, collector: Collector) -> None:
    said = {"session_id": "watched-s", "agent_id": "watched-a", "agent_type": "watched-t"}
    for sessions in (True, False):
        with machine(store_url, sessions=sessions) as (traces, context):
            at_ms = NOW_MS + 60_000 * (not sessions)
            await traces.step(at_ms)
            put(context, ended(1 + sessions, at_ms + 1, **said))
            collector.bodies = b""
            await traces.step(at_ms + 3 * STEP_MS)
        assert (b"watched" in collector.bodies) is sessions
    assert len(collector.of(SpanKind.SERVER)) == 2


async def test_a_host_without_the_extra_is_told_what_to_install(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = Admin(keys=(AdminKey("eye", digest(READER)),))
    config = config_for("http://127.0.0.1:9", store=Store(store_url), admin=admin, otel=Otel())
    monkeypatch.setitem(sys.modules, "proxy.admin.otlp", None)
    app = create_app(config)
    app.freeze()
    with pytest.raises(ModuleNotFoundError, match="extra otel"):
        await app.startup()
    await app.cleanup()


async def _says(upstream: UpstreamSide) -> None:
    await upstream.send(answer(MESSAGE, b"200 OK", b"request-id: req_up_1"))


async def test_one_trace_runs_from_the_client_to_the_upstream(
    tmp_path: Path, collector: Collector
) -> None:
    async with raw_upstream(_says) as upstream, aiohttp.ClientSession() as session:
        config = _config(tmp_path, upstream.url)
        text = config.read_text("utf-8") + "otel: {propagate: [first]}\n"
        config.write_text(text, "utf-8")
        env = environment(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_SERVICE_NAME="ours")
        async with started("serve", "--config", str(config), env=env) as command:
            port = (await command.says(LISTENING)).strip('"},')

            async def ask(headers: dict[str, str]) -> None:
                url = f"http://127.0.0.1:{port}/api/v1/messages"
                # What is in a request or an answer is in no span.
                async with session.post(url, data=BODY, headers={**HEADERS, **headers}) as given:
                    assert given.status == 200

            async def heard(count: int) -> None:
                """Ask until so many are in traces: those before the first look are in none."""
                while len(collector.of(SpanKind.SERVER)) < count:
                    await ask(HINTS)
                    await asyncio.sleep(0.2)  # other processes: no event tells

            await heard(1)
            command.tell()
            assert await command.ended() == 0
        told = [
            line.split(b": ", 1)[1].decode()
            for each in upstream.requests
            for line in each.head.split(b"\r\n")
            if line.lower().startswith(b"traceparent: ")
        ]
    servers, clients = collector.of(SpanKind.SERVER), collector.of(SpanKind.CLIENT)
    assert len({each.id for each in collector.spans}) == len(collector.spans)
    assert {(each.trace_id, each.parent_id) for each in servers} == {(TRACE, PARENT)}
    assert [each.parent_id for each in clients] == [each.id for each in servers]
    # Each upstream request named the very span.
    assert len(told) == len(upstream.requests)
    assert {f"00-{TRACE}-{each.id}-01" for each in clients} <= set(told)
    first = clients[0].attributes
    assert first["gen_ai.operation.name"] == "chat"
    assert first["gen_ai.conversation.id"] == "session-1"
    assert first["anyrouter.upstream_request_id"] == "req_up_1"
    assert first["server.address"] == "127.0.0.1"
    # Usage is told once: whoever adds spans up counts nothing twice.
    assert first["gen_ai.usage.input_tokens"] > 0
    assert not [name for name in servers[0].attributes if name.startswith("gen_ai.usage")]
    assert servers[0].attributes["anyrouter.cost_usd"] > 0
    assert {each["service.name"] for each in collector.resources} == {"ours"}
    for secret in (b"say hi", HEADERS["x-api-key"].encode(), b"sk-upstream"):
        assert secret not in collector.bodies
