"""Of each request in flight it is told what it waits for, the longest first, and of many not all."""

import asyncio

import msgspec
import pytest

from proxy.access.keys import digest
from proxy.admin.live import merged
from proxy.config import Key
from proxy.exchange import Exchange, Phase
from proxy.received import Received
from proxy.server.live import MAX_ROWS, PHASES, doing, live_of

NOW_S = 1000.0


def exchange(phase: Phase = Phase.NOTHING, waited_s: float = 0, **fields: object) -> Exchange:
    received = Received("POST", "/v1/messages", None, started_s=NOW_S - 60, at_unix_s=1_800_000_000)
    made = Exchange(received, key=Key("laptop", digest("ar-laptop")), _task=None)
    made.phase, made.since_s = phase, NOW_S - waited_s
    for name, value in fields.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize(
    ("phase", "word", "said"),
    [
        (Phase.NOTHING, "working", "the gateway works on it"),
        (Phase.REQUEST_BODY, "receiving", "client sends its request, silent 14 s"),
        (Phase.QUEUE, "queued", "waits for its turn 14 s"),
        (Phase.RESPONSE_HEAD, "awaiting_head", "upstream has not answered for 14 s"),
        (Phase.OPENING, "streaming", "upstream silent 14 s"),
        (Phase.RESPONSE_BODY, "streaming", "upstream silent 14 s"),
        (Phase.CLIENT, "client", "client not reading 14 s"),
    ],
)
async def test_what_it_waits_for_has_a_word_and_a_sentence(
    phase: Phase, word: str, said: str
) -> None:
    told = await live_of([exchange(phase, 14.2)], NOW_S, None, None)
    (row,) = told.data
    assert (row.phase, doing(msgspec.to_builtins(row))) == (word, said)
    assert told.phases == {**dict.fromkeys(PHASES, 0), word: 1}
    assert row.waiting_ms == (0 if phase is Phase.NOTHING else 14_200)
    assert (row.age_ms, row.at_ms) == (60_000, 1_800_000_000_000)


@pytest.mark.parametrize(
    ("phase", "said"),
    [
        (Phase.RESPONSE_HEAD, "upstream has not answered for 0 s"),
        (Phase.RESPONSE_BODY, "upstream answers"),
        (Phase.CLIENT, "client not reading 0 s"),
    ],
)
async def test_a_stream_that_flows_is_not_said_to_be_silent(phase: Phase, said: str) -> None:
    (row,) = (await live_of([exchange(phase, 0.9)], NOW_S, None, None)).data
    assert doing(msgspec.to_builtins(row)) == said


async def test_of_many_those_that_have_waited_longest_are_told_and_all_are_counted() -> None:
    many = [exchange(Phase.CLIENT, waited_s) for waited_s in range(MAX_ROWS + 5)]
    told = await live_of([exchange(), *many], NOW_S, None, None)
    assert (told.in_flight, told.phases["client"]) == (MAX_ROWS + 6, MAX_ROWS + 5)
    waited = [row.waiting_ms for row in told.data]
    assert waited == sorted(waited, reverse=True)
    assert (len(waited), waited[0], waited[-1]) == (MAX_ROWS, 1000 * (MAX_ROWS + 4), 5000)
    few = await live_of(many, NOW_S, None, None, 3)
    assert (few.in_flight, [row.waiting_ms for row in few.data]) == (len(many), waited[:3])
    both = merged([(200, msgspec.to_builtins(told)), (200, msgspec.to_builtins(told)), None])
    assert (both["in_flight"], len(both["data"]), both["has_more"]) == (2012, MAX_ROWS, True)
    assert (both["workers"], both["workers_silent"]) == (3, 1)
    assert {row["worker"] for row in both["data"]} == {0, 1}
    assert both["data"][0]["waiting_ms"] == both["data"][1]["waiting_ms"] == waited[0]


async def test_of_a_key_alone_nothing_of_others_is_told_or_counted_and_probes_are_none() -> None:
    other = exchange(key=Key("phone", digest("ar-phone")))
    nobody = exchange(key=None)
    told = await live_of([exchange(), other, nobody, exchange(is_probe=True)], NOW_S, "phone", None)
    assert (told.in_flight, [row.key for row in told.data]) == (1, ["phone"])
    assert (await live_of([exchange()], NOW_S, None, "acct-a")).in_flight == 0
    assert (await live_of([other, nobody], NOW_S, None, None)).in_flight == 2


async def test_what_a_client_says_of_itself_is_told_as_utf8_can_hold_it() -> None:
    told = await live_of([exchange(session_id="a\udcffb", model="é")], NOW_S, None, None)
    assert msgspec.json.decode(msgspec.json.encode(told))["data"][0]["session_id"] == "a?b"
    assert told.data[0].model == "é"


async def test_others_go_on_while_many_are_told_of() -> None:
    """A request that waited for whoever looks at a thousand others would wait for milliseconds."""
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(count_turns())
    told = await live_of([exchange() for _ in range(MAX_ROWS)], NOW_S, None, None)
    other.cancel()
    assert len(told.data) == MAX_ROWS
    assert turns >= MAX_ROWS // 200 - 1
