"""The differential JSON fuzz: a body that is accepted means the same to every reader; a refusal is an InvalidRequest.

The other reader is Python's own `json`. Of an accepted body: the model that was checked is the last one, and is the one
replaced; every other member keeps its bytes; no reader that takes the first of two names, or folds case, or ends a name
at NUL, finds another model than the one sent. A body that is JSON and as the schema describes is not refused. No step
of the reading holds the loop for 50 ms.
"""

import math
import re
import time
from contextlib import AsyncExitStack
from random import Random
from typing import Any

import jsonschema
import referencing

from fuzz import json_texts
from fuzz.json_reader import Member, Unreadable, depth, members, strings
from fuzz.machine import slowness
from fuzz.program import Broken, Program
from proxy import schema_files
from proxy.errors import InvalidRequest
from proxy.protocol import layouts
from proxy.protocol.call import COUNT_TOKENS, MESSAGES, Call
from proxy.protocol.parse import parse_call, parse_steps

SENT = "claude-sent"
# As on the machine of docs/performance.md.
MAX_STEP_MS = 50.0
# Of all steps together: one of tokens only takes some 10 µs for each, one that is read quadratically any multiple.
MAX_MS_PER_100_KB = 250.0

# What a gateway may well refuse though the schema does not: names without number, values without end.
_MANY_NAMES = 500
_LONG_NAME = 250
_DEEP = 100
# A number beyond a float, perhaps: it may stand where a later member of its name hides it.
_HUGE = re.compile(rb"\d[eE]\+?\d{3}|\d{300}")


class JsonBodies(Program[bytes]):
    """Bodies against `parse_call` and `body_for`."""

    name = "json"

    def __init__(self) -> None:
        schemas = [schema_files.load(name) for name in schema_files.names()]
        registry: Any = referencing.Registry().with_contents(
            [(schema["$id"], schema) for schema in schemas]
        )
        self._validators = {
            name: jsonschema.Draft202012Validator(schema_files.load(name), registry=registry)
            for name in (MESSAGES, COUNT_TOKENS)
        }
        self._checked = {
            name: set(schema_files.load(name)["properties"]) for name in self._validators
        }
        self._meant = {
            name: {_squeezed(each): each for each in checked}
            for name, checked in self._checked.items()
        }
        self._worst = (0.0, 0)

    async def open(self, stack: AsyncExitStack) -> None:
        """Compile the schemas, which the first call does; every body is taken for one like the last plain one."""
        del stack
        layouts.LEAST_BYTES = 0
        layouts.kind = _one_kind
        for name in self._validators:
            parse_call(b'{"model":"m","max_tokens":1,"messages":[]}', name)

    def make(self, random: Random) -> bytes:
        """Make a body."""
        return json_texts.body(random)

    async def check(self, case: bytes) -> str:
        """Compare both readings of a body, as both kinds of requests; then as one that is laid out as one before it."""
        for schema_name in (COUNT_TOKENS, MESSAGES):
            self.compare(case, schema_name)
        return self.compare(case, MESSAGES)

    def compare(self, body: bytes, schema_name: str) -> str:
        """Compare both readings of a body.

        Raises:
            Broken: they differ.
        """
        call, outbound = self._timed(body, schema_name)
        try:
            read = members(body)
        except Unreadable as error:
            if call is not None:
                raise Broken("accepts what is no JSON", str(error)) from None
            return "no JSON"
        if call is None:
            if self._should_pass(body, read, schema_name):
                raise Broken("refuses what the schema accepts", outbound)
            return "refused"
        self._compare_accepted(body, call, read, schema_name)
        self._compare_outbound(body, outbound, read, schema_name)
        return "accepted"

    def remarks(self) -> list[str]:
        """Tell the slowest."""
        return [f"longest step: {self._worst[0]:.1f} ms of CPU, of {self._worst[1]} bytes"]

    def _timed(self, body: bytes, schema_name: str) -> tuple[Call | None, bytes]:
        """Parse, refuse perhaps, and give the outbound body; or the refusal's words."""
        bound_ms = MAX_MS_PER_100_KB * max(1.0, len(body) / 100_000)
        slower = 1.0
        for _ in range(3):
            call, outbound, steps_ms = _in_steps(body, schema_name)
            took_ms, longest_ms = sum(steps_ms) / slower, max(steps_ms) / slower
            if took_ms < bound_ms and longest_ms < MAX_STEP_MS:
                self._worst = max(self._worst, (longest_ms, len(body)))
                return call, outbound
            slower = slowness()
        said = f"{took_ms:.0f} ms of CPU for {len(body)} bytes, {longest_ms:.0f} ms in one step"
        raise Broken("takes too long", said)

    def _compare_accepted(
        self, body: bytes, call: Call, read: list[Member], schema_name: str
    ) -> None:
        values = {each.name: each.value for each in read}
        if call.body != body and len(values) == len(read):
            raise Broken("keeps another body, though no name comes twice")
        if call.model != values.get("model"):
            raise Broken("checks another model", (call.model, values.get("model")))
        if schema_name != MESSAGES:
            return
        if call.stream is not (values.get("stream") is True):
            raise Broken("checks another stream", (call.stream, values.get("stream")))
        if call.max_tokens != values.get("max_tokens"):
            raise Broken("checks other max_tokens", (call.max_tokens, values.get("max_tokens")))

    def _compare_outbound(
        self, body: bytes, outbound: bytes, read: list[Member], schema_name: str
    ) -> None:
        for name in compare_replaced(body, outbound, read, "model", b'"%b"' % SENT.encode()):
            for meant in {_folded(name), _folded(name.partition("\x00")[0])}:
                if meant in self._checked[schema_name] and name != meant:
                    raise Broken("sends a name that some reader takes for a checked one", name)

    def _should_pass(self, body: bytes, read: list[Member], schema_name: str) -> bool:
        """Tell whether nobody could mind a body, so that it must not be refused."""
        values = {each.name: each.value for each in read}
        return (
            len(read) < _MANY_NAMES
            and not _HUGE.search(body)
            and all(len(name) < _LONG_NAME for name in values)
            and all(self._meant[schema_name].get(_squeezed(name), name) == name for name in values)
            and depth(body) <= _DEEP
            and all(_is_finite(each.value) for each in read)
            and not any("\ud800" <= char <= "\udfff" for text in strings(body) for char in text)
            and self._validators[schema_name].is_valid(values)
        )


def compare_replaced(
    body: bytes, outbound: bytes, read: list[Member], name: str, value: bytes
) -> list[str]:
    """Compare an object with the same one whose member `name` has another value; give its names.

    Raises:
        Broken: more is different than the value, or a name comes twice.
    """
    try:
        sent = members(outbound)
    except Unreadable as error:
        raise Broken("sends no JSON", str(error)) from None
    last = {each.name: body[each.start : each.end] for each in read} | {name: value}
    if len(last) == len(read):
        old = next(each for each in read if each.name == name)
        if outbound != body[: old.start] + value + body[old.end :]:
            raise Broken("changes more than one value", outbound[:200])
    for each in sent:
        if outbound[each.start : each.end] != last.get(each.name):
            raise Broken("sends another member", each.name[:100])
    names = [each.name for each in sent]
    if names != list(last):
        raise Broken("sends names twice, or others, or in another order", names[:20])
    return names


def _in_steps(body: bytes, schema_name: str) -> tuple[Call | None, bytes, list[float]]:
    """Parse a body; give the call, the outbound body or the refusal's words, and what each step took, in ms of CPU."""
    steps, taken_ms = parse_steps(body, schema_name), list[float]()
    while True:
        began = time.thread_time()
        try:
            next(steps)
        except StopIteration as done:
            call: Call = done.value
            return call, b"".join(call.body_for(SENT)), taken_ms
        except InvalidRequest as error:
            return None, error.message.encode(), taken_ms
        finally:
            taken_ms.append((time.thread_time() - began) * 1e3)


def _one_kind(body: bytes, schema_name: str) -> tuple[str, bytes, bytes, int]:
    del body
    return schema_name, b"", b"", 0


def _squeezed(name: str) -> str:
    """Fold a name as the most generous reader does: without case, dashes, underscores, white space, and from NUL on."""
    folded = _folded(name.partition("\x00")[0].strip().upper())
    return folded.replace("_", "").replace("-", "")


def _folded(name: str) -> str:
    """Fold case as readers do that compare names so: one character for one."""
    return "".join(folded if len(folded := char.casefold()) == 1 else char for char in name)


def _is_finite(value: Any) -> bool:
    """Tell whether no number in a value is beyond a float."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    return not isinstance(value, list) or all(map(_is_finite, value))
