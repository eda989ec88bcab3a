"""Whose home a request's conversation is, among the members of its pool, and who else can serve it. Pure."""

import re
from collections.abc import Sequence

from proxy.exchange import Exchange
from proxy.pooled import Pooled
from proxy.protocol.call import Call
from proxy.routing.router import Route
from proxy.upstreams.affinity import session_of
from proxy.upstreams.pools import PoolOrder
from proxy.upstreams.standing import Standing

_THREAD_BYTES = 1 << 12
_PREVIOUS = re.compile(rb'"previous_message_id"[ \t\r\n]*:[ \t\r\n]*"([^"\\]{1,256})"')


def names_for(
    exchange: Exchange, route: Route, call: Call, order: PoolOrder, standing: Standing
) -> Sequence[str]:
    """Return the upstreams that can serve a request, the home of its conversation first; a retry is earned by it.

    Args:
        exchange: of the request; it then knows the home.
        route: with choices.
        call: what is asked.
        order: of the pool.
        standing: of all upstreams.
    """
    if exchange.key is None:
        raise RuntimeError("the route's chain finds no key")
    standing.budget(order.pool.name, exchange.received.started_s).earn()
    session: str = ""
    affinity: str | None = None
    if not order.is_fixed:
        session, affinity = session_of(exchange.key.name, exchange.session_id, call)
    choices, names = route.choices, order.of(session)
    if len(choices) < len(names):
        names = tuple(name for name in names if name in choices)
    pooled = exchange.pooled = Pooled(names[0], affinity)
    members = call.members or call.spans
    if "thread" in members or "container" in members:
        pinned = _pinned(exchange, pooled, call, standing)
        # Whoever has it may not serve the model.
        return names if pinned is None else (pinned if pinned in choices else pooled.home,)
    return names


def _pinned(exchange: Exchange, pooled: Pooled, call: Call, standing: Standing) -> str | None:
    """Return the one upstream that has what a request names, an object of an account; None: it names nothing."""
    thread = call.beginning("thread", _THREAD_BYTES)
    pooled.is_thread = thread not in (b"", b"null")
    # Its answer's id is told with what only costs depend on.
    exchange.reckoned |= pooled.is_thread
    if pooled.is_thread and (previous := _PREVIOUS.search(thread)) is not None:
        message_id = previous[1].decode("utf-8", "replace")
        return standing.holder_of(message_id, exchange.received.started_s) or pooled.home
    return pooled.home if call.beginning("container", 5) not in (b"", b"null") else None
