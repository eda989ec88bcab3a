"""Claude Code in print mode, each time with an empty HOME and nothing in its environment but what is named here."""

import itertools
import os
from dataclasses import dataclass, field
from pathlib import Path

from tests.clients import programs
from tests.clients.programs import Ended
from tests.clients.stack import ANYROUTER, Stack

RUN_S = 40.0
MODEL = "anthropic/claude-sonnet-4.6"
SAY_HI = ("say hi",)
_NO_OTHER_TRAFFIC = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "DISABLE_TELEMETRY": "1",
}


@dataclass(frozen=True)
class Claude:
    """The program and how it is run; whether it names prompts and kinds of agents to a gateway that it is told of."""

    binary: Path
    stack: Stack
    scratch: Path
    is_hinting: bool
    numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def ask(
        self,
        arguments: tuple[str, ...],
        *,
        credential: str = "ANTHROPIC_AUTH_TOKEN",
        key: str | None = None,
        knobs: str = "",
        **variables: str,
    ) -> Ended:
        """Give a prompt, and return how it ended."""
        environment = {
            "ANTHROPIC_BASE_URL": self.stack.url,
            credential: self.stack.key if key is None else key,
            **({"ANTHROPIC_CUSTOM_HEADERS": f"x-sandbox: {knobs}"} if knobs else {}),
            **variables,
        }
        return self.run([self.binary, "-p", *arguments, "--model", MODEL], environment)

    def run(self, command: list[str | Path], variables: dict[str, str]) -> Ended:
        """Run a command in a home and a project of its own, both empty."""
        place = self.scratch / f"run-{next(self.numbers)}"
        home, project = place / "home", place / "project"
        home.mkdir(parents=True)
        project.mkdir()
        environment = {
            "HOME": str(home),
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            **_NO_OTHER_TRAFFIC,
            **variables,
        }
        return programs.run(command, timeout_s=RUN_S, env=environment, cwd=project)

    def launch(self, key: str | None = None) -> Ended:
        """Have the project's own command start it."""
        key = self.stack.key if key is None else key
        return self.run(
            [ANYROUTER, "claude", "--url", self.stack.url, "-p", *SAY_HI, "--model", MODEL],
            {"PATH": f"{self.binary.parent}:{os.environ['PATH']}", "ANYROUTER_KEY": key},
        )


def why_no_success(ended: Ended, wanted: str) -> str:
    """Say why a run is not the success that was wanted."""
    good = ended.status == 0 and wanted in ended.stdout
    return "" if good else f"{wanted!r} is wanted: {ended.why()}"


def why_no_failure(ended: Ended, reason: str, within_s: float = RUN_S) -> str:
    """Say why a run is not the failure that was wanted."""
    if ended.status in (0, None):
        return f"a failure is wanted: {ended.why()}"
    if reason not in ended.stdout + ended.stderr:
        return f"it does not say {reason!r}: {ended.why()}"
    return "" if ended.seconds < within_s else f"it took {ended.seconds:.1f} s"
