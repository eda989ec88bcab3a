"""The proxies of deploy/, each run by the real program before a gateway, on ports of this machine."""

import asyncio
import contextlib
import dataclasses
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

from tests.support.certificates import CA
from tests.support.commands import ROOT

DEPLOY = ROOT / "deploy"
CERTIFICATE = CA.parent / "good.pem"
WITHIN_S = 20.0
# What nginx wants around a site; its folders must be ones that exist.
NGINX = """\
daemon off;
pid {folder}/pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
"""


@dataclasses.dataclass(frozen=True)
class Proxy:
    """A proxy that listens. `tls`: for its clients; None: it speaks in plain text."""

    port: int
    tls: ssl.SSLContext | None

    @property
    def url(self) -> str:
        scheme = "http" if self.tls is None else "https"
        return f"{scheme}://127.0.0.1:{self.port}"


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


def changed(name: str, *changes: tuple[str, str]) -> str:
    """Return a file of deploy/ with what is particular to a place replaced; each text must be there once."""
    text = (DEPLOY / name).read_text("utf-8")
    for ours, theirs in changes:
        assert text.count(ours) == 1, f"{name}: {ours}"
        text = text.replace(ours, theirs)
    return text


def nginx(folder: Path, port: int, gateway: int) -> Sequence[str]:
    """Write the files; return the command."""
    site = changed(
        "nginx.conf",
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("/etc/ssl/gateway.pem", str(CERTIFICATE)),
        ("/etc/ssl/gateway.key", str(CERTIFICATE)),
        ("127.0.0.1:8080", f"127.0.0.1:{gateway}"),
    )
    (folder / "site.conf").write_text(site, "utf-8")
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder), "utf-8")
    return ("nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr")


def haproxy(folder: Path, port: int, gateway: int) -> Sequence[str]:
    """Write the files; return the command. Of its two gateways, the other one is not there."""
    text = changed(
        "haproxy.cfg",
        ("bind :443", f"bind 127.0.0.1:{port}"),
        ("/etc/ssl/gateway-with-key.pem", str(CERTIFICATE)),
        ("127.0.0.1:8080", f"127.0.0.1:{gateway}"),
        ("127.0.0.1:8081", f"127.0.0.1:{free_port()}"),
    )
    (folder / "haproxy.cfg").write_text(text, "utf-8")
    return ("haproxy", "-db", "-f", str(folder / "haproxy.cfg"))


def caddy(folder: Path, port: int, gateway: int) -> Sequence[str]:
    """Write the file; return the command. Without a name of its own it speaks in plain text."""
    text = changed(
        "Caddyfile",
        ("gateway.example.com {", f"http://127.0.0.1:{port} {{"),
        ("reverse_proxy 127.0.0.1:8080", f"reverse_proxy 127.0.0.1:{gateway}"),
    )
    # Its own API listens on a port that may be taken.
    (folder / "Caddyfile").write_text("{\n\tadmin off\n}\n" + text, "utf-8")
    return ("caddy", "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile"))


PROXIES: dict[str, Callable[[Path, int, int], Sequence[str]]] = {
    "nginx": nginx,
    "haproxy": haproxy,
    "caddy": caddy,
}


@contextlib.asynccontextmanager
async def proxy_before(name: str, folder: Path, gateway: int) -> AsyncIterator[Proxy]:
    """Run a proxy before the gateway on a port; yields once both answer."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *PROXIES[name](folder, port, gateway),
        # Caddy keeps its state below HOME.
        env={"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin", "HOME": str(folder)},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    said = asyncio.create_task(process.stderr.read())
    tls = None if name == "caddy" else ssl.create_default_context(cafile=str(CA))
    try:
        async with asyncio.timeout(WITHIN_S):
            while not await _listens(port):
                assert process.returncode is None, (await said).decode()
                await asyncio.sleep(0.05)  # another process: there is no event to wait for
        yield Proxy(port, tls)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
        await said


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    return True
