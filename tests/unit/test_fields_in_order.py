"""Values that are told by their place are those of their names."""

import time

from proxy.access.user_agents import Client
from proxy.causes import Cause
from proxy.config import Key, Model
from proxy.exchange import Exchange
from proxy.ledger.row import Row
from proxy.money.bill import Bill, Facts, UsageSource
from proxy.money.usage import Billed, Sums
from proxy.pooled import Pooled
from proxy.progress import Progress
from proxy.protocol.hints import Hints
from proxy.protocol.told import Told
from proxy.received import Received
from proxy.routing.router import Route
from proxy.tenancy.facts import facts_of
from proxy.tenancy.rows import row_of

_USAGE = {"input_tokens": 1}


def _exchange() -> Exchange:
    exchange = Exchange(Received("POST", "/v1/messages", "192.0.2.1"))
    exchange.key = Key("laptop", "0" * 64, owner="team")
    exchange.endpoint, exchange.model = "messages", "asked"
    exchange.route = Route("b", "native-id", Model("asked", "b"), "upstream-id")
    exchange.pooled = Pooled("a")
    exchange.upstream_request_id = "req_upstream"
    exchange.status, exchange.cause, exchange.stream = 200, Cause.CLIENT_CLOSED, True
    exchange.queued_ms, exchange.bytes_in, exchange.bytes_out = 11, 12, 13
    exchange.first_byte_s, exchange.gateway_s = exchange.received.started_s + 0.014, 0.0000155
    exchange.session_id, exchange.agent_id = "session", "agent"
    exchange.client = Client("client", "1.2")
    exchange.progress, exchange.opaque, exchange.usage = Progress.COMPLETE, True, _USAGE
    exchange.body_bytes, exchange.max_tokens, exchange.sent_s = 16, 17, time.monotonic()
    exchange.speed, exchange.geo = "speed", "geo"
    exchange.told = Told("served", "end_turn", "refusal", "cache_miss", 18)
    exchange.hints = Hints(
        "parent", "prompt", "class", "type", compacted=True, tag="tag", client_retry=20,
        trace_id="trace", parent_span_id="span",
    )  # fmt: skip
    return exchange


async def test_a_row_has_each_value_under_its_name() -> None:
    exchange = _exchange()
    sums = Sums(21, 22, 23, 24, 25, 26)
    bill = Bill(
        (Billed(), Billed(), Billed()), sums, 27, UsageSource.PARTIAL, "price", "bill-speed",
        "bill-geo", "tier",
    )  # fmt: skip
    received = exchange.received
    assert row_of(exchange, bill, received.started_s + 0.028, "would") == Row(
        id=received.id, at_ms=int(received.at_unix_s * 1000), key="laptop", endpoint="messages",
        owner="team", model="asked", upstream="b", upstream_model=exchange.route.upstream_model,  # type: ignore[union-attr] # set above
        served_model="served", upstream_request_id="req_upstream", status=200,
        cause="client_closed", stop_reason="end_turn", stream=1, queued_ms=11, first_byte_ms=14,
        total_ms=28, bytes_in=12, bytes_out=13, input_tokens=21, output_tokens=22,
        cache_write_5m_tokens=23, cache_write_1h_tokens=24, cache_read_tokens=25, web_searches=26,
        cost_micros=27, usage_source="partial", price="price", speed="bill-speed", geo="bill-geo",
        service_tier="tier", session_id="session", agent_id="agent", parent_agent_id="parent",
        request_class="class", would_refuse="would", requests=1, prompt_id="prompt",
        agent_type="type", client="client/1.2", tag="tag", client_retry=20, gateway_us=15,
        compacted=1, away=1, attempts=1, billed_entries=3, cache_miss_reason="cache_miss",
        trace_id="trace", span_id=None, parent_span_id="span",
    )  # fmt: skip


async def test_the_facts_have_each_value_under_its_name() -> None:
    exchange = _exchange()
    facts = facts_of(exchange, 0.5)
    assert 0 <= facts.waited_s < 60
    assert facts == Facts(
        progress=Progress.COMPLETE, upstream="b", upstream_model=exchange.route.native,  # type: ignore[union-attr] # set above
        usage=_USAGE, served_model="served", stop_reason="end_turn", refusal="refusal", stream=True,
        opaque=True, output_bytes=18, bytes_out=13, client_left=True,
        waited_s=facts.waited_s, body_bytes=16, max_tokens=17, ratio=0.5, speed="speed", geo="geo",
    )  # fmt: skip
