"""The doctor on the way of a stream: what holds it back, and what stands between."""

import pytest

from proxy.sandbox import Knobs
from tests.cli.doctors import Doctor, gateway_and_sandbox, hop, the_fault

SETTINGS = {
    "nginx/1.27": ("in nginx: `proxy_buffering off;` and `gzip off;`", "HAProxy"),
    "HAProxy": ("in HAProxy: `option http-no-delay`", "nginx"),
    "other": ("in any other proxy: no buffering", None),
}


@pytest.mark.parametrize(("server", "said"), SETTINGS.items(), ids=SETTINGS)
@pytest.mark.parametrize("knobs", [Knobs(), Knobs(interval=0.1)], ids=["fast", "slow"])
async def test_a_stream_that_is_held_back_is_seen_whatever_the_upstream_and_the_setting_named(
    doctor: Doctor, server: str, said: tuple[str, str | None], knobs: Knobs
) -> None:
    async with gateway_and_sandbox(knobs) as gateway:
        async with hop(gateway.url, server=server) as url:
            status, lines = await doctor(url)
        assert (await doctor(gateway.url))[0] == 0
    fault = the_fault(lines)
    assert status == 1
    assert fault.startswith("a stream: first byte after ")
    assert said[0] in fault
    assert said[1] is None or said[1] not in fault


async def test_events_that_come_in_bunches_are_told_and_no_fault(doctor: Doctor) -> None:
    async with (
        gateway_and_sandbox() as gateway,
        hop(gateway.url, holds=False, gathers_bytes=1000, server="HAProxy") as url,
    ):
        status, lines = await doctor(url)
    assert status == 0
    assert lines[5].startswith("  note a stream: first byte after ")
    assert "something on the way gathers events; in HAProxy: `option http-no-delay`" in lines[5]


async def test_a_stream_whose_length_is_known_was_held_back(doctor: Doctor) -> None:
    async with gateway_and_sandbox() as gateway, hop(gateway.url, with_length=True) as url:
        _, lines = await doctor(url)
    assert "holds streams back" in the_fault(lines)
