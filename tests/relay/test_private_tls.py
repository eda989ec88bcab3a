"""Authorities, certificates and proxies of one upstream alone, and of no other."""

import dataclasses
import shutil
from pathlib import Path

import pytest

from proxy import Config, ConfigError, Tls, Upstream, create_app
from proxy.aiohttp_fast import IS_FAST
from tests.support.certificates import CA, server_context
from tests.support.forward_proxy import ForwardProxy, forward_proxy
from tests.support.gateways import Running, config_for, running
from tests.support.raw import answer, raw_upstream
from tests.support.scripts import says

CERTIFICATES = CA.parent
GOOD = str(CERTIFICATES / "good.pem")
STRANGER = str(CERTIFICATES / "stranger.pem")


def with_tls(config: Config, tls: Tls | None, proxy: str | None = None) -> Config:
    (upstream,) = config.upstreams
    changed = dataclasses.replace(upstream, tls=tls, proxy=proxy)
    return dataclasses.replace(config, upstreams=(changed,))


async def outcome(gateway: Running) -> tuple[int, str | None]:
    async with gateway.post() as response:
        await response.read()
    return response.status, gateway.log[-1].get("cause")


UNREACHABLE = (502, "upstream_unreachable")
# The upstream says so after the handshake, by an alert that may be lost with the connection.
REFUSED = (502, None)


@pytest.mark.parametrize(
    ("tls", "wants_client", "expected"),
    [
        pytest.param(Tls(ca=str(CA)), False, (200, None), id="its authority"),
        pytest.param(Tls(ca=STRANGER), False, UNREACHABLE, id="another authority"),
        pytest.param(Tls(ca=str(CA), cert=GOOD), True, (200, None), id="a certificate"),
        pytest.param(Tls(ca=str(CA), cert=STRANGER), True, REFUSED, id="a stranger's certificate"),
        pytest.param(Tls(ca=str(CA)), True, REFUSED, id="no certificate"),
    ],
)
async def test_an_upstream_is_spoken_to_as_it_wants(
    tls: Tls, expected: tuple[int, str | None], *, wants_client: bool
) -> None:
    context = server_context(wants_client=wants_client)
    async with (
        raw_upstream(says(answer()), context, "localhost") as upstream,
        running(with_tls(config_for(upstream.url), tls)) as gateway,
    ):
        for _ in range(2):
            status, cause = await outcome(gateway)
            assert status == expected[0]
            assert expected == REFUSED or cause == expected[1]
        if expected[0] == 200 and IS_FAST:
            assert upstream.connections == 1


async def test_a_file_that_is_renewed_counts_at_a_reload(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    shutil.copy(STRANGER, ca)
    async with raw_upstream(says(answer()), server_context(), "localhost") as upstream:
        config = with_tls(config_for(upstream.url), Tls(ca=str(ca)))
        async with running(config) as gateway:
            assert await outcome(gateway) == UNREACHABLE
            shutil.copy(CA, ca)
            await gateway.gateway.reload(config)
            assert await outcome(gateway) == (200, None)
            await gateway.gateway.reload(config)
            assert await outcome(gateway) == (200, None)
            if IS_FAST:
                assert upstream.connections <= 2, "what has not changed keeps its connections"


async def test_an_upstream_has_a_proxy_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    proxy = ForwardProxy(authorization="Basic dXNlcjpwYXNzd29yZA==")
    async with (
        raw_upstream(says(answer()), server_context(), "upstream.test") as upstream,
        forward_proxy(proxy),
    ):
        way = f"http://user:password@{proxy.host_port}"
        config = with_tls(config_for(upstream.url), Tls(ca=str(CA)), way)
        async with running(config) as gateway:
            assert await outcome(gateway) == (200, None)
            assert await outcome(gateway) == (200, None)
    assert all(head.startswith(b"CONNECT upstream.test:") for head in proxy.asked)
    if IS_FAST:
        assert proxy.connections == 1
    assert "which upstreams.first.proxy names" in caplog.text
    assert "password" not in caplog.text


@pytest.mark.parametrize(
    ("upstream", "said"),
    [
        (
            Upstream("first", "https://a", tls=Tls(ca="/no/such.pem")),
            "upstreams.first.tls: a file cannot be read: No such file or directory",
        ),
        (
            Upstream("first", "https://a", tls=Tls(ca=str(CERTIFICATES / "make.sh"))),
            "upstreams.first.tls: a file holds no certificate or key as PEM, or the key wants a password",
        ),
        (
            Upstream("first", "https://a", tls=Tls(cert=GOOD, key=STRANGER)),
            "upstreams.first.tls: cert and key do not belong together",
        ),
        (
            Upstream("first", "https://a", tls=Tls(key=GOOD)),
            "upstreams.first.tls.cert: missing, and required with a key",
        ),
        (
            Upstream("first", "http://a", tls=Tls(ca=str(CA))),
            "upstreams.first.tls: not used with http; leave it out, or write https",
        ),
        (
            Upstream("first", "https://a", proxy="socks5://proxy:1080"),
            (
                "upstreams.first.proxy: must be an http:// or https:// URL of host and port, "
                "perhaps with user and password"
            ),
        ),
    ],
    ids=["no file", "no PEM", "two that do not fit", "a key alone", "http", "no HTTP proxy"],
)
def test_what_cannot_be_used_is_told_at_the_start(upstream: Upstream, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        create_app(config_for("http://127.0.0.1:1", upstreams=(upstream,)))
    assert refused.value.faults == (said,)
