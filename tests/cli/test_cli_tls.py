"""`listen.tls`: several workers speak TLS, show a renewed certificate, and the other commands reach them."""

import asyncio
import os
import shutil
import signal
import ssl
from pathlib import Path

from tests.cli.test_cli_workers import children, listens
from tests.support.certificates import CA
from tests.support.commands import Command, ran, started, write_config

CERTIFICATES = CA.parent
LISTENING = b"listening on https://127.0.0.1:"


async def _shown(port: int) -> bytes:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    shown: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.transport.abort()
    return shown


def _der(name: str) -> bytes:
    text = (CERTIFICATES / f"{name}.pem").read_text()
    return ssl.PEM_cert_to_DER_cert(text[: text.index("-----END CERTIFICATE-----") + 26])


def _put(name: str, file: Path) -> None:
    shutil.copy(CERTIFICATES / f"{name}.pem", file)


async def _another(command: Command, before: set[int], port: int) -> None:
    """Wait until another worker listens."""
    async with asyncio.timeout(15):
        while not any(listens(pid, port) for pid in children(command) - before):  # noqa: ASYNC110 - other processes
            await asyncio.sleep(0.05)


async def test_workers_show_a_renewed_certificate_also_one_that_is_started_while_the_file_is_broken(
    tmp_path: Path,
) -> None:
    file = tmp_path / "cert.pem"
    _put("expired", file)
    config = write_config(tmp_path, more="reload: {watch: false}\n")
    text = config.read_text().replace("port: 0", "port: 0, workers: 2, tls: {cert: cert.pem}")
    config.write_text(text)
    async with started("serve", "--config", config) as command:
        port = int((await command.says(LISTENING)).strip('"},'))
        assert f"base URL https://127.0.0.1:{port}/api" in command.text
        assert {await _shown(port) for _ in range(8)} == {_der("expired")}
        _put("good", file)
        command.tell(signal.SIGHUP)
        await command.says(b"the content of files changed")
        for _ in range(2):
            await command.says(b"serves configuration")
        async with asyncio.timeout(10):
            while {await _shown(port) for _ in range(8)} != {_der("good")}:  # noqa: ASYNC110 - other processes
                await asyncio.sleep(0.05)
        url = f"https://127.0.0.1:{port}/api"
        status, out, err = await ran("doctor", "--url", url, "--key", "x" * 20, "--ca", CA)
        assert "is not trusted" not in out + err
        assert (status, "does not know this key" in out + err) == (1, True)
        file.write_text("half of a certif")
        command.tell(signal.SIGHUP)
        await command.says(b"listen.tls: a file holds no certificate or key as PEM")
        before = children(command)
        killed = min(before)
        os.kill(killed, signal.SIGKILL)
        await _another(command, before, port)
        assert {await _shown(port) for _ in range(16)} == {_der("good")}
        command.tell()
        assert await command.ended() == 0
