"""What the environment says of the way to the upstreams, as a gateway reads it at its start."""

from pathlib import Path

import pytest

from tests.support.certificates import CA, server_context
from tests.support.client import connected, request
from tests.support.commands import environment, ran, readable, started, write_config
from tests.support.forward_proxy import forward_proxy
from tests.support.raw import UpstreamSide, answer, raw_upstream

LISTENING = b"listening on http://127.0.0.1:"


async def say(exchange: UpstreamSide) -> None:
    await exchange.send(answer())


@pytest.mark.parametrize("trusted", [True, False], ids=["with", "without"])
async def test_a_private_ca_is_trusted_when_ssl_cert_file_names_it(
    tmp_path: Path, *, trusted: bool
) -> None:
    env = environment(**({"SSL_CERT_FILE": str(CA)} if trusted else {}))
    async with raw_upstream(say, server_context(), "localhost") as upstream:
        config = write_config(tmp_path, upstream.url)
        async with started("serve", "--config", config, env=env) as command:
            port = int(await command.says(LISTENING))
            async with connected("127.0.0.1", port) as client:
                await client.send(request())
                assert (await client.answer()).status == (200 if trusted else 502)
            if not trusted:
                told = await command.says(b"its certificate is not trusted (")
                assert "SSL_CERT_FILE" in told


async def test_the_start_tells_through_which_proxy_an_upstream_is_reached(tmp_path: Path) -> None:
    async with raw_upstream(say, server_context(), "upstream.test") as upstream:
        config = write_config(tmp_path, upstream.url)
        async with forward_proxy() as proxy:
            env = environment(
                SSL_CERT_FILE=str(CA), HTTPS_PROXY=f"http://me:secret@{proxy.host_port}"
            )
            async with started("serve", "--config", config, env=env) as command:
                port = int(await command.says(LISTENING))
                async with connected("127.0.0.1", port) as client:
                    await client.send(request())
                    assert (await client.answer()).status == 200
    due = f"upstream first is reached through the proxy http://{proxy.host_port}, which HTTPS_PROXY"
    assert due in command.text
    assert "secret" not in command.text


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_a_proxy_that_is_none_for_http_ends_the_start_in_one_line(
    tmp_path: Path, workers: str
) -> None:
    config = write_config(tmp_path, "https://api.example.com", "limits: {max_connections: 100}\n")
    env = environment(ALL_PROXY="socks5://me:secret@127.0.0.1:1080")
    status, _, err = await ran("serve", "--config", config, "--workers", workers, env=env)
    assert status == 1
    said = readable(err.encode())
    assert said.startswith(b"ALL_PROXY names no HTTP proxy: write http://HOST:PORT, or ")
    assert len(err.splitlines()) == 1
