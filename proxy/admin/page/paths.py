"""Paths of pages with what clients and people have named."""

import urllib.parse


def quoted(text: str) -> str:
    """Return a text as a part of a path."""
    return urllib.parse.quote(text, safe="")
