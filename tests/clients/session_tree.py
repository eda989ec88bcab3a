"""A session of Claude Code's with agents: the tree that `anyrouter session` makes of it, beside its access lines."""

import json
import time
from typing import Any

from tests.clients import programs
from tests.clients.stack import ANYROUTER, Stack

AGENT = "general-purpose"
_ITS_OWN = "Explore"
_COMMAND_S = 20.0
_STORED_S = 5.0
_POLL_S = 0.1


def prompt() -> str:
    """Return what makes Claude Code start an agent that starts one of its own."""
    return calling(calling("say hi", _ITS_OWN), AGENT)


def calling(asked: str, kind: str) -> str:
    """Return what makes Claude Code start an agent of a kind, which is asked something."""
    given = {
        "description": "d",
        "prompt": asked,
        "subagent_type": kind,
        "run_in_background": False,
    }
    return f"use the tool Agent with {json.dumps(given)}"


def told(stack: Stack, session: str, requests: int) -> dict[str, Any]:
    """Return what the command tells of a session, as soon as it is told with all of its requests.

    Raises:
        ValueError: it is not; the text says what was told.
    """
    command = (ANYROUTER, "session", session, "--config", stack.config, "--json")
    deadline = time.monotonic() + _STORED_S
    while True:
        ended = programs.run(command, timeout_s=_COMMAND_S, env={}, cwd=stack.config.parent)
        if ended.status == 0:
            report: dict[str, Any] = json.loads(ended.stdout)
            if report["session"]["requests"] == requests:
                return report
        if time.monotonic() > deadline:
            raise ValueError(f"not told with {requests} requests: {ended.why()}")
        time.sleep(_POLL_S)  # the gateway writes by itself


def why_not(report: dict[str, Any], lines: list[dict[str, Any]], *, is_hinted: bool) -> str:
    """Say in what the tree is not that of the access lines: a prompt, its agent, and that agent's own.

    Args:
        report: as `told`.
        lines: of the session's requests.
        is_hinted: whether the client names its prompts, and says what its agents are.
    """
    # The main one, and each agent as it began.
    who = list(dict.fromkeys(line.get("agent_id") for line in lines))
    own = [
        sum(line["cost_micros"] for line in lines if line.get("agent_id") == each) for each in who
    ]
    types = [None, AGENT, _ITS_OWN] if is_hinted else [None, None, None]
    wanted = [
        (depth, "agent" if depth else "prompt", agent, agent_type, own[depth], sum(own[depth:]))
        for depth, (agent, agent_type) in enumerate(zip(who, types, strict=False))
    ]
    found = [
        (
            line["depth"],
            line["kind"],
            line["name"] if line["depth"] else None,
            line["agent_type"],
            line["own_micros"],
            line["below_micros"],
        )
        for line in report["lines"]
    ]
    if len(who) != len(types) or found != wanted:
        return f"it is {found}, and by the access lines {wanted}"
    if bool(report["lines"][0]["name"]) != is_hinted:
        return f"the prompt's name is {report['lines'][0]['name']!r}"
    cost = report["session"]["cost_micros"]
    return "" if cost == sum(own) else f"the session costs {cost}, its requests {sum(own)}"
