"""Scripted sessions of Claude Code: who asks what, when, and what is billed for it. Pure, and the same by a seed.

A session is prompts of a person; for each, turns of the main agent, and now and then agents that it starts, one of
which starts an agent of its own. What a turn reads from the cache is what the one before left there, unless it is gone.
"""

import dataclasses
import random

from proxy.money.usage import Billed

OPUS, SONNET, HAIKU = "claude-opus-5-5", "claude-sonnet-4-6", "claude-haiku-4-5"
_HEX = "0123456789abcdef"
_MINUTE_MS = 60_000
# From here on the context is compacted.
_FULL = 150_000
_IDLE_MS = (7 * _MINUTE_MS, 25 * _MINUTE_MS)
_THINKS_MS = (15_000, 150_000)


@dataclasses.dataclass(frozen=True, slots=True)
class Who:
    """Whose session it is.

    Attributes:
        key: the name of the key.
        model: of the main agent.
        tag: of the session's requests.
        client: product and version.
    """

    key: str
    model: str
    tag: str
    client: str = "claude-cli/2.1.332"


@dataclasses.dataclass(frozen=True, slots=True)
class Turn:
    """A request.

    Attributes:
        who, session: whose.
        at_ms: after the session began. `first_byte_ms`, `took_ms`: after that.
        agent, parent: ids; None: the main agent. `agent_type`, `part`: what the client says of them.
        prompt: its id.
        model, billed: what is asked, and what is billed.
        compacted: the client has just compacted its context.
        away: it is served by the other account.
        cause: why it failed; None: it did not.
    """

    who: Who
    session: str
    at_ms: int
    first_byte_ms: int
    took_ms: int
    agent: str | None
    parent: str | None
    agent_type: str | None
    part: str
    prompt: str
    model: str
    billed: Billed
    compacted: bool = False
    away: bool = False
    cause: str | None = None

    @property
    def ends_ms(self) -> int:
        """When it ends, after the session began."""
        return self.at_ms + self.took_ms


@dataclasses.dataclass(slots=True)
class _Agent:
    """An agent, with what its context holds and the cache has."""

    model: str
    part: str
    context: int
    id: str | None = None
    parent: str | None = None
    type: str | None = None
    cached: int = 0
    long: bool = False


class _Session:
    def __init__(self, chance: random.Random, who: Who, *, breaks: bool) -> None:
        self._chance = chance
        self._who = who
        self._breaks = breaks
        self._id = _uuid(chance)
        self._now_ms = 0
        self._away = False
        self.turns: list[Turn] = []

    def play(self) -> None:
        chance = self._chance
        main = _Agent(self._who.model, "main", chance.randrange(14_000, 24_000))
        main.long = chance.random() < 0.3  # noqa: PLR2004 - a share
        for _ in range(chance.randrange(2, 6)):
            prompt = _uuid(chance)
            lost = self._pause(main)
            for at in range(chance.randrange(3, 8)):
                self._now_ms = self._ask(main, prompt, self._now_ms, lost=lost and at == 0)
            if chance.random() < 0.55:  # noqa: PLR2004 - a share
                self._start_agents(prompt)
                self._now_ms = self._ask(main, prompt, self._now_ms)

    def _pause(self, main: _Agent) -> bool:
        """Let the person think; return whether what was cached is gone by then."""
        chance = self._chance
        if not (self.turns and self._breaks):
            return False
        kind = chance.random()
        if kind < 0.25:  # noqa: PLR2004 - a share
            self._now_ms += chance.randrange(*_IDLE_MS)
            return not main.long
        self._now_ms += chance.randrange(*_THINKS_MS)
        if kind < 0.35:  # noqa: PLR2004 - a share
            self._away = not self._away
            return True
        return kind > 0.93  # noqa: PLR2004 - a share: something before the last turn has changed

    def _start_agents(self, prompt: str) -> None:
        chance = self._chance
        kind, many = chance.choice((("Explore", 5), ("general-purpose", 2), ("Plan", 1)))
        model = HAIKU if kind == "Explore" else self._who.model
        began_ms = self._now_ms
        for at in range(chance.randrange(1, many + 1)):
            agent = _Agent(model, "subagent", chance.randrange(9_000, 16_000), type=kind)
            agent.id = "a" + _hex(chance, 16)
            self._run_agent(agent, prompt, began_ms, nests=kind == "general-purpose" and at == 0)

    def _run_agent(self, agent: _Agent, prompt: str, began_ms: int, *, nests: bool) -> None:
        chance = self._chance
        now_ms = began_ms + chance.randrange(50, 900)
        for _ in range(chance.randrange(2, 6)):
            now_ms = self._ask(agent, prompt, now_ms)
        self._now_ms = max(self._now_ms, now_ms)
        if nests:
            nested = _Agent(SONNET, "subagent", 8_000, "a" + _hex(chance, 16), agent.id, "custom")
            self._run_agent(nested, prompt, now_ms, nests=False)

    def _ask(self, agent: _Agent, prompt: str, now_ms: int, *, lost: bool = False) -> int:
        """Add a turn; return when the next one may begin."""
        chance = self._chance
        compacted = agent.part == "main" and agent.context > _FULL
        if compacted:
            agent.context, agent.cached = chance.randrange(20_000, 30_000), 0
        read = 0 if lost else agent.cached
        added = chance.randrange(300, 5_000) if agent.cached else agent.context
        if not compacted and agent.cached:
            agent.context += added
        wrote = agent.context - read
        output = chance.randrange(80, 1_600)
        first_byte_ms = chance.randrange(600, 2_600) + wrote // 40
        took_ms = first_byte_ms + output * chance.randrange(9, 16)
        fails = chance.random() < 0.008  # noqa: PLR2004 - a share
        billed = Billed(
            input=chance.randrange(3, 40),
            output=output,
            write_5m=0 if agent.long else wrote,
            write_1h=wrote if agent.long else 0,
            read=read,
        )
        self.turns.append(
            Turn(
                self._who,
                self._id,
                now_ms,
                first_byte_ms,
                took_ms,
                agent.id,
                agent.parent,
                agent.type,
                agent.part,
                prompt,
                agent.model,
                Billed() if fails else billed,
                compacted,
                self._away,
                "upstream_error" if fails else None,
            )
        )
        if not fails:
            agent.cached = agent.context
        return now_ms + took_ms + chance.randrange(300, 4_000)


def session(chance: random.Random, who: Who, *, breaks: bool = True) -> list[Turn]:
    """Return the turns of a session, by the time they begin.

    Args:
        chance: seeded.
        who: whose.
        breaks: whether the cache is lost now and then, the person idle, or the account changed.
    """
    made = _Session(chance, who, breaks=breaks)
    made.play()
    return sorted(made.turns, key=lambda turn: turn.at_ms)


def _uuid(chance: random.Random) -> str:
    return "-".join(_hex(chance, digits) for digits in (8, 4, 4, 4, 12))


def _hex(chance: random.Random, digits: int) -> str:
    return "".join(chance.choices(_HEX, k=digits))
