"""Behind a proxy that is trusted, the log names the client; behind any other, who has connected."""

import time

import pytest

from proxy import Limits, Timeouts
from tests.support.client import connected
from tests.support.gateways import config_for, running


@pytest.mark.parametrize(
    ("networks", "headers", "client"),
    [
        (("127.0.0.0/8",), {"x-forwarded-for": "1.1.1.1, 198.51.100.7"}, "198.51.100.7"),
        (("127.0.0.1",), {"forwarded": 'for="[2001:db8::7]:1"'}, "2001:db8::7"),
        (("127.0.0.1",), {}, "127.0.0.1"),
        (("10.0.0.0/8",), {"x-forwarded-for": "198.51.100.7"}, "127.0.0.1"),
        ((), {"x-forwarded-for": "198.51.100.7", "forwarded": "for=198.51.100.7"}, "127.0.0.1"),
    ],
    ids=str,
)
async def test_the_log_names_the_client(
    networks: tuple[str, ...], headers: dict[str, str], client: str
) -> None:
    config = config_for("http://127.0.0.1:1", trusted_proxies=networks)
    async with (
        running(config) as gateway,
        gateway.session.get(gateway.url + "/v1/models", headers=headers) as response,
    ):
        assert response.status == 401
    assert gateway.log[0]["client"] == client


@pytest.mark.parametrize(("networks", "status"), [(("127.0.0.1",), 200), ((), 529)])
async def test_the_bound_of_one_clients_connections_is_none_of_a_trusted_proxy(
    networks: tuple[str, ...], status: int
) -> None:
    limits = Limits(max_connections_per_client=1)
    config = config_for("http://127.0.0.1:1", trusted_proxies=networks, limits=limits)
    async with (
        running(config) as gateway,
        connected(gateway.host, gateway.port) as one,
        connected(gateway.host, gateway.port) as other,
    ):
        for client, expected in ((one, 200), (other, status)):
            await client.send(b"GET /readyz HTTP/1.1\r\nHost: g\r\n\r\n")
            assert (await client.answer()).status == expected


async def test_a_trusted_proxys_connection_is_no_strangers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Balancers keep connections, and ask on some of them for nothing but the health."""
    monkeypatch.setattr("proxy.server.connection._STRANGER_IDLE_S", 0.0)
    config = config_for(
        "http://127.0.0.1:1",
        trusted_proxies=("127.0.0.1",),
        timeouts=Timeouts(client_idle_s=0.5),
    )
    async with running(config) as gateway, connected(gateway.host, gateway.port) as client:
        asked_s = time.monotonic()
        await client.send(b"GET /healthz HTTP/1.1\r\nHost: g\r\n\r\n")
        assert (await client.answer()).status == 200
        assert await client.until_closed() == b""
        assert time.monotonic() - asked_s > 0.4
