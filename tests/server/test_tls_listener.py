"""A gateway that speaks TLS to its clients: all that holds without it, and what is different."""

import asyncio
import contextlib
import dataclasses
import shutil
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from proxy import Certificate, Config, ConfigError, Limits, Listen, Timeouts
from proxy.server.tls import ServerTls
from tests.support.certificates import CA
from tests.support.client import Client, received, request, unchunk
from tests.support.commands import ROOT
from tests.support.gateways import BODY, STREAM_BODY, Running, config_for, running
from tests.support.pools import good
from tests.support.raw import (
    EVENTS,
    SSE_HEAD,
    STREAM,
    RawUpstream,
    Script,
    UpstreamSide,
    chunk,
    raw_upstream,
)

GOOD, EXPIRED, STRANGER = (CA.parent / f"{name}.pem" for name in ("good", "expired", "stranger"))


def over_tls(url: str, certificate: Path = GOOD, **changes: Any) -> Config:
    """Configure a gateway with a certificate that is in one file with its key."""
    listen = Listen(port=0, tls=Certificate(str(certificate)))
    return config_for(url, **{"listen": listen, **changes})


def trusting() -> ssl.SSLContext:
    """Make the TLS of a client that has a choice of protocols, as most have."""
    context = ssl.create_default_context(cafile=str(CA))
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


@contextlib.asynccontextmanager
async def connected(
    gateway: Running, context: ssl.SSLContext | None = None, name: str = "localhost"
) -> AsyncIterator[Client]:
    """Connect over TLS for the length of the context."""
    reader, writer = await asyncio.open_connection(
        gateway.host, gateway.port, ssl=context or trusting(), server_hostname=name
    )
    try:
        yield Client(reader, writer)
    finally:
        writer.transport.abort()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()


@contextlib.asynccontextmanager
async def served(
    script: Script = good, **changes: Any
) -> AsyncIterator[tuple[Running, RawUpstream]]:
    """Serve a gateway over TLS before an upstream."""
    async with (
        raw_upstream(script) as upstream,
        running(over_tls(upstream.url, **changes)) as gateway,
    ):
        yield gateway, upstream


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


async def _logged(gateway: Running) -> dict[str, Any]:
    """Wait for the first access line."""
    async with asyncio.timeout(30):
        while not gateway.log:  # noqa: ASYNC110 - the log is a list
            await asyncio.sleep(0.01)
    return gateway.log[-1]


def abort(client: Client) -> None:
    client.leave()


def close(client: Client) -> None:
    client.writer.close()


@pytest.mark.parametrize("leave", [abort, close])
async def test_the_upstream_learns_that_a_client_has_left(
    leave: object, caplog: pytest.LogCaptureFixture
) -> None:
    asked, left = asyncio.Event(), asyncio.Event()

    async def script(upstream: UpstreamSide) -> None:
        asked.set()
        assert not (await received(upstream.reader))[0]
        left.set()

    async with asyncio.timeout(10), served(script) as (gateway, _):
        async with connected(gateway) as client:
            await client.send(request())
            await asked.wait()
            leave(client)  # type: ignore[operator] # one of the two above
            await left.wait()
        assert (await _logged(gateway))["cause"] == "client_closed"
    assert "eof_received" not in caplog.text


async def test_a_client_that_still_sends_can_read_its_refusal() -> None:
    async with served() as (gateway, upstream), connected(gateway) as client:
        await client.send(b"no HTTP\r\n\r\n" + b"x" * (1 << 20))
        assert (await client.answer()).status == 400
        async with asyncio.timeout(10):
            assert not await client.reader.read()
        assert not upstream.requests


async def test_a_body_that_is_too_large_is_refused_and_the_connection_goes_on() -> None:
    limits = Limits(max_body_bytes=1 << 10)
    async with served(limits=limits) as (gateway, upstream), connected(gateway) as client:
        await client.send(request(body=BODY + b" " * (1 << 20)))
        assert (await client.answer()).status == 413
        await client.send(request())
        assert (await client.answer()).status == 200
        assert len(upstream.requests) == 1


async def test_one_connection_too_many_is_told_so() -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def script(upstream: UpstreamSide) -> None:
        asked.set()
        await go_on.wait()
        await good(upstream)

    async with (
        served(script, limits=Limits(max_connections=1)) as (gateway, _),
        connected(gateway) as first,
    ):
        await first.send(request())
        await asked.wait()
        async with connected(gateway) as second:
            await second.send(request())
            assert (await second.answer()).status == 529
            async with asyncio.timeout(10):
                assert not await second.reader.read()
        go_on.set()
        assert (await first.answer()).status == 200


async def test_who_does_not_speak_tls_is_not_answered_and_nothing_is_written_of_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with served() as (gateway, _):
        reader, writer = await asyncio.open_connection(gateway.host, gateway.port)
        writer.write(request())
        async with asyncio.timeout(10):
            assert b"HTTP/1.1" not in (await received(reader))[0]
        writer.close()
        assert not gateway.log
    assert not caplog.records


async def test_who_does_not_finish_the_handshake_is_let_go_after_the_time_for_a_head() -> None:
    async with served(timeouts=Timeouts(request_head_s=0.2)) as (gateway, _):
        reader, writer = await asyncio.open_connection(gateway.host, gateway.port)
        async with asyncio.timeout(10):
            await received(reader)
        writer.close()


async def test_a_client_that_reads_nothing_is_cut_off() -> None:
    async def script(upstream: UpstreamSide) -> None:
        await upstream.send(SSE_HEAD + chunk(STREAM[: -len(EVENTS[-1])]))
        with contextlib.suppress(ConnectionError):
            while True:
                await upstream.send(chunk(EVENTS[3] * 100))

    timeouts = Timeouts(idle_s=0.3)
    async with served(script, timeouts=timeouts) as (gateway, _), connected(gateway) as client:
        client.writer.transport.pause_reading()  # type: ignore[attr-defined] # it is one that reads
        await client.send(request(body=STREAM_BODY))
        # By the clock of its exchange, or by that of its connection: a tenth of a third of a second apart.
        assert (await _logged(gateway))["cause"] in {"client_stalled", "client_closed"}


async def test_a_client_that_reads_slowly_has_all_of_it_before_the_connection_closes() -> None:
    text = EVENTS[3] * 10_000
    events = b"".join(EVENTS[:3]) + text + b"".join(EVENTS[4:])

    async def script(upstream: UpstreamSide) -> None:
        await upstream.send(SSE_HEAD + chunk(events) + chunk(b""))

    async with served(script) as (gateway, _), connected(gateway) as client:
        await client.send(request(b"connection: close", body=STREAM_BODY))
        everything = bytearray()
        async with asyncio.timeout(30):
            while part := await client.reader.read(1 << 16):
                everything += part
                await asyncio.sleep(0.005)  # the pace of the client is the test
        relayed, whole = unchunk(bytes(everything).partition(b"\r\n\r\n")[2])
        assert (relayed.count(EVENTS[3]), whole) == (10_000, True)


@pytest.mark.parametrize("encrypted", [True, False], ids=["TLS", "no TLS"])
async def test_the_image_finds_it_healthy(*, encrypted: bool) -> None:
    config = over_tls("http://127.0.0.1:9") if encrypted else config_for("http://127.0.0.1:9")
    script = ROOT / "deploy" / "healthcheck.py"
    async with running(config) as gateway:
        for path, status in (("/healthz", 0), ("/nowhere", 1)):
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-IS", script, str(gateway.port), path, stderr=subprocess.PIPE
            )
            _, said = await process.communicate()
            assert (process.returncode, b"Traceback" in said) == (status, False), said
