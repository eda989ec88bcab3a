"""Make a failing case small: leave out pieces of it for as long as it fails in the same way."""

import time

from fuzz.program import Case, Program, fails


async def shrunk(program: Program[Case], case: Case, kind: str, seconds: float) -> Case:
    """Give the smallest case found in some seconds that still breaks the property in this way."""
    until = time.monotonic() + seconds
    size = len(case)
    while size >= 1 and time.monotonic() < until:
        start = 0
        while start < len(case) and time.monotonic() < until:
            smaller = case[:start] + case[start + size :]
            if await fails(program, smaller, kind):
                case = smaller
            else:
                start += size
        size //= 2
    if isinstance(case, list):
        return await _with_small_pieces(program, case, kind, until)
    return case


async def _with_small_pieces(
    program: Program[list[bytes]], case: list[bytes], kind: str, until: float
) -> list[bytes]:
    for index in range(len(case)):
        size = len(case[index])
        while size >= 1 and time.monotonic() < until:
            start = 0
            while start < len(case[index]) and time.monotonic() < until:
                piece = case[index][:start] + case[index][start + size :]
                smaller = [*case[:index], piece, *case[index + 1 :]]
                if await fails(program, smaller, kind):
                    case = smaller
                else:
                    start += size
            size //= 2
    return case
