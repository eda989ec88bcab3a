"""The desync run: what reaches the upstream is what a strict reading of the client's bytes finds, and no request more.

Connections carry ambiguous framing, with requests hidden in and behind bodies. Each request has a model of its own, so
the upstream's are told apart: every one must be a whole, well-formed one of the connection's, at most as often as it is
there. Every answer is well-formed; there are no more of them than requests, and one for what is malformed.
"""

import itertools
import json
import re
from collections import Counter
from contextlib import AsyncExitStack
from random import Random

from fuzz import ambiguous_texts, http_texts
from fuzz.gateway import Gateway
from fuzz.json_reader import Unreadable, members
from fuzz.program import Broken, Program
from fuzz.strict_http import Message, Reader

_TAG = re.compile(rb"case-([0-9a-f]{8})")


class Desync(Program[list[bytes]]):
    """What clients send on one connection, in segments, against what the upstream gets."""

    name = "desync"
    at_once = 16

    def __init__(self) -> None:
        self._gateway = Gateway(self._seen)
        self._tags = itertools.count(0x10000000)
        self._due: Counter[str] = Counter()
        self._made_up: dict[bytes, Message] = {}

    async def open(self, stack: AsyncExitStack) -> None:
        """Start the gateway."""
        await self._gateway.open(stack)

    def make(self, random: Random) -> list[bytes]:
        """Make what goes over one connection."""
        count = random.choice((1, 1, 2, 3))
        data = b"".join(ambiguous_texts.ambiguous(random, number) for number in range(count))
        if random.random() < 0.3:
            data = http_texts.mutated(random, data)
        return http_texts.segments(random, data)

    async def check(self, case: list[bytes]) -> str:
        """Send it, and compare."""
        complaints = len(self._gateway.complaints)
        tag = b"%08x" % next(self._tags)
        data = b"".join(case).replace(http_texts.CASE, tag)
        requests, malformed = Reader(data).requests()
        self._due.update(_meaning(request) for request in requests)
        more = malformed or not requests or not requests[-1].closes
        answers = await self._gateway.ask(_cut_again(data, case), len(requests), more=more)
        for guilty in (tag, b""):
            if (made_up := self._made_up.pop(guilty, None)) is not None:
                raise Broken("the upstream gets a request that nobody sent", made_up)
        if len(answers) > len(requests) + 1:
            raise Broken("more answers than requests", [each.status for each in answers])
        self._gateway.blame(complaints)
        return "malformed" if malformed else f"of {len(requests)}"

    def _seen(self, request: Message) -> None:
        meaning = _meaning(request)
        self._due[meaning] -= 1
        if self._due[meaning] < 0:
            found = _TAG.search(request.body)
            self._made_up[found[1] if found else b""] = request


def _meaning(request: Message) -> str:
    """Give what a request says, the same before and after the gateway has replaced its model."""
    mark = "smuggled " if request.values(b"x-smuggled") else ""
    try:
        values = {each.name: each.value for each in members(request.body)}
    except Unreadable:
        return f"{mark}{request.body!r}"
    model = str(values.get("model")).removeprefix("anthropic/").removesuffix("[1m]")
    return mark + json.dumps(values | {"model": model.replace(".", "-")})


def _cut_again(data: bytes, case: list[bytes]) -> list[bytes]:
    lengths = itertools.accumulate(map(len, case), initial=0)
    return [data[start:end] for start, end in itertools.pairwise(lengths)]
