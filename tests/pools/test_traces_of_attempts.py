"""Each attempt is told a span of its own; an upstream that is not to be told gets what the client sent."""

import pytest

from proxy import Otel
from proxy.protocol import traceparent
from tests.support.gateways import BODY
from tests.support.pools import Pooled, error, good, pooled
from tests.support.raw import UpstreamSide

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SENT = f"00-{TRACE}-{PARENT}-01"


def parents(pools: Pooled, name: str) -> list[str]:
    """Return the values of the header that an upstream got, as they came."""
    lines = [line for each in pools.upstreams[name].requests for line in _lines(each)]
    return [line[13:] for line in lines if line.lower().startswith("traceparent: ")]


def _lines(upstream: UpstreamSide) -> list[str]:
    return upstream.head.decode().split("\r\n")


@pytest.mark.parametrize("value", [SENT, None, "00-not-one"], ids=["given", "none", "broken"])
async def test_each_attempt_is_told_its_own_span(value: str | None) -> None:
    headers = {} if value is None else {"Traceparent": value, "tracestate": "a=b", "baggage": "c=d"}
    scripts = error(b"529 x", kind=b"overloaded_error"), good
    async with pooled(*scripts, otel=Otel(propagate=("a", "b"))) as pools:
        assert (await pools.ask(BODY, headers=headers))[0] == 200
        row_id = pools.last["id"] if "id" in pools.last else pools.last["request_id"]
        trace = TRACE if value == SENT else traceparent.begun_by(row_id)
        for attempt, name in enumerate("ab", start=1):
            span = traceparent.span_of(row_id, attempt)
            assert parents(pools, name) == [f"00-{trace}-{span}-01"]
            if value is not None:
                assert {"tracestate: a=b", "baggage: c=d"} <= set(
                    _lines(pools.upstreams[name].requests[0])
                )


async def test_who_is_not_named_gets_the_clients_own_bytes() -> None:
    scripts = error(b"529 x", kind=b"overloaded_error"), good
    async with pooled(*scripts, otel=Otel(propagate=("a",))) as pools:
        assert (await pools.ask(BODY, headers={"TraceParent": SENT}))[0] == 200
        assert (await pools.ask(BODY))[0] == 200
        lines = [_lines(each) for each in pools.upstreams["b"].requests]
    assert f"TraceParent: {SENT}" in lines[0]
    assert not [line for line in lines[1] if line.lower().startswith("traceparent")]
