"""A row becomes the spans that conventions describe: usage once, times inside each other, nothing that is not known."""

from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

from proxy.admin.spans import SLOW_MS, Spans
from proxy.ledger.row import Row
from proxy.protocol import traceparent

SPANS = Spans(1.0, {"a": "api.test"}, shows_sessions=True)
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def row(**fields: Any) -> Row:
    asked = {"id": f"req_{7:028x}", "at_ms": 1_000, "key": "laptop", "endpoint": "messages"}
    sent = {"upstream": "a", "upstream_model": "opus", "attempts": 1, "status": 200}
    return Row(**{**asked, **sent, "total_ms": 900, **fields})


def told(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def test_a_request_is_a_span_below_its_clients_and_its_last_attempt_one_below_it() -> None:
    given = row(trace_id=TRACE, parent_span_id=PARENT, attempts=2, queued_ms=100, gateway_us=2_500)
    server, client = SPANS.of(given)
    assert (server.name, server.kind) == ("POST /v1/messages", SpanKind.SERVER)
    assert (client.name, client.kind) == ("chat opus", SpanKind.CLIENT)
    assert server.context is not None
    assert client.context is not None
    assert server.parent is not None
    assert server.parent.span_id == int(PARENT, 16)
    assert client.parent == server.context
    assert {server.context.trace_id, client.context.trace_id} == {int(TRACE, 16)}
    assert client.context.span_id == int(traceparent.span_of(given.id, 2), 16)
    assert (server.start_time, server.end_time) == (1_000_000_000, 1_900_000_000)
    assert (client.start_time, client.end_time) == (1_102_500_000, 1_900_000_000)


def test_a_request_without_a_trace_begins_one() -> None:
    server, client = SPANS.of(row())
    assert server.parent is None
    assert server.context is not None
    assert f"{server.context.trace_id:032x}" == traceparent.begun_by(row().id)
    assert client.parent == server.context


def test_tokens_of_the_cache_are_input_and_usage_is_on_one_span() -> None:
    usage = {
        "input_tokens": 5,
        "output_tokens": 7,
        "cache_read_tokens": 100,
        "cache_write_5m_tokens": 20,
        "cache_write_1h_tokens": 3,
    }
    server, client = SPANS.of(row(**usage, cost_micros=1_365))
    assert {name: each for name, each in told(client).items() if ".usage." in name} == {
        "gen_ai.usage.input_tokens": 128,
        "gen_ai.usage.output_tokens": 7,
        "gen_ai.usage.cache_read.input_tokens": 100,
        "gen_ai.usage.cache_write.input_tokens": 23,
    }
    assert not [name for name in told(server) if ".usage." in name]
    assert told(server)["anyrouter.cost_usd"] == 0.001365


def test_what_is_not_known_is_left_out() -> None:
    for span in SPANS.of(row()):
        assert not [name for name in told(span) if ".usage." in name or "conversation" in name]
        assert None not in told(span).values()


@pytest.mark.parametrize(
    ("fields", "server_fails", "client_fails"),
    [
        ({}, False, False),
        ({"status": 400, "cause": "upstream_error"}, False, True),
        ({"status": 529, "cause": "upstream_error"}, True, True),
        ({"status": 200, "cause": "upstream_cut"}, True, True),
        ({"status": 200, "cause": "client_closed"}, False, False),
    ],
    ids=["good", "clients-fault", "overloaded", "cut", "client-left"],
)
def test_who_failed_is_marked(
    fields: dict[str, Any], *, server_fails: bool, client_fails: bool
) -> None:
    spans = SPANS.of(row(**fields))
    failed = [each.status.status_code is StatusCode.ERROR for each in spans]
    assert failed == [server_fails, client_fails]
    assert {told(each).get("error.type") for each in spans} == {fields.get("cause")}


@pytest.mark.parametrize(
    ("fields", "is_sent"),
    [
        ({}, False),
        ({"total_ms": SLOW_MS + 1}, True),
        ({"cause": "key_limit", "status": 429}, True),
        ({"cause": "client_stalled"}, False),
        ({"trace_id": "f" * 16 + "0" * 16}, True),
        ({"trace_id": "0" * 16 + "8" + "0" * 15}, False),
    ],
    ids=["other", "slow", "refused", "client-left", "of-the-sample", "not-of-the-sample"],
)
def test_a_sample_is_of_traces_and_leaves_no_failure_out(
    fields: dict[str, Any], *, is_sent: bool
) -> None:
    half = Spans(0.5, {}, shows_sessions=True)
    given = row(**{"id": "req_" + "f" * 28, **fields})
    assert bool(half.of(given)) is is_sent


def test_a_row_of_many_refusals_says_how_many_and_one_that_was_not_sent_has_no_second_span() -> (
    None
):
    (server,) = SPANS.of(row(upstream=None, attempts=0, status=429, cause="key_limit", requests=9))
    assert told(server)["anyrouter.requests"] == 9


def test_times_never_run_backwards() -> None:
    server, client = SPANS.of(row(total_ms=None, gateway_us=5_000))
    for span in (server, client):
        assert span.start_time is not None
        assert span.end_time is not None
        assert span.start_time <= span.end_time
