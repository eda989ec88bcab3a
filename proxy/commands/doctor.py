"""`anyrouter doctor`: check a running gateway the way a client would use it."""

import argparse
import asyncio
import os
from collections.abc import Awaitable, Callable

import aiohttp
import msgspec

from proxy.commands import options
from proxy.commands.examination import WELL_KNOWN_MODEL, Examination, FindingError, Note
from proxy.commands.parser import add_command
from proxy.commands.standard_files import say

_TIMEOUT_S = 30.0
_FEATURES = (
    ("ENABLE_TOOL_SEARCH=true", "search among the tools of MCP servers"),
    ("CLAUDE_CODE_ENABLE_FINE_GRAINED_TOOL_STREAMING=1", "tools' input as it is written"),
    ("CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY=1", "this gateway's models in /model"),
    ("CLAUDE_CODE_PROPAGATE_TRACEPARENT=1", "traces that go on upstream"),
    ("CLAUDE_CODE_SKIP_FAST_MODE_ORG_CHECK=1", "fast mode"),
    ("ENABLE_PROMPT_CACHING_1H=1", "prompts cached for an hour; costs more"),
    ("CLAUDE_CODE_AUTO_MODE_SERVER=1", "auto mode's checks by the API; costs more"),
)


def add_parser(subparsers: "options.Subparsers[argparse.ArgumentParser]") -> None:
    """Describe the command."""
    parser = add_command(
        subparsers,
        "doctor",
        "check a running gateway as a client would",
        "Uses a gateway as a client does, and stops at the first thing that is wrong. "
        "The upstream is asked for two or three answers, of 16 and 64 tokens.",
        examples=(
            "anyrouter doctor",
            "anyrouter doctor --url https://llm.example.com/api --model claude-haiku-4-5",
        ),
        environment=options.GATEWAY_VARIABLES,
        exit_status={"0": "all is good", "1": "something is not; its line says what to do"},
    )
    options.add_gateway(parser)
    parser.add_argument(
        "--model",
        help=f"model to ask; default: the first the gateway lists, or {WELL_KNOWN_MODEL}",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Check one thing after the other, say what was found, fail when anything is wrong."""
    return asyncio.run(_examine(args.url, options.given_key(args), args.model))


async def _examine(url: str, key: str, model: str | None) -> int:
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
    failed = None
    async with aiohttp.ClientSession(timeout=timeout) as session:
        examination = Examination(session, url, key, model)
        checks: list[tuple[str, Callable[[], Awaitable[str]]]] = [
            ("the gateway", examination.gateway),
            ("models, by x-api-key", examination.models_by_x_api_key),
            ("models, by Authorization", examination.models_by_bearer),
            ("a wrong key", examination.wrong_key),
            ("a message", examination.message),
            ("a stream", examination.stream),
            ("count_tokens", examination.count_tokens),
        ]
        for name, check in checks:
            if failed is not None:
                say(f"  skip {name}")
                continue
            try:
                found = await check()
            except (FindingError, aiohttp.ClientError, OSError) as error:
                failed = name
                say(f"  BAD  {name}: {str(error) or f'no answer within {_TIMEOUT_S:g} s'}")
            except (LookupError, AttributeError, TypeError, msgspec.DecodeError) as error:
                failed = name
                say(f"  BAD  {name}: an answer of another shape ({error!r})")
            else:
                say(f"  {'note' if isinstance(found, Note) else 'good'} {name}: {found}")
    say(f"{url}: {'all good' if failed is None else f'stopped at: {failed}'}")
    if failed is None:
        _tell_features()
    return 0 if failed is None else 1


def _tell_features() -> None:
    """Say what Claude Code leaves off behind any base URL but the API's own."""
    off = [each for each in _FEATURES if each[0].partition("=")[0] not in os.environ]
    if off:
        say("Claude Code leaves these off behind a gateway, until its environment has:")
    for variable, feature in off:
        say(f"  {variable:<49} {feature}")
