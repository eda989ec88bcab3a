"""What a worker does for the view of each request, one part after the other, in CPU time of a thread."""

import time
from collections.abc import Callable

import uvloop
from multidict import CIMultiDict, CIMultiDictProxy

from proxy.ledger.row import Row
from proxy.protocol import hints
from proxy.telemetry.counting import Counting
from proxy.tenancy.rows import row_of
from tests.support.ended import BILL, ended

# As Claude Code sends them for an agent's own agent; of the usual ones only so many that a look-up is as long.
_HEADERS = {
    "host": "127.0.0.1",
    "accept": "application/json",
    "authorization": "Bearer ar-bench",
    "user-agent": "claude-cli/2.1.332 (external, cli)",
    "x-app": "cli",
    "x-stainless-lang": "js",
    "x-stainless-os": "Linux",
    "x-stainless-retry-count": "0",
    "anthropic-version": "2023-06-01",
    "anthropic-beta": "claude-code-20250219",
    "content-type": "application/json",
    "x-claude-code-session-id": "09983850-e79f-471d-a9fd-10336b87d70c",
    "x-claude-code-agent-id": "ad10f72eedec5664d",
    "x-claude-code-parent-agent-id": "a91d349f4d7b76c50",
    "x-claude-code-prompt-id": "263cc815-6560-4b62-b89b-3e8d3db18445",
    "x-claude-code-request-class": "subagent",
    "x-claude-code-agent-type": "Explore",
    "x-anyrouter-tag": "repo=shop/web",
}
# Fields of the ledger's row that nothing but the view reads.
_OWN_FIELDS = (
    *("prompt_id", "agent_type", "client", "tag", "client_retry", "gateway_us", "compacted"),
    *("away", "attempts", "billed_entries", "cache_miss_reason", "trace_id", "parent_span_id"),
)
_AT_ONCE = 2000
_TIMES = 60


def parts() -> dict[str, float]:
    """Return microseconds by part, the least of many runs each, and their sum.

    Of the row it is the share of its fields that are the view's: the rest is the ledger's.
    """
    return uvloop.run(_parts())


async def _parts() -> dict[str, float]:
    counting, exchange = Counting(), ended()
    inbound = CIMultiDictProxy(CIMultiDict(_HEADERS))
    exchange.hints = hints.read(inbound)
    now_s = time.monotonic()
    row_us = _least_us(lambda: row_of(exchange, BILL, now_s))
    told = {
        "tally_us": _least_us(lambda: counting.ended(exchange)),
        "headers_us": _least_us(lambda: hints.read(inbound)),
        "row_us": row_us * len(_OWN_FIELDS) / len(Row.__struct_fields__),
    }
    return told | {"parts_us": sum(told.values())}


def _least_us(part: Callable[[], object]) -> float:
    least_s = float("inf")
    for _ in range(_TIMES):
        began_s = time.thread_time()
        for _ in range(_AT_ONCE):
            part()
        least_s = min(least_s, (time.thread_time() - began_s) / _AT_ONCE)
    return least_s * 1e6
