"""The fenced blocks of a page."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def snippets(page: str, language: str) -> list[str]:
    """List a page's blocks of one language, in order."""
    text = (ROOT / page).read_text("utf-8")
    return [body for kind, body in _FENCE.findall(text) if kind == language]
