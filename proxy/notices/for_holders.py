"""What a key's holder can do about a cause, who changes nothing at the gateway. Pure."""

from collections.abc import Mapping

from proxy.causes import Cause

_KNOWN_MODEL = "take a model that `GET /v1/models` lists"
_OWN: Mapping[str, str] = {
    Cause.BUDGET_HELD: "wait until the requests in flight end",
    Cause.BUDGET_SPENT: "wait until the budget resets",
    Cause.EXPECTATION_FAILED: "take the `Expect` header off",
    Cause.INVALID_REQUEST: "mend what the client sends",
    Cause.LIMITED_IN_FLIGHT: "let fewer requests run at once",
    Cause.LIMITED_INPUT_TOKENS: "see whether the client caches its prompts",
    Cause.LIMITED_OUTPUT_TOKENS: "wait a minute",
    Cause.LIMITED_REQUESTS: "look for a client in a loop",
    Cause.MODEL_FORBIDDEN: _KNOWN_MODEL,
    Cause.REQUEST_TOO_LARGE: "shorten the conversation",
    Cause.UNAUTHENTICATED: "give the client the newest secret of this key",
    Cause.UNKNOWN_MODEL: _KNOWN_MODEL,
    Cause.UNSUPPORTED_MEDIA: "have the client send JSON, plain or compressed by gzip or deflate",
}
_ASK = "ask whoever runs the gateway"


def advice_for_holder(cause: str, contact: str) -> str:
    """Return what to do, in one sentence without its end.

    Args:
        cause: a word of the access log.
        contact: whom to ask, as `quota.contact` says it in a sentence; "": it is not configured.
    """
    own = _OWN.get(cause)
    if not contact:
        return f"{own}, or {_ASK}" if own else _ASK
    return f"{own}; or: {contact}" if own else contact
