"""The SDK, pointed at the gateway that the environment names."""

import importlib
import os
from typing import Any

# Installed in the client's own environment only; two major versions of it, so no types either.
anthropic: Any = importlib.import_module("anthropic")

URL = os.environ["GATEWAY_URL"]
KEY = os.environ["GATEWAY_KEY"]
NARROW_KEY = os.environ["GATEWAY_NARROW_KEY"]
WRONG_KEY = os.environ["GATEWAY_WRONG_KEY"]
MAX_BODY_BYTES = int(os.environ["GATEWAY_MAX_BODY_BYTES"])

SONNET = "anthropic/claude-sonnet-4.6"
HAIKU = "anthropic/claude-haiku-4.5"
HI = [{"role": "user", "content": "say hi"}]
HELLO: dict[str, Any] = {"model": SONNET, "max_tokens": 64, "messages": HI}
SAID = "You said: say hi"

TIMEOUT_S = 15.0


def client(key: str = KEY, **options: Any) -> Any:
    """Make a client that does not retry."""
    return anthropic.Anthropic(
        base_url=URL, api_key=key, **{"max_retries": 0, "timeout": TIMEOUT_S, **options}
    )


def sandbox(knobs: str) -> dict[str, str]:
    """Give the header that tells the sandbox how to answer."""
    return {"x-sandbox": knobs} if knobs else {}


def create(knobs: str = "", **members: Any) -> Any:
    """Ask for an answer in one piece."""
    return client().messages.create(**{**HELLO, **members}, extra_headers=sandbox(knobs))


def stream(knobs: str = "") -> Any:
    """Ask for the raw events of a stream."""
    return client().messages.create(**HELLO, stream=True, extra_headers=sandbox(knobs))


def text_of(message: Any) -> str:
    """Give a message's text."""
    return "".join(block.text for block in message.content if block.type == "text")
