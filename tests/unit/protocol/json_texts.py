"""Strategies for JSON as text: odd spacing, escapes, big numbers; what a decoder and an encoder would tidy away."""

import dataclasses

from hypothesis import strategies as st

SPACES = st.text(st.sampled_from(" \t\r\n"), max_size=3)
NAMES = st.sampled_from(
    [
        "model",
        "messages",
        "max_tokens",
        "a",
        "b",
        "",
        "é",
        "\U0001f600",
        '"',
        "\\",
        "\x00",
        "x" * 70,
    ]
)
_SHORT_ESCAPES = {'"': '\\"', "\\": "\\\\", "/": "\\/", "\n": "\\n", "\t": "\\t", "\b": "\\b"}
_NUMBERS = st.sampled_from(
    ["0", "-0", "-0.0", "1E5", "1e+05", "1.50", "0.1", "123456789012345678901234567890", "9" * 300]
)


def _escaped(char: str) -> str:
    if char in _SHORT_ESCAPES:
        return _SHORT_ESCAPES[char]
    units = char.encode("utf-16-be")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02X}" for i in range(0, len(units), 2))


def quoted(text: str, escape: list[bool]) -> str:
    """Write a string, each character escaped or, where JSON allows it, as it is."""
    wanted = [*escape, *[False] * len(text)]
    written = "".join(
        _escaped(char) if wanted[i] or char in '"\\' or char < " " else char
        for i, char in enumerate(text)
    )
    return f'"{written}"'


@st.composite
def strings(draw: st.DrawFn) -> str:
    text = draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=8))
    return quoted(text, draw(st.lists(st.booleans(), max_size=8)))


@st.composite
def _containers(draw: st.DrawFn, inner: st.SearchStrategy[str]) -> str:
    parts = draw(st.lists(st.tuples(SPACES, inner, SPACES).map("".join), max_size=3))
    if draw(st.booleans()):
        return f"[{','.join(parts) or draw(SPACES)}]"
    named = [f"{draw(SPACES)}{draw(strings())}{draw(SPACES)}:{part}" for part in parts]
    return f"{{{','.join(named) or draw(SPACES)}}}"


VALUES = st.recursive(
    st.one_of(_NUMBERS, strings(), st.sampled_from(["true", "false", "null"])),
    _containers,
    max_leaves=6,
)


@dataclasses.dataclass(frozen=True)
class Written:
    """An object as text: its pieces in order, each (what stands before, name, value)."""

    members: list[tuple[str, str, str]]
    end: str

    def text(self, replaced: int | None = None, value: str = "") -> bytes:
        """Give the object, the value of one member replaced perhaps."""
        parts = [
            before + (value if i == replaced else own)
            for i, (before, _, own) in enumerate(self.members)
        ]
        return ("".join(parts) + self.end).encode()


@st.composite
def objects(draw: st.DrawFn, *, unique: bool) -> Written:
    names = draw(st.lists(NAMES, min_size=1, max_size=6, unique=unique))
    members = []
    for i, name in enumerate(names):
        written = quoted(name, draw(st.lists(st.booleans(), max_size=4)))
        before = draw(SPACES) + "{" if i == 0 else ","
        before += f"{draw(SPACES)}{written}{draw(SPACES)}:{draw(SPACES)}"
        members.append((before, name, draw(VALUES) + draw(SPACES)))
    return Written(members, "}" + draw(SPACES))
