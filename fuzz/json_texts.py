"""Make JSON request bodies as a careless, an unusual or a hostile client writes them."""

import json
from random import Random

_MODELS = ("claude-sonnet-4-6", "anthropic/claude-opus-4.6", "m", "", "\u00e9\U0001f600", "a\x00b")
_SPACES = ("", "", "", " ", "\n", "\r\n", "\t", "  \t\n")
_NUMBERS = (
    *("0", "1", "-0", "64", "64.0", "6.4e1", "640E-1", "0.5", "1e5", "-1", "1e400", "-1e999"),
    *("1e-400", "9" * 30, "9" * 320, "7" * 5000, "0." + "3" * 400, "1" + "0" * 25 + ".0"),
    *("01", "+1", "1.", ".5", "0x1", "1e", "NaN", "Infinity", "-Infinity", "1_0", "--1"),
)
_ODD_TEXTS = (
    *('"\\ud83d\\ude00"', '"\\ud800"', '"\\udc00\\ud800"', '"\\uD83Dx"', '"\\u0000"', '"\\x41"'),
    *('"\\"', '"\n"', "'a'", '"\\u00"', '"a\\\\"', '"\\/"', '"\\\\\\""', '"\u2028"', '"\ufeff"'),
    *('"[,{"', '"\\",{\\"model\\":\\"other\\"}"', '"\\u007b,,"', '"}"', '"\x7f"', '"\U0010ffff"'),
)
_NEAR_NAMES = (
    *(
        "Model",
        "MODEL",
        "mode",
        "modell",
        "model ",
        " model",
        "model\x00",
        "model\x00x",
        "\ufeffmodel",
    ),
    *(
        "Stream",
        "STREAM",
        "\u017ftream",
        "stream\x00",
        "Max_Tokens",
        "maxTokens",
        "max_to\u212aens",
    ),
    *("Messages", "me\u017f\u017fages", "TOOLS", "System", "m\u00f6del", "\u043codel", "__proto__"),
)
_NAMES = ("model", "messages", "max_tokens", "stream", "system", "tools", "temperature", "metadata")
_BAD_BYTES = (
    b"\xff",
    b"\xc0\xaf",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xc3",
    b"\x00",
    b"\xef\xbb\xbf",
)
_TOKENS = (
    b'"',
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\\u",
    b"null",
    b'"model":',
    b"/**/",
    b" ",
)


def body(random: Random) -> bytes:
    """Make a body: mostly small and nearly right, now and then large, deep or broken."""
    make = _alike if random.random() < 0.3 else _object
    made = make(random).encode("utf-8", "surrogatepass")
    if random.random() < 0.3:
        made = _damaged(random, made)
    return made


def _object(random: Random) -> str:
    members = [
        ("model", json.dumps(random.choice(_MODELS), ensure_ascii=random.random() < 0.5)),
        ("max_tokens", random.choice(_NUMBERS) if random.random() < 0.3 else "64"),
        ("messages", _messages(random)),
    ]
    if random.random() < 0.5:
        members.append(("stream", random.choice(("true", "false", "null", '"true"', "1"))))
    for _ in range(random.choice((0, 0, 1, 1, 2, 5))):
        names = random.choice((_NAMES, _NEAR_NAMES, ("a", "b", "", "\U0001f600", '"', "\\")))
        members.append((random.choice(names), _value(random, 3)))
    if random.random() < 0.05:
        members.extend(_many(random))
    if random.random() < 0.1:
        members.remove(random.choice(members))
    if random.random() < 0.5:
        random.shuffle(members)
    return _written(random, members)


def _alike(random: Random) -> str:
    """Make a body that is laid out as others: what stands in its members may be anything, more members, too."""
    usual = (
        *(("model", '"m"'), ("messages", "[]"), ("system", '"x"'), ("max_tokens", "64")),
        *(("a", "{}"), ("stream", "true")),
    )
    odd = [json.dumps(dict.fromkeys(_NAMES, "b"), separators=(",", ":")), '1,"a":{}', '"m","a":1']
    members = [
        (name, random.choice((value, value, value, value, _value(random, 3), random.choice(odd))))
        for name, value in usual
    ]
    return f"{{{','.join(f'{json.dumps(name)}:{value}' for name, value in members)}}}"


def _messages(random: Random) -> str:
    if random.random() < 0.1:
        return _value(random, 3)
    turns = []
    for _ in range(random.choice((0, 1, 1, 2, 3))):
        content = random.choice(('"hi"', '[{"type":"text","text":"hi"}]', "[]", "[{}]", "null"))
        turns.append(_written(random, [("role", '"user"'), ("content", content)]))
    return f"[{','.join(turns)}]"


def _written(random: Random, members: list[tuple[str, str]]) -> str:
    def space() -> str:
        return random.choice(_SPACES)

    parts = [
        f"{space()}{_quoted(random, name)}{space()}:{space()}{value}{space()}"
        for name, value in members
    ]
    return f"{space()}{{{','.join(parts)}}}{space()}"


def _quoted(random: Random, text: str) -> str:
    """Write a name, some of its characters as escapes that mean the same."""
    if random.random() < 0.7:
        return json.dumps(text, ensure_ascii=False)
    return (
        '"'
        + "".join(
            f"\\u{ord(char):04x}" if ord(char) < 0x10000 and random.random() < 0.5 else _plain(char)
            for char in text
        )
        + '"'
    )


def _plain(char: str) -> str:
    return json.dumps(char, ensure_ascii=False)[1:-1]


def _value(random: Random, depth: int) -> str:
    kind = random.randrange(9)
    if kind > 5 and depth:
        names = [random.choice(_NAMES) for _ in range(random.randrange(4))]
        return _written(random, [(name, _value(random, depth - 1)) for name in names])
    if kind > 4 and depth:
        return f"[{','.join(_value(random, depth - 1) for _ in range(random.randrange(4)))}]"
    if kind == 0:
        return _nested(random)
    text = json.dumps("x\u00e9" * random.choice((0, 1, 40)), ensure_ascii=False)
    plain = ("true", "false", "null", "{}", "[]", text, text, "True", "nul", "")
    return random.choice(random.choice((_NUMBERS, _ODD_TEXTS, plain)))


def _nested(random: Random) -> str:
    depth = random.choice((2, 10, 100, 254, 255, 256, 500, 900, 1000, 1100, 20_000))
    opened, closed = random.choice((("[", "]"), ('{"a":', "}")))
    return opened * depth + "1" + closed * random.choice((depth, depth, depth, depth - 1))


def _many(random: Random) -> list[tuple[str, str]]:
    """Make what is large: in number, in a name, in a text of one kind."""
    count = random.choice((300, 3_000, 30_000))
    match random.randrange(4):
        case 0:
            return [(f"n{number}", "1") for number in range(count // 3)]
        case 1:
            return [("x" * count + random.choice(("", '"', "\u00e9", "\\")), "1")]
        case 2:
            piece = random.choice(
                (",", "[],", "\\\\", '\\"', "\\u0041", "\\ud83d\\ude00", "\u00e9")
            )
            return [("text", f'"{piece * count}"')]
        case _:
            item = random.choice(("[]", "{}", "1", '""', "[[]]", "1e5", '{"model":1}'))
            return [("list", f"[{','.join([item] * count)}]")]


def _damaged(random: Random, made: bytes) -> bytes:
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        at = random.randrange(len(made) + 1)
        until = min(len(made), at + random.choice((0, 1, 1, 2, 8)))
        match random.randrange(6):
            case 0:
                put = random.choice(_BAD_BYTES)
            case 1:
                put = random.choice(_TOKENS)
            case 2:
                put = bytes([random.randrange(256)])
            case 3:
                put = made[at : at + random.randrange(1, 60)] * 2
            case 4:
                put = b""
            case _:
                return made[:at]
        made = made[:at] + put + made[until:]
    return made
