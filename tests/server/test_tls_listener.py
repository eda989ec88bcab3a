"""A gateway that speaks TLS to its clients: all that holds without it, and what is different."""

import asyncio
import dataclasses
import shutil
import ssl
from pathlib import Path

import pytest

from proxy import Certificate, ConfigError
from proxy.server.tls import ServerTls
from tests.server.over_tls import (
    EXPIRED,
    GOOD,
    STRANGER,
    connected,
    over_tls,
    served,
    trusting,
)
from tests.support.client import request, unchunk
from tests.support.gateways import STREAM_BODY, Running, running
from tests.support.pools import good
from tests.support.raw import (
    EVENTS,
    SSE_HEAD,
    UpstreamSide,
    chunk,
    raw_upstream,
)


async def shown(gateway: Running, name: str = "localhost") -> bytes:
    """Return the certificate that a new client is shown."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    async with connected(gateway, context, name) as client:
        der: bytes = client.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return der


def der_of(file: Path) -> bytes:
    text = file.read_text()
    return ssl.PEM_cert_to_DER_cert(text[: text.index("-----END CERTIFICATE-----") + 26])


async def test_requests_follow_one_another_on_a_connection_whose_client_has_a_choice() -> None:
    async with served() as (gateway, upstream), connected(gateway) as client:
        handshake = client.writer.get_extra_info("ssl_object")
        assert (handshake.selected_alpn_protocol(), handshake.version()) == ("http/1.1", "TLSv1.3")
        for _ in range(2):
            await client.send(request())
            assert (await client.answer()).status == 200
        await client.send(request(b"connection: close", body=STREAM_BODY))
        head, _, body = (await client.until_closed()).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        relayed, whole = unchunk(body)
        assert (relayed.count(b"event: "), whole) == (len(EVENTS), True)
        assert len(upstream.requests) == 3


@pytest.mark.parametrize(
    ("newest", "is_served"),
    [(ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_1, False)],
    ids=["1.2", "1.1"],
)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_tls_1_2_is_the_oldest(newest: ssl.TLSVersion, *, is_served: bool) -> None:
    context = trusting()
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = newest
    async with served() as (gateway, _):
        if not is_served:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                async with connected(gateway, context):
                    pass
            return
        async with connected(gateway, context) as client:
            await client.send(request())
            assert (await client.answer()).status == 200


async def test_a_large_body_goes_up_and_events_come_as_they_are_sent() -> None:
    go_on = asyncio.Event()

    async def script(upstream: UpstreamSide) -> None:
        await upstream.send(SSE_HEAD + chunk(b"".join(EVENTS[:4])))
        await go_on.wait()
        await upstream.send(chunk(b"".join(EVENTS[4:])) + chunk(b""))

    body = STREAM_BODY[:-1] + b', "system": "' + b"x" * (5 << 20) + b'"}'
    async with served(script) as (gateway, upstream), connected(gateway) as client:
        await client.send(request(body=body))
        await client.until(EVENTS[3].splitlines()[-2])
        go_on.set()
        await client.until(b"0\r\n\r\n")
        assert len(upstream.requests) == 1
    assert gateway.log[-1]["bytes_in"] == len(body)


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"], ids=["by name", "by address"])
async def test_a_renewed_certificate_is_shown_to_who_connects_then_and_disturbs_nobody(
    name: str, tmp_path: Path
) -> None:
    file = Path(shutil.copy(EXPIRED, tmp_path / "cert.pem"))
    async with raw_upstream(good) as upstream:
        config = over_tls(upstream.url, file)
        async with running(config) as gateway:
            assert await shown(gateway, name) == der_of(EXPIRED)
            shutil.copy(GOOD, file)
            await gateway.gateway.reload(config)
            async with connected(gateway, name=name) as client:
                await client.send(request())
                assert (await client.answer()).status == 200
                shutil.copy(STRANGER, file)
                await gateway.gateway.reload(config)
                await client.send(request())
                assert (await client.answer()).status == 200
            assert await shown(gateway, name) == der_of(STRANGER)
            other = dataclasses.replace(config.listen, tls=Certificate(str(GOOD)))
            await gateway.gateway.reload(dataclasses.replace(config, listen=other))
            assert await shown(gateway, name) == der_of(GOOD)


async def test_one_that_is_no_good_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = Path(shutil.copy(GOOD, tmp_path / "cert.pem"))
    async with raw_upstream(good) as upstream:
        config = over_tls(upstream.url, file)
        async with running(config) as gateway:
            _write(file, b"half of a certif")
            with pytest.raises(ConfigError, match=r"listen\.tls: a file holds no certificate"):
                await gateway.gateway.reload(config)
            assert await shown(gateway) == der_of(GOOD)
    tls = ServerTls(Certificate(str(shutil.copy(GOOD, file))))
    _write(file, b"")
    tls.renew(config)
    assert (
        "holds no certificate or key as PEM, or the key wants a password; the certificate before"
        in caplog.text
    )


async def test_tls_itself_comes_and_goes_with_a_restart_only() -> None:
    async with served() as (gateway, _):
        config = gateway.gateway.snapshot.config
        without = dataclasses.replace(config, listen=dataclasses.replace(config.listen, tls=None))
        reloaded = await gateway.gateway.reload(without)
        assert (reloaded.changes, reloaded.after_restart) == ([], ["listen.tls changed"])
        assert await shown(gateway) == der_of(GOOD)


def _write(file: Path, content: bytes) -> None:
    file.write_bytes(content)
