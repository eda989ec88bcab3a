"""What a script is given to work with, and what the sandbox behind the gateway answers to it."""

import importlib
import os
from typing import Any

URL = os.environ["GATEWAY_URL"]
KEY = os.environ["GATEWAY_KEY"]
NARROW_KEY = os.environ["GATEWAY_NARROW_KEY"]
WRONG_KEY = os.environ["GATEWAY_WRONG_KEY"]
MAX_BODY_BYTES = int(os.environ["GATEWAY_MAX_BODY_BYTES"])

SONNET = "anthropic/claude-sonnet-4.6"
HAIKU = "anthropic/claude-haiku-4.5"
# The model list begins with what the configuration names; what its wildcard stands for follows.
NAMED = [SONNET, "anthropic/claude-opus-5.5", HAIKU]
SAY_HI = "say hi"
HI = [{"role": "user", "content": SAY_HI}]
SAID = "You said: say hi"

USE_TOOL = 'use the tool get_weather with {"city": "Oslo"}'
WEATHER: dict[str, Any] = {
    "name": "get_weather",
    "description": "Weather of a city",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}
TOOL_RESULT = "21 degrees"
TOOL_SAID = "The tool answered: 21 degrees"

# Each ends a stream in another way before its stop reason.
BROKEN_STREAMS = ("cut=900", "overloaded_at=4", "stall=4")

TIMEOUT_S = 15.0


def library(name: str) -> Any:
    """Import what only the client's own environment holds, so without types."""
    return importlib.import_module(name)


def sandbox(knobs: str) -> dict[str, str]:
    """Give the header that tells the sandbox how to answer."""
    return {"x-sandbox": knobs} if knobs else {}
