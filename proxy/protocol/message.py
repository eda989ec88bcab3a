"""A whole response of the Messages API: its usage, and the model it names. Pure."""

import json
from typing import Any

import msgspec

from proxy.causes import Cause
from proxy.errors import UpstreamFailed
from proxy.protocol import json_members


def read(body: bytes, echo_model: str | None) -> tuple[Any, bytes]:
    """Read the usage of a message, and let it name the model that the client asked for.

    Args:
        body: JSON text.
        echo_model: the id to put in place of the message's; None leaves it as it is.

    Returns:
        The usage, in the API's field names, None when there is none; and the body to send.

    Raises:
        UpstreamFailed: it is not a JSON object.
    """
    try:
        members = json_members.read(body)
        usage = msgspec.json.decode(members.get("usage", b"null"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _read_unspliced(body)
    if echo_model is None or "model" not in members:
        return usage, body
    model = msgspec.json.encode(echo_model)
    return usage, json_members.replace(body, members, "model", model)


def _read_unspliced(body: bytes) -> tuple[Any, bytes]:
    """Let JSON pass that is not for splicing: half of a surrogate pair is one, when a text was cut inside an emoji."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, dict):
        raise UpstreamFailed("the upstream's answer is not JSON", Cause.UPSTREAM_GARBAGE)
    return message.get("usage"), body
