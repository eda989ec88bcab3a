"""A conversation keeps its upstream, whatever it calls itself by; what names one account's objects stays there."""

import asyncio
import collections
import json
from typing import Any

import pytest

from proxy import Key, Member
from proxy.access.keys import digest
from proxy.upstreams.health import Place
from proxy.upstreams.standing import Standing
from tests.support.gateways import BODY, MODEL
from tests.support.pools import config_of, error, good, one_after_the_other, pooled
from tests.support.raw import MESSAGE, UpstreamSide, answer, raw_upstream
from tests.support.scripts import says

EQUAL = (Member("a"), Member("b"))
OTHER_KEY = "ar-other-key-0123456789"
LIMITED = error(b"429 Too Many", b"retry-after: 30")


def a_turn(number: int, **members: Any) -> bytes:
    """Return a turn of a conversation, its cache mark at the last message."""
    mark = {"cache_control": {"type": "ephemeral"}}
    texts = [
        {
            "role": ("user", "assistant")[index % 2],
            "content": [
                {"type": "text", "text": f"{index}", **(mark if index == 2 * number else {})}
            ],
        }
        for index in range(2 * number + 1)
    ]
    body = {"model": MODEL, "max_tokens": 9, "system": "You are", "messages": texts, **members}
    return json.dumps(body).encode()


async def test_twenty_turns_go_to_one_upstream_also_of_another_process() -> None:
    homes = set()
    for _ in range(2):
        async with pooled(good, good, members=EQUAL) as pool:
            for number in range(10):
                await pool.ask(a_turn(number))
            homes.add(pool.last["upstream"])
            assert sorted(pool.asked().values()) == [0, 10]
            assert pool.last["affinity"] == "prompt"
    assert len(homes) == 1


async def test_conversations_spread_by_weight_also_with_one_system_prompt() -> None:
    async with pooled(good, good, members=(Member("a", 3), Member("b"))) as pool:
        for number in range(80):
            await pool.ask(BODY.replace(b"say hi", b"say %d" % number))
        assert 45 <= pool.asked()["a"] <= 72


@pytest.mark.parametrize(
    ("headers", "members", "affinity"),
    [
        ({"x-claude-code-session-id": "s"}, {"metadata": {"user_id": "u"}}, "session"),
        ({}, {"metadata": {"user_id": "u"}}, "user"),
        ({}, {}, "prompt"),
        ({}, {"system": "", "messages": []}, "key"),
    ],
    ids=["session", "user", "prompt", "key"],
)
async def test_the_line_tells_how_a_conversation_was_known(
    headers: dict[str, str], members: dict[str, Any], affinity: str
) -> None:
    async with pooled(good, good, members=EQUAL) as pool:
        await pool.ask(a_turn(0, **members), headers=headers)
    assert pool.last["affinity"] == affinity


async def test_with_one_member_a_priority_nobody_needs_to_know_the_conversation() -> None:
    async with pooled(good, good) as pool:
        await pool.ask(BODY)
    assert (pool.last["pool"], "affinity" in pool.last) == ("pool", False)


async def test_a_detour_is_taken_for_its_model_only_and_leaves_no_trace() -> None:
    async with pooled(one_after_the_other(LIMITED, good), good) as pool:
        await pool.ask(BODY)
        await pool.ask(BODY)
        assert (pool.last["upstream"], pool.last["away"]) == ("b", True)
        assert "attempts" not in pool.last
        await pool.ask(BODY.replace(b"sonnet-4.6", b"opus-5"))
        assert pool.last["upstream"] == "a"
        pool.gateway.gateway.standing.health.forget("a")  # as when its time is over
        await pool.ask(BODY)
        assert pool.last["upstream"] == "a"


async def test_a_member_that_does_not_serve_a_model_is_not_asked_for_it() -> None:
    ids = {"a": {"model_ids": (("claude-opus-*", "opus-*"),)}}
    async with pooled(good, good, upstreams=ids) as pool:
        await pool.ask(BODY)
        assert pool.asked() == {"a": 0, "b": 1}
        await pool.ask(BODY.replace(b"sonnet-4.6", b"opus-5"))
        assert pool.asked() == {"a": 1, "b": 1}
        assert b'"model": "opus-5"' in pool.upstreams["a"].requests[0].body


async def test_two_keys_do_not_share_homes_by_accident() -> None:
    keys = (Key("tester", digest("ar-test-key-0123456789")), Key("other", digest(OTHER_KEY)))
    homes: collections.Counter[bool] = collections.Counter()
    async with pooled(good, good, members=EQUAL, keys=keys) as pool:
        for number in range(24):
            headers = {"x-claude-code-session-id": f"s{number}"}
            await pool.ask(BODY, headers=headers)
            one = pool.last["upstream"]
            await pool.ask(BODY, headers={**headers, "x-api-key": OTHER_KEY})
            homes[one == pool.last["upstream"]] += 1
    assert len(homes) == 2


PINNED = {
    "a container": {"container": "container_1"},
    "a container with skills": {"container": {"skills": []}},
    "a thread that goes on": {"thread": {"type": "continue", "previous_message_id": "msg_0"}},
}


@pytest.mark.parametrize("members", PINNED.values(), ids=PINNED)
async def test_what_names_an_object_of_an_account_is_never_moved(members: dict[str, Any]) -> None:
    async with pooled(LIMITED, good) as pool:
        for count in (1, 2):
            assert (await pool.ask(a_turn(0, **members)))[0] == 429
            assert pool.asked() == {"a": count, "b": 0}


@pytest.mark.parametrize("name", ["container", "thread"])
async def test_null_names_nothing(name: str) -> None:
    async with pooled(LIMITED, good) as pool:
        assert (await pool.ask(a_turn(0, **{name: None})))[0] == 200


async def test_a_thread_goes_on_where_its_message_was_given() -> None:
    """The follow-up has the tool's result only, so nothing else in it tells where it belongs."""
    started = a_turn(0, thread={"type": "create"})
    goes_on = a_turn(0, thread={"previous_message_id": "msg_b"}, system="other", messages=[])
    of_b = MESSAGE.replace(b"msg_1", b"msg_b")
    async with pooled(one_after_the_other(LIMITED, good), says(answer(of_b))) as pool:
        assert (await pool.ask(started))[0] == 200
        pool.gateway.gateway.standing.health.forget("a")
        assert (await pool.ask(goes_on))[0] == 200
        assert pool.asked() == {"a": 1, "b": 2}
        await pool.ask(goes_on.replace(b"msg_b", b"msg_unknown"))
        assert pool.asked() == {"a": 2, "b": 2}


async def test_models_named_beside_are_those_of_the_member_that_is_asked() -> None:
    ids = {
        "a": {"model_ids": (("claude-*", "a.claude-*"),)},
        "b": {"model_ids": (("claude-*", "b.claude-*"),)},
    }
    body = a_turn(0, fallbacks=[{"model": "claude-haiku-4-5"}])
    async with pooled(error(b"529 Overloaded"), good, upstreams=ids) as pool:
        assert (await pool.ask(body))[0] == 200
        for name, upstream in pool.upstreams.items():
            sent = json.loads(upstream.requests[0].body)
            assert sent["model"] == f"{name}.claude-sonnet-4-6"
            assert sent["fallbacks"] == [{"model": f"{name}.claude-haiku-4-5"}]


async def test_who_does_not_serve_a_model_named_beside_is_not_asked() -> None:
    ids = {"a": {"model_ids": (("claude-sonnet-*", "claude-sonnet-*"),)}}
    body = a_turn(0, fallbacks=[{"model": "claude-haiku-4-5"}])
    async with pooled(good, good, upstreams=ids) as pool:
        assert (await pool.ask(body))[0] == 200
        assert pool.asked() == {"a": 0, "b": 1}


async def test_standing_outlives_a_configuration_by_the_upstreams_name() -> None:
    before = config_of({"a": "http://h:1", "b": "http://h:2"})
    standing = Standing()
    for name in "ab":
        standing.health.cool(Place(name, None), 0, "401", 60)
    standing.follow(before, config_of({"a": "http://h:1", "b": "http://h:3"}), 2.0)
    assert standing.health.ready_at("a", "m") == 60
    assert standing.health.ready_at("b", "m") == 0


async def test_who_was_asked_before_a_reload_marks_no_other_account_of_that_name() -> None:
    """Neither for the worse, by a refused credential, nor for the better."""
    may_answer = asyncio.Event()

    async def old(upstream: UpstreamSide) -> None:
        await may_answer.wait()
        await error(b"401 Unauthorized")(upstream)

    async with pooled(old, good) as pool, raw_upstream(good) as another:
        asking = asyncio.create_task(pool.ask(BODY))
        await pool.upstreams["a"].arrived.wait()
        urls = {"a": another.url, "b": pool.upstreams["b"].url}
        await pool.gateway.gateway.reload(config_of(urls))
        may_answer.set()
        assert (await asking)[0] == 200
        assert pool.asked() == {"a": 1, "b": 1}
        assert pool.gateway.gateway.standing.health.is_well
        assert (await pool.ask(BODY))[0] == 200
        assert len(another.requests) == 1
