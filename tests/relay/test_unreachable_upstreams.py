"""Why an upstream cannot be reached stands in the log in words, with the request's id, and what to do."""

import asyncio
import contextlib
import logging
import socket
import ssl
import threading
from collections.abc import Iterator

import pytest

from tests.support import certificates
from tests.support.client import Response, ask, request
from tests.support.gateways import config_for, running
from tests.support.raw import UpstreamSide, answer, raw_upstream


@pytest.fixture(autouse=True)
def _trusted() -> None:
    certificates.trust()


async def say(exchange: UpstreamSide) -> None:
    await exchange.send(answer())


async def told(url: str, caplog: pytest.LogCaptureFixture) -> tuple[Response, str, str]:
    """Ask through a gateway; give the answer, the `cause` of its access line, and the one warning."""
    async with running(config_for(url)) as gateway:
        reply = await ask(gateway, request())
    (record,) = [each for each in caplog.records if each.levelno >= logging.WARNING]
    (line,) = gateway.log
    message = record.getMessage()
    assert message.startswith(f"{line['request_id']}: upstream first (")
    # One text for all failures of a kind, so that they can be counted as one.
    assert isinstance(record.msg, str)
    assert line["request_id"] not in record.msg
    return reply, line["cause"], message


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize(
    ("certificate", "words"),
    [
        (
            "stranger",
            "its certificate is not trusted (self-signed certificate): if it should be, put",
        ),
        ("expired", "its certificate has expired"),
        ("early", "its certificate is not valid yet"),
        ("other", "its certificate is for another name"),
    ],
)
async def test_a_certificate_is_refused_in_words(
    certificate: str, words: str, version: ssl.TLSVersion, caplog: pytest.LogCaptureFixture
) -> None:
    tls = certificates.server_context(certificate)
    tls.maximum_version = version
    async with raw_upstream(say, tls, "localhost") as upstream:
        reply, cause, line = await told(upstream.url, caplog)
        assert upstream.requests == []
    assert (reply.status, cause) == (502, "upstream_unreachable")
    assert words in line
    assert upstream.url.removeprefix("https://") in line
    assert b"certificate" not in reply.body


async def test_a_certificate_for_another_address_is_refused_in_words(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with raw_upstream(say, certificates.server_context("other")) as upstream:
        _, cause, line = await told(upstream.url, caplog)
    assert cause == "upstream_unreachable"
    assert "its certificate is for another address" in line


@contextlib.contextmanager
def wanting_a_certificate(version: ssl.TLSVersion) -> Iterator[str]:
    """Serve one connection as OpenSSL does: with an alert to a client that has no certificate; give the URL."""
    tls = certificates.server_context(wants_client=True)
    tls.maximum_version = version

    def serve() -> None:
        connection, _ = listener.accept()
        with contextlib.suppress(OSError):
            connection = tls.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
            connection.do_handshake()
        with socket.socket(fileno=connection.detach()) as bare, contextlib.suppress(OSError):
            # Not reset: what the client has sent meanwhile is read before.
            bare.shutdown(socket.SHUT_WR)
            while bare.recv(1 << 16):
                pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}"
        thread.join(5)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_server_that_wants_a_client_certificate_is_told_as_that(
    version: ssl.TLSVersion, caplog: pytest.LogCaptureFixture
) -> None:
    """With TLS 1.3 it says so after the handshake."""
    with wanting_a_certificate(version) as url:
        reply, cause, line = await told(url, caplog)
    assert (reply.status, cause) == (502, "upstream_unreachable")
    assert "wants a client certificate" in line
    assert url.removeprefix("https://") in line


async def test_a_server_without_tls_is_told_as_that(caplog: pytest.LogCaptureFixture) -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    _, cause, line = await told(f"https://127.0.0.1:{port}", caplog)
    server.close()
    await server.wait_closed()
    assert cause == "upstream_unreachable"
    assert "it does not speak TLS there: look at the scheme and port of base_url" in line


async def test_a_server_with_tls_that_is_asked_without_is_told_to_look_at_the_scheme(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with raw_upstream(say, certificates.server_context()) as upstream:
        _, _, line = await told(upstream.url.replace("https", "http"), caplog)
    assert "look at the scheme and port of base_url" in line


async def test_a_name_that_does_not_exist_is_told_as_that(
    caplog: pytest.LogCaptureFixture,
) -> None:
    reply, cause, line = await told("https://nowhere.invalid:444", caplog)
    assert (reply.status, cause) == (502, "upstream_unreachable")
    assert "nowhere.invalid:444: " in line
    # The second is a resolver's that cannot be reached.
    assert "name not found: look at" in line or "the name could not be looked up: look at" in line


async def test_a_refused_connection_is_told_as_that(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{reserved.getsockname()[1]}"
        _, cause, line = await told(f"http://{place}", caplog)
    assert cause == "upstream_unreachable"
    assert f"{place}: connection refused: nothing listens there" in line
