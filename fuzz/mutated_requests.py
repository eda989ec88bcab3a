"""The mutated-request run: whatever a client sends, it is answered or closed by its deadline, and nothing breaks.

No answer is a 500, nothing is logged with a traceback, and the gateway goes on answering others.
"""

from contextlib import AsyncExitStack
from random import Random

from fuzz import http_texts
from fuzz.gateway import Gateway
from fuzz.program import Broken, Program

_ASKED_EVERY = 200


class MutatedRequests(Program[list[bytes]]):
    """Requests as clients send them, some bytes changed, in segments."""

    name = "mutated"
    at_once = 16

    def __init__(self) -> None:
        self._gateway = Gateway()
        self._count = 0

    async def open(self, stack: AsyncExitStack) -> None:
        """Start the gateway."""
        await self._gateway.open(stack)

    def make(self, random: Random) -> list[bytes]:
        """Change some bytes of one request, or of a few on one connection."""
        count = random.choice((1, 1, 1, 2))
        data = b"".join(http_texts.well_formed(random) for _ in range(count))
        return http_texts.segments(random, http_texts.mutated(random, data))

    async def check(self, case: list[bytes]) -> str:
        """Send it, and now and then a good one."""
        complaints = len(self._gateway.complaints)
        answers = await self._gateway.ask(case, 1, more=False)
        self._gateway.blame(complaints)
        self._count += 1
        if self._count % _ASKED_EVERY == 0:
            good = http_texts.plain(http_texts.message(1), b"connection: close")
            answered = await self._gateway.ask([good], 1, more=False)
            if [each.status for each in answered] != [200]:
                raise Broken("a good request is not answered", answered)
        return str(answers[0].status) if answers else "closed"
