"""LangChain's ChatAnthropic against the gateway: `python -m tests.clients.python.langchain`."""

from typing import Any

from tests.clients.python.checks import Checks, raised, require, same
from tests.clients.python.given import (
    BROKEN_STREAMS,
    KEY,
    SAID,
    SAY_HI,
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

checks = Checks()


def chat(key: str = KEY, knobs: str = "") -> Any:
    """Make a chat model that does not retry."""
    return library("langchain_anthropic").ChatAnthropic(
        model=SONNET,
        base_url=URL,
        api_key=key,
        max_tokens=64,
        max_retries=0,
        timeout=TIMEOUT_S,
        default_headers=sandbox(knobs),
    )


@checks("a message")
def _() -> None:
    answer = chat().invoke(SAY_HI)
    same((answer.content, answer.response_metadata["model"]), (SAID, SONNET))
    require(answer.usage_metadata["output_tokens"] > 0, f"{answer.usage_metadata}")


@checks("a stream")
def _() -> None:
    pieces = [piece.content for piece in chat().stream(SAY_HI)]
    require(len([piece for piece in pieces if piece]) > 1, f"one piece only: {pieces}")
    same("".join(pieces), SAID)


@checks("a tool call and its result")
def _() -> None:
    messages = library("langchain_core.messages")
    equipped = chat().bind_tools([WEATHER])
    conversation = [messages.HumanMessage(USE_TOOL)]
    call = equipped.invoke(conversation)
    (used,) = call.tool_calls
    same((used["name"], used["args"]), ("get_weather", {"city": "Oslo"}))
    conversation += [call, messages.ToolMessage(TOOL_RESULT, tool_call_id=used["id"])]
    same(equipped.invoke(conversation).content, TOOL_SAID)


@checks("count_tokens")
def _() -> None:
    asked = library("langchain_core.messages").HumanMessage(SAY_HI)
    require(chat().get_num_tokens_from_messages([asked]) > 0, "no tokens")


@checks("a wrong key is AnthropicAuthenticationError")
def _() -> None:
    error = raised(chat(WRONG_KEY).invoke, SAY_HI)
    same(type(error).__name__, "AnthropicAuthenticationError")
    require("gateway key" in str(error), str(error))


@checks("the upstream's 529 is an error of that status")
def _() -> None:
    same(raised(chat(knobs="status=529").invoke, SAY_HI).status_code, 529)


@checks("a broken stream is an error")
def _() -> None:
    for knobs in BROKEN_STREAMS:
        raised(lambda knobs=knobs: list(chat(knobs=knobs).stream(SAY_HI)))


if __name__ == "__main__":
    checks.run()
