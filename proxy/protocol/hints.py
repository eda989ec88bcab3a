"""What a client says of its request in headers: which session, agent and prompt of Claude Code it belongs to. Pure.

All of it is the client's own text: cut here, escaped wherever it is shown, and never a name of a counter.
"""

import re

import msgspec
from multidict import MultiMapping, istr

from proxy.protocol import traceparent
from proxy.protocol.headers import TAG

_PARENT_AGENT_ID = istr("x-claude-code-parent-agent-id")
_PROMPT_ID = istr("x-claude-code-prompt-id")
_REQUEST_CLASS = istr("x-claude-code-request-class")
_AGENT_TYPE = istr("x-claude-code-agent-type")
_CONTEXT_COMPACTED = istr("x-claude-code-context-compacted")
_RETRY_COUNT = istr("x-stainless-retry-count")
_RETRIES = re.compile(r"[0-9]{1,4}")
_NO_TRACE = (None, None)
_NOT_COMPACTED = ("", "0", "false")
_MAX_ID_CHARS = 100
_MAX_WORD_CHARS = 32
_MAX_TAG_CHARS = 64


class Hints(msgspec.Struct, frozen=True, gc=False):
    """What the ledger keeps of it; None: not said.

    Attributes:
        prompt_id: the prompt of a person that the request belongs to.
        request_class: main, subagent, workflow, compaction, auxiliary.
        agent_type: such as Explore, Plan, custom.
        compacted: whether the client has just compacted its context.
        tag: what `x-anyrouter-tag` says, such as `repo=OWNER/NAME`.
        client_retry: which retry of the client's own it is.
        trace_id, parent_span_id: of its `traceparent`.
    """

    parent_agent_id: str | None = None
    prompt_id: str | None = None
    request_class: str | None = None
    agent_type: str | None = None
    compacted: bool = False
    tag: str | None = None
    client_retry: int | None = None
    trace_id: str | None = None
    parent_span_id: str | None = None


def read(inbound: MultiMapping[str]) -> Hints:
    """Read the hints of a request's headers."""
    get = inbound.get
    parent, prompt, kind = get(_PARENT_AGENT_ID), get(_PROMPT_ID), get(_REQUEST_CLASS)
    agent_type, tag, retries = get(_AGENT_TYPE), get(TAG), get(_RETRY_COUNT)
    trace = get(traceparent.HEADER)
    trace_id, span_id = _NO_TRACE if trace is None else traceparent.ids_in(trace)
    # Each cut in place, and the usual number known by sight: with calls it takes a half longer.
    return Hints(
        parent[:_MAX_ID_CHARS] if parent else None,
        prompt[:_MAX_ID_CHARS] if prompt else None,
        kind[:_MAX_WORD_CHARS] if kind else None,
        agent_type[:_MAX_WORD_CHARS] if agent_type else None,
        get(_CONTEXT_COMPACTED, "") not in _NOT_COMPACTED,
        tag[:_MAX_TAG_CHARS] if tag else None,
        0 if retries == "0" else None if retries is None else _retries(retries),
        trace_id,
        span_id,
    )


def _retries(text: str) -> int | None:
    return int(text) if _RETRIES.fullmatch(text) else None
