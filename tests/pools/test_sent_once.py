"""What an upstream has read whole is sent to no other when TLS breaks, on a new connection as on a used one."""

import os

import pytest

from proxy import Tls
from tests.support.certificates import CA, server_context
from tests.support.gateways import running
from tests.support.pools import config_of, good
from tests.support.raw import UpstreamSide, raw_upstream

BROKEN = {
    "an answer without TLS": b"HTTP/1.1 502 Bad Gateway\r\n\r\n",
    "a record that cannot be read": b"\x17\x03\x03\x00\x20" + b"\0" * 32,
}


@pytest.mark.parametrize("is_used", [False, True], ids=["new", "used"])
@pytest.mark.parametrize("junk", BROKEN.values(), ids=BROKEN)
async def test_tls_that_breaks_behind_a_whole_request_is_a_cut(
    junk: bytes, *, is_used: bool
) -> None:
    async def breaks(upstream: UpstreamSide) -> None:
        if is_used and len(first.requests) == 1:
            return await good(upstream)
        os.write(upstream.writer.get_extra_info("socket").fileno(), junk)
        return await upstream.until_closed()

    tls = {name: {"tls": Tls(ca=str(CA))} for name in "ab"}
    context = server_context()
    async with (
        raw_upstream(breaks, context, "localhost") as first,
        raw_upstream(good, context, "localhost") as second,
        running(config_of({"a": first.url, "b": second.url}, upstreams=tls)) as gateway,
    ):
        for status in [200, 502] if is_used else [502]:
            async with gateway.post() as response:
                assert response.status == status
        assert len(first.requests) == 1 + is_used
        assert not second.requests
    assert gateway.log[-1]["cause"] == "upstream_cut"
