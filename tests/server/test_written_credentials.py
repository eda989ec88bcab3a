"""What a configuration may say of an upstream's credential, and how it is written or printed."""

import dataclasses

import pytest

from proxy import Auth, ConfigError, Drop, Upstream
from proxy.app import create_app
from proxy.server.reload import with_key_of
from proxy.upstreams.credentials import own_headers
from tests.support.gateways import BODY, config_for
from tests.support.raw import answer
from tests.support.scripts import gateway_before, says


@pytest.mark.parametrize(
    ("read", "is_taken"),
    [
        (Upstream("first", "http://a", Auth("bearer", "sk-2")), True),
        (Upstream("first", "http://a", Auth("bearer", "sk-1")), False),
        (Upstream("first", "http://b", Auth("bearer", "sk-2")), False),
        (Upstream("second", "http://a", Auth("bearer", "sk-2")), False),
    ],
    ids=["another key", "the same", "for another address", "of another upstream"],
)
def test_a_key_is_read_anew_for_the_address_beside_which_it_stands(
    read: Upstream, *, is_taken: bool
) -> None:
    before = Upstream("first", "http://a", Auth("bearer", "sk-1"))
    served, now = (config_for("http://a", upstreams=(each,)) for each in (before, read))
    taken = with_key_of("first", served, now)
    assert (taken is not None and taken.upstreams == (read,)) is is_taken


async def test_betas_are_added_and_dropped_and_members_too() -> None:
    drop = Drop(betas=("bad-1",), members=("metadata",))
    async with gateway_before(says(answer())) as (upstream, gateway):
        config = gateway.gateway.snapshot.config
        changed = dataclasses.replace(config.upstreams[0], betas=("ours-1", "ours-2"), drop=drop)
        await gateway.gateway.reload(dataclasses.replace(config, upstreams=(changed,)))
        body = BODY[:-1] + b', "metadata": {"user_id": "u"} , "x" : [ 1 ]}'
        headers = {"anthropic-beta": "good-1, bad-1,good-2"}
        async with gateway.post(body, headers=headers) as response:
            assert response.status == 200
        async with gateway.post(headers={"anthropic-beta": "bad-1"}) as response:
            assert response.status == 200
        first, second = upstream.requests
        assert b"anthropic-beta: good-1,good-2\r\n" in first.head
        assert b"anthropic-beta: ours-1,ours-2\r\n" in first.head
        assert b"metadata" not in first.body
        assert b'"messages":[{"role": "user", "content": "say hi"}]' in first.body
        assert first.body.endswith(b',"x":[ 1 ]}')
        assert second.head.lower().count(b"anthropic-beta") == 1
        assert second.body == BODY.replace(b"anthropic/claude-sonnet-4.6", b"claude-sonnet-4-6")


@pytest.mark.parametrize(
    ("auth", "said"),
    [
        (Auth("bearer"), "upstreams.first.auth.key: missing, and required"),
        (
            Auth("bearer", "sk-1", ("print",)),
            "upstreams.first.auth.key: the command prints it; leave one of the two out",
        ),
        (
            Auth("none", command=("print",)),
            "upstreams.first.auth.command: not used with scheme none; leave it out",
        ),
    ],
)
def test_a_credential_is_written_or_printed(auth: Auth, said: str) -> None:
    config = config_for("http://127.0.0.1:1", upstreams=(Upstream("first", "http://a", auth),))
    with pytest.raises(ConfigError) as refused:
        create_app(config)
    assert said in refused.value.faults


@pytest.mark.parametrize(
    "auth",
    [Auth("bearer", command=("print",)), Auth("x-api-key", command=("print",))],
    ids=lambda auth: auth.scheme,
)
def test_a_token_that_nobody_has_printed_yet_is_not_presented(auth: Auth) -> None:
    upstream = Upstream("first", "http://a", auth)
    assert own_headers(upstream)[-1][1] is None
    assert own_headers(upstream, "sk-1")[-1][1] is not None
