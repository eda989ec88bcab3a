"""What Claude Code does through a gateway: its answers, its agents, its refusals, and what breaks."""

import dataclasses
import datetime
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.clients import session_tree, tracing
from tests.clients.claude_runs import MODEL, SAY_HI, Claude, why_no_failure, why_no_success
from tests.clients.report import Report
from tests.clients.stack import Stack

# It asks again ten times, and waits longer each time, where it takes a refusal for a passing one.
REFUSED_WITHIN_S = 10.0

# From the gateway's refusal to the client's end: what it takes to start is the machine's.
_BUDGET_SHOWN_WITHIN_S = 3.0
_BUDGET_MESSAGE = "spend limit reached (daily, $0.00001 of key spent; resets "

_SAID = "You said: say hi"
# The shell computes what is looked for, so that it can come from nowhere else.
_TOOL = (
    'use the tool Bash with {"command": "echo anyrouter-$((40+2))", "description": "d"}',
    "--allowedTools",
    "Bash",
)
_TOOL_SAID = "anyrouter-42"
_CREDENTIALS = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")
_ONE_TRY = {"CLAUDE_CODE_MAX_RETRIES": "0", "CLAUDE_CODE_DISABLE_NONSTREAMING_FALLBACK": "1"}


def run(
    binary: Path, name: str, stack: Stack, scratch: Path, report: Report, *, is_hinting: bool
) -> None:
    """Run every check."""
    claude = Claude(binary, stack, scratch, is_hinting)
    for checks in (_answers, _features, _agents, _refusals, _broken, _traces):
        for what, why_not in checks(claude):
            report.check(name, what, why_not)


_Findings = Iterator[tuple[str, str]]


def _answers(claude: Claude) -> _Findings:
    for credential in _CREDENTIALS:
        since = claude.stack.mark()
        ended = claude.ask(SAY_HI, credential=credential)
        yield f"a plain answer, by {credential}", why_no_success(ended, _SAID)
        lines = claude.stack.logged(since, lambda lines: any("key" in line for line in lines))
        refused = [
            f"{line['method']} {line['path']}: {line['status']}"
            for line in lines
            if line["status"] != 200
        ]
        yield (
            f"all it sends for that, its probe too, is answered, by {credential}",
            ", ".join(refused) if lines else "nothing is in the access log",
        )
    for credential in _CREDENTIALS:
        ended = claude.ask(_TOOL, credential=credential)
        yield f"a tool call and its result, by {credential}", why_no_success(ended, _TOOL_SAID)


def _features(claude: Claude) -> _Findings:
    yield (
        "a tool call after signed thinking",
        why_no_success(claude.ask(_TOOL, knobs="think"), _TOOL_SAID),
    )
    yield "a compressed stream", why_no_success(claude.ask(SAY_HI, knobs="encoding=gzip"), _SAID)
    paced = claude.ask(SAY_HI, knobs="events=2,interval=1.8")
    sonnet = claude.run(
        [claude.binary, "-p", *SAY_HI, "--model", "sonnet"],
        {"ANTHROPIC_BASE_URL": claude.stack.url, "ANTHROPIC_AUTH_TOKEN": claude.stack.key},
    )
    yield "the alias sonnet", why_no_success(sonnet, _SAID)
    yield "a silent stream, kept alive by pings", why_no_success(paced, _SAID)
    yield "usage and model of an answer", _wrong_usage(claude)
    yield "model discovery", _no_discovery(claude)
    launched = claude.launch()
    yield "started by `anyrouter claude`", why_no_success(launched, _SAID)
    line = f"Claude Code through {claude.stack.url} as "
    yield (
        "`anyrouter claude` says through what, and as whom",
        "" if line in launched.stderr else launched.why(),
    )


def _wrong_usage(claude: Claude) -> str:
    ended = claude.ask((*SAY_HI, "--output-format", "json"))
    try:
        result = json.loads(ended.stdout)
        usage, models = result["usage"], list(result["modelUsage"])
    except (ValueError, LookupError):
        return ended.why()
    if usage["output_tokens"] <= 0 or usage["cache_creation_input_tokens"] <= 0:
        return f"usage is {usage}"
    return "" if models == [MODEL] else f"models are {models}"


def _no_discovery(claude: Claude) -> str:
    """Look for the request; it counts as other traffic, so whatever really is, is sent to a closed port."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and nobody listens
        nowhere = f"http://127.0.0.1:{closed.getsockname()[1]}"
        since = claude.stack.mark()
        ended = claude.ask(
            SAY_HI,
            CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY="1",
            CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="",
            HTTP_PROXY=nowhere,
            HTTPS_PROXY=nowhere,
            NO_PROXY="127.0.0.1",
        )
    if why_not := why_no_success(ended, _SAID):
        return why_not

    def asked(lines: list[dict[str, Any]]) -> bool:
        return any((line["path"], line["status"]) == ("/api/v1/models", 200) for line in lines)

    return "" if asked(claude.stack.logged(since, asked)) else "it did not ask for the models"


def _agents(claude: Claude) -> _Findings:
    """Have an agent start one of its own, and compare what becomes of their costs."""
    since = claude.stack.mark()
    ended = claude.ask(
        (session_tree.prompt(), "--allowedTools", "Agent", "--output-format", "json"),
        CLAUDE_CODE_GATEWAY_HINT_HEADERS="1",
    )
    tree = "an agent's own agent in the session's tree, to the micro-dollar"
    try:
        result = json.loads(ended.stdout)
        session, own_cost_usd = result["session_id"], result["total_cost_usd"]
    except (ValueError, LookupError):
        yield tree, ended.why()
        return
    lines = [
        line
        for line in claude.stack.logged(since, _has_agents)
        if line.get("session_id") == session
    ]
    try:
        told = session_tree.told(claude.stack, session, len(lines))
    except ValueError as error:
        yield tree, str(error)
        return
    yield tree, session_tree.why_not(told, lines, is_hinted=claude.is_hinting)
    # It sums fractions; each of our requests is rounded by itself.
    apart = abs(own_cost_usd * 1e6 - told["session"]["cost_micros"])
    yield (
        "what it says that the session cost is what the ledger says",
        ""
        if apart <= len(lines)
        else f"{own_cost_usd} and {told['session']['cost_micros']} micro-dollars",
    )


def _traces(claude: Claude) -> _Findings:
    """Have it trace what it does, an agent too, and compare its spans, the gateway's, and the upstream's."""
    if not claude.is_hinting:
        return  # nor does it send its trace
    place = claude.scratch / "traced"
    place.mkdir(parents=True)
    environment = {"HOME": str(place), "PATH": os.environ.get("PATH", os.defpath)}
    with tracing.running(place, environment) as traced:
        asked = session_tree.calling("say hi", session_tree.AGENT)
        ended = dataclasses.replace(claude, stack=traced.stack).ask(
            (asked, "--allowedTools", "Agent", "--output-format", "json"), **traced.variables()
        )
        one = "its trace goes on in the gateway's spans, and theirs at the upstream"
        page = "its session's page shows the prompt, and its agent below"
        try:
            session = json.loads(ended.stdout)["session_id"]
        except (ValueError, LookupError):
            yield one, ended.why()
            return
        yield one, traced.why_apart()
        lines = tracing.lines_of(traced.shown(f"sessions/{session}"))
        wanted = [(0, "prompt"), (1, session_tree.AGENT)]
        yield page, "" if lines == wanted else f"it shows {lines}"


def _has_agents(lines: list[dict[str, Any]]) -> bool:
    """Tell whether both agents have asked, and the first of all has been answered for the last time."""
    return len({line.get("agent_id") for line in lines}) > 2 and "agent_id" not in lines[-1]


def _refusals(claude: Claude) -> _Findings:
    for credential in _CREDENTIALS:
        ended = claude.ask(SAY_HI, credential=credential, key=claude.stack.wrong_key)
        yield (
            f"a wrong key is refused with the gateway's reason, by {credential}",
            why_no_failure(ended, "gateway key", REFUSED_WITHIN_S),
        )
    yield (
        "`anyrouter claude` refuses a wrong key at once",
        why_no_failure(
            claude.launch(claude.stack.wrong_key), "does not know this key", REFUSED_WITHIN_S
        ),
    )
    ended = claude.ask(SAY_HI, key=claude.stack.narrow_key)
    yield (
        "a key that may not use the model is refused",
        why_no_failure(ended, "may not use model", REFUSED_WITHIN_S),
    )
    yield "a spent budget is told in the gateway's words, and not asked again", _spent(claude)
    for status in (400, 429, 529):
        ended = claude.ask(SAY_HI, knobs=f"status={status}", **_ONE_TRY)
        yield f"the upstream's {status} is shown", why_no_failure(ended, f"answers {status}")


def _spent(claude: Claude) -> str:
    """Spend a budget, ask once more, and say what was wrong with that."""
    claude.ask(SAY_HI, key=claude.stack.spent_key)
    since = claude.stack.mark()
    ended = claude.ask(SAY_HI, key=claude.stack.spent_key)
    ended_at = datetime.datetime.now(datetime.UTC)
    if why_not := why_no_failure(ended, _BUDGET_MESSAGE):
        return why_not
    refusals = [
        datetime.datetime.fromisoformat(line["time"])
        for line in claude.stack.logged(since, lambda lines: any(map(_is_over_budget, lines)))
        if _is_over_budget(line)
    ]
    if len(refusals) != 1:
        return f"it was refused {len(refusals)} times"
    took_s = (ended_at - refusals[0]).total_seconds()
    return "" if took_s < _BUDGET_SHOWN_WITHIN_S else f"it ended {took_s:.1f} s after the refusal"


def _is_over_budget(line: dict[str, Any]) -> bool:
    return line.get("cause") == "budget_spent"


def _broken(claude: Claude) -> _Findings:
    for what, knobs, reason in (
        # With its stop reason an answer is whole to Claude Code, so each of these breaks before that.
        ("an overload inside a stream", "overloaded_at=5", "Overloaded"),
        ("a stream that is cut inside an event", "cut=900", ""),
        ("a stream that is cut before its first event", "cut=0", ""),
        ("a stream that stalls for good", "stall=4", ""),
        ("no answer at all", "cut=-1", "502"),
    ):
        ended = claude.ask(SAY_HI, knobs=knobs, **_ONE_TRY)
        complete = f"half an answer is printed: {ended.why()}" if _SAID in ended.stdout else ""
        yield f"{what} is an error", complete or why_no_failure(ended, reason)
