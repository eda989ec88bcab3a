"""The SDK, pointed at the gateway that the environment names."""

from typing import Any

from tests.clients.python.given import HI, KEY, SONNET, TIMEOUT_S, URL, library, sandbox

# Two major versions of it.
anthropic: Any = library("anthropic")

HELLO: dict[str, Any] = {"model": SONNET, "max_tokens": 64, "messages": HI}


def client(key: str = KEY, **options: Any) -> Any:
    """Make a client that does not retry."""
    return anthropic.Anthropic(
        base_url=URL, api_key=key, **{"max_retries": 0, "timeout": TIMEOUT_S, **options}
    )


def create(knobs: str = "", **members: Any) -> Any:
    """Ask for an answer in one piece."""
    return client().messages.create(**{**HELLO, **members}, extra_headers=sandbox(knobs))


def stream(knobs: str = "") -> Any:
    """Ask for the raw events of a stream."""
    return client().messages.create(**HELLO, stream=True, extra_headers=sandbox(knobs))


def text_of(message: Any) -> str:
    """Give a message's text."""
    return "".join(block.text for block in message.content if block.type == "text")
