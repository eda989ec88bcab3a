"""The gateway in front of the sandbox: the plain cases."""

from proxy.sandbox import Knobs, serve_sandbox
from tests.support.gateways import MODEL, STREAM_BODY, config_for, running
from tests.support.raw import EVENTS, SSE_HEAD, chunk
from tests.support.scripts import gateway_before, then_closes


async def test_a_message_names_the_model_asked_for() -> None:
    sandbox = await serve_sandbox("127.0.0.1", 0, Knobs())
    try:
        url = f"http://127.0.0.1:{sandbox.addresses[0][1]}"
        async with running(config_for(url)) as gateway, gateway.post() as response:
            message = await response.json()
            assert response.status == 200
            assert message["model"] == MODEL
            assert message["content"][0]["text"] == "You said: say hi"
        assert [line["status"] for line in gateway.log] == [200]
    finally:
        await sandbox.cleanup()


async def test_a_stream_that_breaks_between_events_ends_with_an_error_event() -> None:
    async with (
        gateway_before(then_closes(SSE_HEAD + chunk(EVENTS[0]) + chunk(EVENTS[1]))) as (_, gateway),
        gateway.post(STREAM_BODY) as response,
    ):
        received = await response.read()
    assert received.endswith(b"\n\n")
    assert b"event: error" in received
    assert gateway.log[0]["cause"] == "upstream_cut"
