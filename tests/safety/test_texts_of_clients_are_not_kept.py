"""What clients write at their own length fills no memory, however often they write something else."""

import contextlib
import gc
import tracemalloc
from collections.abc import Callable

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from proxy import Member, Model, Pool, Upstream
from proxy.access.user_agents import client_of
from proxy.errors import ProxyError
from proxy.protocol import hints
from proxy.protocol.call import MESSAGES
from proxy.protocol.headers import RequestHeaders, response_headers
from proxy.protocol.parse import parse_call
from proxy.protocol.version import check_version
from proxy.routing.router import Router
from proxy.upstreams.affinity import session_of
from proxy.upstreams.connections import UpstreamTemplate
from proxy.upstreams.pools import PoolOrder

# As long as a line of a head may be.
LONG = "x" * 8_000
TIMES = 600
# What yarl keeps of URLs is some of it.
MOST_BYTES = 3_800_000

UPSTREAM = UpstreamTemplate(Upstream("first", "http://127.0.0.1:1"))
FIELDS = RequestHeaders([])
ROUTER = Router([Model("anthropic/*", "first")])
ORDER = PoolOrder(Pool("p", (Member("first"), Member("second"))), {"first": "a", "second": "b"})
CALL = parse_call(b'{"model":"m","max_tokens":1,"messages":[]}', MESSAGES)


def _head(name: str, value: str) -> CIMultiDictProxy[str]:
    return CIMultiDictProxy(CIMultiDict({name: value}))


def _connection(text: str) -> None:
    listed = ",".join(f"{text[-4:]}{n}" for n in range(900))
    FIELDS.render([(b"connection", listed.encode())], _head("Connection", listed))
    response_headers(_head("Connection", listed))


def _body(text: str) -> None:
    body = b'{"model":"m","max_tokens":1,"messages":[],"%b":1}' % text[:1000].encode()
    parse_call(body, MESSAGES).body_for("n")


WRITTEN: dict[str, Callable[[str], object]] = {
    "a query": lambda text: UPSTREAM.request(f"/v1/messages?{text}", "tester"),
    "a header's name": lambda text: FIELDS.render([(text.encode(), b"1")], _head(text, "1")),
    "a list of headers": _connection,
    "a model": lambda text: ROUTER.find_for(("*",), f"anthropic/claude-{text}"),
    "a member's name": _body,
    "a client's name": client_of,
    "a version": lambda text: check_version([text], None),
    "a session": lambda text: ORDER.of(session_of("tester", text[:100], CALL)[0]),
    "hints": lambda text: hints.read(_head("x-claude-code-prompt-id", text)),
}


@pytest.mark.parametrize("write", WRITTEN.values(), ids=WRITTEN)
def test_hundreds_of_long_ones_leave_little(write: Callable[[str], object]) -> None:
    def some(begin: str, times: int) -> None:
        for number in range(times):
            with contextlib.suppress(ProxyError):  # long ones may be refused
                write(f"{begin}{number:04}{LONG}{number:04}")

    # To make the lists takes long, and of these the fewest would be kept.
    times = 100 if write is _connection else TIMES
    some("a", 3)  # what is loaded or made once
    gc.collect()
    tracemalloc.start()
    try:
        some("b", times)
        _, most_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most_bytes < MOST_BYTES
