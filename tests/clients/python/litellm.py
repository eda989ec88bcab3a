"""LiteLLM as a client of the gateway: `python -m tests.clients.python.litellm`."""

import os
from typing import Any

# Or it asks the internet for a list of prices when it is imported.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

from tests.clients.python.checks import Checks, raised, require, same
from tests.clients.python.given import (
    BROKEN_STREAMS,
    HI,
    KEY,
    SAID,
    SONNET,
    TIMEOUT_S,
    TOOL_RESULT,
    TOOL_SAID,
    URL,
    USE_TOOL,
    WEATHER,
    WRONG_KEY,
    library,
    sandbox,
)

litellm = library("litellm")
litellm.suppress_debug_info = True
checks = Checks()


def complete(knobs: str = "", key: str = KEY, **members: Any) -> Any:
    """Ask for a completion, without retries."""
    asked = {"model": SONNET, "messages": HI, "max_tokens": 64, **members}
    return litellm.completion(
        **asked,
        api_base=URL,
        api_key=key,
        num_retries=0,
        timeout=TIMEOUT_S,
        extra_headers=sandbox(knobs),
    )


def streamed(knobs: str = "") -> list[str]:
    """Read a stream to its end; give the pieces that hold text."""
    texts = [piece.choices[0].delta.content for piece in complete(knobs, stream=True)]
    return [text for text in texts if text]


@checks("a message")
def _() -> None:
    answer = complete()
    same(answer.choices[0].message.content, SAID)
    require(answer.usage.prompt_tokens > 0 < answer.usage.completion_tokens, f"{answer.usage}")


@checks("a message, the model named with LiteLLM's prefix, too")
def _() -> None:
    same(complete(model=f"anthropic/{SONNET}").choices[0].message.content, SAID)


@checks("a stream")
def _() -> None:
    pieces = streamed()
    require(len(pieces) > 1, f"one piece only: {pieces}")
    same("".join(pieces), SAID)


@checks("a tool call and its result")
def _() -> None:
    function = {**WEATHER, "parameters": WEATHER["input_schema"]}
    tools = [{"type": "function", "function": function}]
    asked = {"role": "user", "content": USE_TOOL}
    call = complete(messages=[asked], tools=tools).choices[0].message
    (used,) = call.tool_calls
    same((used.function.name, used.function.arguments), ("get_weather", '{"city": "Oslo"}'))
    result = {"role": "tool", "tool_call_id": used.id, "content": TOOL_RESULT}
    answer = complete(messages=[asked, call.model_dump(), result], tools=tools)
    same(answer.choices[0].message.content, TOOL_SAID)


@checks("a wrong key is AuthenticationError")
def _() -> None:
    error = raised(complete, key=WRONG_KEY)
    require(isinstance(error, litellm.AuthenticationError), repr(error))
    require("gateway key" in str(error), str(error))


@checks("the upstream's 529 is InternalServerError")
def _() -> None:
    error = raised(complete, "status=529")
    require(isinstance(error, litellm.InternalServerError), repr(error))


@checks("a broken stream is an error")
def _() -> None:
    for knobs in BROKEN_STREAMS:
        raised(streamed, knobs)


if __name__ == "__main__":
    checks.run()
