"""What the programs of this folder have in common: a property, a maker of cases, a check, and the search itself."""

import abc
import asyncio
import dataclasses
import itertools
import time
from collections import Counter
from contextlib import AsyncExitStack
from random import Random
from typing import ClassVar, Generic, TypeVar

# A case is a Python literal, so that it can be written to a file and read back.
Case = TypeVar("Case", bytes, list[bytes])

_MAX_KINDS = 10
_KEPT_FAILURES = 100


class Broken(Exception):
    """A case breaks the property.

    Attributes:
        kind: what is broken; the same words for all cases that are alike.
        detail: what was seen with this one.
    """

    def __init__(self, kind: str, detail: object = "") -> None:
        super().__init__(f"{kind}: {detail!r}")
        self.kind = kind
        self.detail = detail


class Program(abc.ABC, Generic[Case]):
    """One property, and where cases come from that might break it.

    Attributes:
        name: how it is called on the command line.
        at_once: how many cases are checked at the same time.
    """

    name: ClassVar[str]
    at_once: ClassVar[int] = 1

    async def open(self, stack: AsyncExitStack) -> None:
        """Start what the checks need; the stack ends it."""

    @abc.abstractmethod
    def make(self, random: Random) -> Case:
        """Make a case."""

    @abc.abstractmethod
    async def check(self, case: Case) -> str:
        """Check a case.

        Returns:
            A word for what became of it; the words are counted.

        Raises:
            Broken: it breaks the property. So does any other exception.
        """

    def remarks(self) -> list[str]:
        """Tell what was measured besides."""
        return []


@dataclasses.dataclass(frozen=True)
class Failure(Generic[Case]):
    """A case that breaks the property, how, and its number in the search."""

    number: int
    case: Case
    broken: Broken


@dataclasses.dataclass
class Found(Generic[Case]):
    """What a search has found.

    Attributes:
        words: of the cases that passed, counted.
        failures: the others by kind, the first hundred of each.
        more: how many more there were.
    """

    words: Counter[str] = dataclasses.field(default_factory=Counter)
    failures: dict[str, list[Failure[Case]]] = dataclasses.field(default_factory=dict)
    more: int = 0

    @property
    def passed(self) -> int:
        """Count the cases that kept the property."""
        return self.words.total()

    @property
    def failed(self) -> int:
        """Count the cases that broke it."""
        return self.more + sum(map(len, self.failures.values()))

    def fail(self, failure: Failure[Case]) -> None:
        """Take one that broke it."""
        alike = self.failures.setdefault(failure.broken.kind, [])
        if len(alike) < _KEPT_FAILURES:
            alike.append(failure)
        else:
            self.more += 1


async def search(program: Program[Case], seed: str, seconds: float) -> Found[Case]:
    """Check cases for some seconds, or until they have failed in ten ways.

    Args:
        program: opened.
        seed: with it and the program's name, case number n is always the same.
        seconds: when to make no further case.
    """
    found = Found[Case]()
    until = time.monotonic() + seconds
    numbers = itertools.count()

    async def lane() -> None:
        while time.monotonic() < until and len(found.failures) < _MAX_KINDS:
            number = next(numbers)
            case = program.make(Random(f"{seed}/{program.name}/{number}"))
            try:
                word = await program.check(case)
            except Exception as error:  # noqa: BLE001 - whatever a case causes is what is looked for
                found.fail(Failure(number, case, as_broken(error)))
            else:
                found.words[word] += 1

    async with asyncio.TaskGroup() as lanes:
        for _ in range(program.at_once):
            lanes.create_task(lane())
    if program.at_once > 1:
        for kind, suspects in found.failures.items():
            found.failures[kind] = guilty = await _guilty(program, suspects)
            found.words["not guilty"] += len(suspects) - len(guilty)
    return found


async def _guilty(program: Program[Case], suspects: list[Failure[Case]]) -> list[Failure[Case]]:
    """Give those of the cases checked at the same time that fail alone; the first, if none does."""
    guilty = [each for each in suspects if await fails(program, each.case, each.broken.kind)]
    return guilty or suspects[:1]


async def fails(program: Program[Case], case: Case, kind: str) -> bool:
    """Tell whether a case breaks the property in this way."""
    try:
        await program.check(case)
    except Exception as error:  # noqa: BLE001 - as in the search
        return as_broken(error).kind == kind
    return False


def as_broken(error: Exception) -> Broken:
    """Give any exception a kind, so that alike failures are told once."""
    if isinstance(error, Broken):
        return error
    broken = Broken(f"raises {type(error).__name__}", str(error)[:500])
    broken.__cause__ = error
    return broken
