"""What is known of a word of the log: how it is noticed, and what to do. Pure."""

from typing import NamedTuple


class Advice(NamedTuple):
    """A row of docs/operations.md, which is generated from it.

    Attributes:
        seen: what clients report, or what of the log's line is always the same; Markdown.
        do: what to do, in one sentence without its end, as log lines have it. NAME stands for the line's subject.
        more: what the page says further, in Markdown: what it is, and where to look.
    """

    seen: str
    do: str
    more: str = ""

    def for_subject(self, subject: str) -> str:
        """Return what to do about a subject; an empty one is not known."""
        return self.do.replace("NAME", subject) if subject else self.do
