"""What follows a request to upgrade in the same bytes is answered, or the connection is closed: never forgotten."""

import pytest

from tests.support.client import Client, answers, connected, request, talk
from tests.support.gateways import BODY, Running
from tests.support.raw import chunk

GET = b"GET /healthz HTTP/1.1\r\nHost: gateway\r\n%s\r\n"
H2C = b"connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n"
WEB_SOCKET = b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
LAST = GET % b"connection: close\r\n"
UPGRADES = {
    "h2c": GET % H2C,
    "a web socket": GET % WEB_SOCKET,
    "another": GET % b"connection: upgrade\r\nupgrade: foo/2\r\n",
    "h2c with a body": request(H2C.removesuffix(b"\r\n")),
    "h2c with chunks": request(
        H2C.removesuffix(b"\r\n"),
        b"transfer-encoding: chunked",
        body=chunk(BODY) + chunk(b""),
        length=False,
    ),
    "CONNECT": b"CONNECT gateway:80 HTTP/1.1\r\nHost: gateway:80\r\n\r\n",
}


@pytest.mark.parametrize(
    "behind", [LAST, LAST[:20], GET % b"" + LAST], ids=["one", "a part", "two"]
)
@pytest.mark.parametrize("before", [b"", GET % b""], ids=["first", "second"])
@pytest.mark.parametrize("upgrade", UPGRADES.values(), ids=UPGRADES)
async def test_what_follows_in_one_segment_is_not_forgotten(
    gateway: Running, before: bytes, upgrade: bytes, behind: bytes
) -> None:
    """The connection is closed within `talk`'s five seconds, and the head's deadline is ten."""
    answered = answers(await talk(gateway.host, gateway.port, before + upgrade + behind))
    assert len(answered) > before.count(b"HTTP/1.1")


@pytest.mark.parametrize(
    "split", [b"\r\n\r\n", b"\r\n\r", b"}"], ids=["head", "in the head", "body"]
)
async def test_what_follows_its_body_in_one_segment_is_not_forgotten(
    gateway: Running, split: bytes
) -> None:
    data = UPGRADES["h2c with a body"] + LAST
    at = data.index(split) + len(split)
    async with connected(gateway.host, gateway.port) as client:
        await client.send(data[: at - 1])
        await client.send(data[at - 1 :])
        assert answers(await client.until_closed())[0].status == 200


@pytest.mark.parametrize("upgrade", ["h2c", "another", "h2c with a body"])
async def test_a_client_that_offers_an_upgrade_each_time_keeps_its_connection(
    gateway: Running, upgrade: str
) -> None:
    async with connected(gateway.host, gateway.port) as client:
        for _ in range(3):
            await client.send(UPGRADES[upgrade])
            assert await status(client) == 200
        await client.send(LAST)
        assert await status(client) == 200


async def status(client: Client) -> int:
    return (await client.answer()).status
