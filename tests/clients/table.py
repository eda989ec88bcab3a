"""The clients that are tried, in which version, with which base URL, and what is tried with each.

docs/clients.md shows this table, `python -m tests.clients.table` writes it there, and `tests.clients.run` goes by it.
"""

import re
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "clients.md"
_SECTION = re.compile(r"(<!-- clients -->\n).*?(<!-- end -->)", re.DOTALL)

_MESSAGE = "a message"
_STREAM = "a stream"
_TOOL = "a tool call"
_COUNT = "count_tokens"
_MODELS = "the model list"
_BROKEN = "a broken stream"
_SDK = (_MESSAGE, _STREAM, _TOOL, _COUNT, _MODELS, "the upstream's 529", _BROKEN)
_CLAUDE_CODE = (
    "a plain answer, by ANTHROPIC_API_KEY",
    "a plain answer, by ANTHROPIC_AUTH_TOKEN",
    _TOOL,
    "signed thinking",
    "a compressed stream",
    "model discovery",
    "an agent's own agent",
    "a spent budget",
    "`anyrouter claude`",
    "the upstream's 529",
    "a stream that is cut",
)


@dataclass(frozen=True)
class Client:
    """A row.

    Attributes:
        name: as people call it.
        package: its name in its registry.
        version: the one that is installed, without a further look for newer ones.
        setting: what takes the base URL.
        base_urls: what to type there, `{base}` being the gateway's; everything is tried with each.
        tried: for each of these, checks whose names hold it are run.
        wrong_key: what a refused key becomes, as the check's name has it, too.
    """

    name: str
    package: str
    version: str
    setting: str
    tried: tuple[str, ...]
    wrong_key: str
    base_urls: tuple[str, ...] = ("{base}",)

    @property
    def title(self) -> str:
        """Name and version."""
        return f"{self.name} {self.version}"

    def not_checked(self, checks: list[str]) -> list[str]:
        """List what is promised here and was not among the checks that were run."""
        promised = (*self.tried, f"a wrong key is {self.wrong_key}")
        return [each for each in promised if not any(each in check for check in checks)]


PYTHON = Client(
    "Python SDK",
    "anthropic",
    "2.14.0",
    "base_url",
    (*_SDK, "the async client", "its own tests of messages", "its own tests of models"),
    "AuthenticationError",
)
PYTHON_0 = Client(
    # The last release line that sends its key as x-api-key.
    "Python SDK, 0.x",
    "anthropic",
    "0.125.0",
    "base_url",
    (*_SDK, "the async client"),
    "AuthenticationError",
)
TYPESCRIPT = Client(
    "TypeScript SDK, in Node",
    "@anthropic-ai/sdk",
    "1.14.0",
    "baseURL",
    _SDK,
    "AuthenticationError",
)
BROWSER = Client(
    "TypeScript SDK, in Chromium",
    "@anthropic-ai/sdk",
    "1.14.0",
    "baseURL",
    (*_SDK, "nothing that only browsers send"),
    "AuthenticationError",
)
GO = Client(
    "Go SDK",
    "github.com/anthropics/anthropic-sdk-go",
    "1.84.0",
    "option.WithBaseURL",
    _SDK,
    "*anthropic.Error",
)
JAVA = Client(
    "Java SDK",
    "com.anthropic:anthropic-java",
    "3.14.0",
    "baseUrl",
    _SDK,
    "UnauthorizedException",
)
RUST = Client(
    "async-anthropic (Rust)",
    "async-anthropic",
    "0.6.0",
    "base_url",
    (_MESSAGE, _STREAM, _TOOL, _MODELS, "a wrong body"),
    "AnthropicError::Unauthorized",
)
LANGCHAIN = Client(
    "LangChain",
    "langchain-anthropic",
    "1.7.10",
    "base_url",
    (_MESSAGE, _STREAM, _TOOL, _COUNT, "the upstream's 529", _BROKEN),
    "AnthropicAuthenticationError",
)
LITELLM = Client(
    "LiteLLM",
    "litellm",
    "1.110.2",
    "api_base",
    (_MESSAGE, _STREAM, _TOOL, "the upstream's 529", _BROKEN),
    "AuthenticationError",
)
AI_SDK = Client(
    "AI SDK",
    "@ai-sdk/anthropic",
    "4.0.105",
    "baseURL",
    (_MESSAGE, _STREAM, _TOOL, "the upstream's 529", _BROKEN),
    "AI_APICallError",
    ("{base}/v1", "{base}"),
)
AGENT_SDK = Client(
    "Claude Agent SDK",
    "claude-agent-sdk",
    "0.2.189",
    "ANTHROPIC_BASE_URL",
    (_MESSAGE, _STREAM, _TOOL, _BROKEN),
    "ResultError",
)
CLAUDE_CODE = Client(
    "Claude Code",
    "@anthropic-ai/claude-code",
    "2.1.332",
    "ANTHROPIC_BASE_URL",
    (*_CLAUDE_CODE, "its trace", "its session's page"),
    "refused with the gateway's reason",
)
CLAUDE_CODE_OLDER = Client(
    "Claude Code, older",
    "@anthropic-ai/claude-code",
    "2.1.197",
    "ANTHROPIC_BASE_URL",
    _CLAUDE_CODE,
    "refused with the gateway's reason",
)

CLIENTS = (
    PYTHON,
    PYTHON_0,
    TYPESCRIPT,
    BROWSER,
    GO,
    JAVA,
    RUST,
    LANGCHAIN,
    LITELLM,
    AI_SDK,
    AGENT_SDK,
    CLAUDE_CODE,
    CLAUDE_CODE_OLDER,
)


def filled(page: str) -> str:
    """Return the page with the table as it is now."""
    lines = ["| client | package, version | base URL to type | tried | a wrong key is |"]
    lines += ["|---|---|---|---|---|", *map(_row, CLIENTS)]
    table = "".join(f"{line}\n" for line in lines)
    return _SECTION.sub(lambda match: match[1] + table + match[2], page)


def _row(client: Client) -> str:
    urls = " or ".join(f"`{url}`" for url in client.base_urls)
    words = " " in client.wrong_key
    wrong_key = client.wrong_key if words else f"`{client.wrong_key}`"
    cells = (
        client.name,
        f"`{client.package}` {client.version}",
        f"`{client.setting}`: {urls}",
        ", ".join(client.tried),
        wrong_key,
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text("utf-8")), "utf-8")
