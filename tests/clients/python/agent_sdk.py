"""The Claude Agent SDK, with the Claude Code it brings along: `python -m tests.clients.python.agent_sdk`."""

import asyncio
import os
from typing import Any

from tests.clients.python.checks import Checks, raised, require, same
from tests.clients.python.given import KEY, SAID, SAY_HI, SONNET, URL, WRONG_KEY, library, sandbox

agent = library("claude_agent_sdk")
checks = Checks()

# The shell computes what is looked for, so that it can come from nowhere else.
_USE_BASH = 'use the tool Bash with {"command": "echo anyrouter-$((40+2))", "description": "d"}'


def ask(prompt: str, *, key: str = KEY, knobs: str = "", **options: Any) -> list[Any]:
    """Give a prompt; return all messages until the result."""
    header = "".join(f"{name}: {value}" for name, value in sandbox(knobs).items())
    variables = {
        "ANTHROPIC_BASE_URL": URL,
        "ANTHROPIC_AUTH_TOKEN": key,
        "ANTHROPIC_CUSTOM_HEADERS": header,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "CLAUDE_CODE_DISABLE_NONSTREAMING_FALLBACK": "1",
        "CLAUDE_CODE_MAX_RETRIES": "0",
        "DISABLE_AUTOUPDATER": "1",
    }
    chosen = agent.ClaudeAgentOptions(
        model=SONNET, env=variables, cwd=os.environ["HOME"], setting_sources=[], **options
    )

    async def everything() -> list[Any]:
        return [message async for message in agent.query(prompt=prompt, options=chosen)]

    return asyncio.run(everything())


@checks("a message")
def _() -> None:
    result = ask(SAY_HI)[-1]
    same((result.is_error, result.result), (False, SAID))
    require(result.usage["output_tokens"] > 0, f"{result.usage}")
    same(list(result.model_usage), [SONNET])


@checks("a stream, its raw events passed on")
def _() -> None:
    messages = ask(SAY_HI, include_partial_messages=True)
    events = [each.event for each in messages if isinstance(each, agent.StreamEvent)]
    deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
    require(len(deltas) > 1, "one piece only")
    same("".join(delta["text"] for delta in deltas), SAID)


@checks("a tool call and its result")
def _() -> None:
    result = ask(_USE_BASH, allowed_tools=["Bash"])[-1]
    require("anyrouter-42" in result.result, result.result)


@checks("a wrong key is ResultError")
def _() -> None:
    error = raised(ask, SAY_HI, key=WRONG_KEY)
    same(type(error).__name__, "ResultError")
    require("gateway key" in str(error), str(error))


@checks("a broken stream is an error")
def _() -> None:
    for knobs in ("cut=900", "overloaded_at=4"):
        same(type(raised(ask, SAY_HI, knobs=knobs)).__name__, "ResultError")


if __name__ == "__main__":
    checks.run()
