"""`anyrouter doctor` stops at the first thing that is wrong, and says what to do about it."""

import contextlib
import ssl
from collections.abc import AsyncIterator

import aiohttp
import pytest
import yaml
from aiohttp import test_utils, web
from aiohttp.client_reqrep import ConnectionKey
from yarl import URL

from proxy import Key, Model
from proxy.access.keys import digest
from proxy.commands.diagnosis import why_unreached
from proxy.commands.examination import WELL_KNOWN_MODEL
from proxy.commands.greeting import FindingError, client, greet
from proxy.sandbox import Knobs, serve_sandbox
from tests.cli.doctors import CHECKS, VARIABLES, Doctor, gateway_and_sandbox, hop, the_fault
from tests.support.certificates import CA, server_context
from tests.support.commands import ROOT, environment, ran
from tests.support.gateways import KEY, config_for, running
from tests.support.raw import answer, raw_upstream
from tests.support.scripts import gateway_before, says


async def test_it_finds_a_good_gateway_good_by_every_spelling_of_its_url(doctor: Doctor) -> None:
    async with gateway_and_sandbox() as gateway:
        for url in (gateway.url, f"{gateway.url}/", f"{gateway.url}/v1", f"{gateway.url}//v1/"):
            status, lines = await doctor(url)
            assert status == 0, lines
            assert [line[:7] for line in lines[: len(CHECKS)]] == ["  good "] * len(CHECKS)
            assert lines[len(CHECKS)].endswith(": all good")


async def test_it_runs_as_a_command_with_url_and_key_from_the_environment() -> None:
    async with gateway_and_sandbox() as gateway:
        env = environment(ANYROUTER_URL=gateway.url, ANYROUTER_KEY=KEY)
        status, out, err = await ran("doctor", "--model", "claude-opus-5-5", env=env)
    assert (status, err) == (0, "")
    assert "claude-opus-5-5" in out


async def test_without_a_key_it_is_wrong_use() -> None:
    status, _, err = await ran("doctor")
    assert status == 2
    assert err.startswith("anyrouter: --key: ")


URLS = {
    "127.0.0.1:8080/api": "the URL needs http:// in front: http://127.0.0.1:8080/api",
    "localhost:8080": "the URL needs http:// in front: http://localhost:8080",
    "//h/api": "the URL needs http:// in front: http://h/api",
    "ftp://h/api": "the URL needs http:// or https:// in front, not ftp://",
    "http://": "the URL names no host",
    "http://[::1/": "the URL cannot be read: Invalid IPv6 URL",
    "http://h/api?x=1": "the URL must end with its path: clients put theirs behind it",
    "http://no-such-host.invalid/api": (
        "there is no host no-such-host.invalid: is it spelled right, and known to this machine?"
    ),
}


@pytest.mark.parametrize(("url", "said"), URLS.items(), ids=URLS)
async def test_a_url_that_leads_nowhere_is_explained(doctor: Doctor, url: str, said: str) -> None:
    status, lines = await doctor(url)
    assert status == 1
    assert the_fault(lines) == f"the gateway: {said}"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_where_nothing_listens_it_says_how_to_start_it(
    doctor: Doctor, unused_tcp_port: int, host: str
) -> None:
    status, lines = await doctor(f"http://{host}:{unused_tcp_port}/api")
    assert status == 1
    assert the_fault(lines) == (
        f"the gateway: nothing listens on {host}:{unused_tcp_port}: start it with `anyrouter serve`"
    )


async def test_a_gateway_without_tls_is_told_from_one_with_it(doctor: Doctor) -> None:
    async with gateway_and_sandbox() as gateway:
        _, lines = await doctor(gateway.url.replace("http:", "https:"))
    assert the_fault(lines).endswith(
        "does not speak TLS: the URL needs http:// in front, not https://"
    )


async def test_what_speaks_no_http_is_told_so(doctor: Doctor) -> None:
    async with raw_upstream(says(b"SSH-2.0-made_up\r\n")) as upstream:
        _, lines = await doctor(upstream.url)
    assert the_fault(lines).endswith("does not speak HTTP: does the URL need https:// in front?")


CERTIFICATES = {
    10: "has expired: renew it",
    62: "is for another name: use that one in the URL",
    64: "is for another name: use that one in the URL",
    18: "is not trusted: name that of its authority by --ca FILE",
}


@pytest.mark.parametrize(("code", "said"), CERTIFICATES.items())
def test_a_certificate_that_is_not_good_is_explained(code: int, said: str) -> None:
    fault = ssl.SSLCertVerificationError()
    fault.verify_code = code
    key = ConnectionKey("h", 443, True, True, None, None, None)
    error = aiohttp.ClientConnectorCertificateError(key, fault)
    assert why_unreached(error, URL("https://h/")).startswith(f"the certificate of h:443 {said}")


async def test_a_wrong_path_is_told_which_base_url_is_right(doctor: Doctor) -> None:
    async with gateway_and_sandbox() as gateway:
        _, lines = await doctor(f"http://{gateway.host}:{gateway.port}/llm")
    assert the_fault(lines) == (
        f"the gateway: no API is there: the base URL of this gateway is {gateway.url}"
    )


STRANGERS = {
    "another API": (b"404 Not Found", (), "what answers is not this gateway (HTTP 404)"),
    "another page": (b"200 OK", (), "what answers is not this gateway (HTTP 200)"),
    "a redirect": (
        b"301 Moved",
        (b"location: https://h/api",),
        "the URL redirects to https://h/api: use where that leads",
    ),
    "a proxy alone": (b"502 Bad Gateway", (), "a proxy answers, and does not reach the gateway"),
}


@pytest.mark.parametrize(("status", "head", "said"), STRANGERS.values(), ids=STRANGERS)
async def test_what_is_no_gateway_is_told_so(
    doctor: Doctor, status: bytes, head: tuple[bytes, ...], said: str
) -> None:
    async with raw_upstream(says(answer(b"<html>", status, *head))) as upstream:
        exit_status, lines = await doctor(upstream.url)
    assert exit_status == 1
    assert the_fault(lines).startswith(f"the gateway: {said}")


async def test_a_key_that_is_not_known_is_told_how_to_make_one(doctor: Doctor) -> None:
    async with gateway_and_sandbox() as gateway:
        status, lines = await doctor(gateway.url, key="ar-other")
    assert status == 1
    fault = the_fault(lines)
    assert fault.startswith("models, by x-api-key: the gateway does not know this key")
    assert "`anyrouter keys new NAME`" in fault


async def test_where_no_model_is_listed_one_of_the_shipped_catalog_is_asked(doctor: Doctor) -> None:
    keys = (Key("tester", digest(KEY), ("anthropic/claude-*",)),)
    models = (Model("anthropic/claude-haiku-*", "first"),)
    script = says(answer(b"{}", b"404 Not Found"))
    async with gateway_before(script, models=models, keys=keys) as (_, gateway):
        _, lines = await doctor(gateway.url)
    assert lines[1].startswith("  note models, by x-api-key: none is listed: ")
    assert f"asking {WELL_KNOWN_MODEL}" in lines[1]
    assert the_fault(lines).startswith("a message: HTTP 404")


async def test_it_counts_all_models_that_the_key_may_use(doctor: Doctor) -> None:
    models = tuple(Model(f"anthropic/claude-{n}", "first", aliases=(f"c{n}",)) for n in range(25))
    async with gateway_and_sandbox(models=models) as gateway:
        _, lines = await doctor(gateway.url)
    assert lines[1].startswith("  good models, by x-api-key: 25 models that this key may use, ")


async def test_it_asks_a_haiku_where_one_is_listed_and_says_who_it_is(doctor: Doctor) -> None:
    sandbox = await serve_sandbox("127.0.0.1", 0, Knobs())
    models = (
        Model("anthropic/claude-opus-5.5", "first"),
        Model("anthropic/claude-haiku-4.5", "first"),
    )
    try:
        url = f"http://127.0.0.1:{sandbox.addresses[0][1]}"
        async with running(config_for(url, models=models)) as gateway:
            status, lines = await doctor(gateway.url)
    finally:
        await sandbox.cleanup()
    assert status == 0
    assert any("tokens from anthropic/claude-haiku-4.5" in line for line in lines)
    assert {line["client_product"] for line in gateway.log} == {"anyrouter-doctor"}


def test_the_model_that_it_knows_is_one_of_the_shipped_catalog() -> None:
    shipped = yaml.safe_load((ROOT / "config.yaml").read_text("utf-8"))["models"]
    assert WELL_KNOWN_MODEL in [each["id"] for each in shipped]


async def test_where_the_well_known_model_is_not_served_it_asks_for_a_name(doctor: Doctor) -> None:
    keys = (Key("tester", digest(KEY), ("anthropic/other",)),)
    async with gateway_and_sandbox(keys=keys) as gateway:
        _, lines = await doctor(gateway.url)
    fault = the_fault(lines)
    assert fault.startswith("a message: HTTP 403, permission_error: ")
    assert fault.endswith("; name a model that this key may use with --model")


async def test_an_upstream_that_fails_is_told_with_the_id_to_look_for(doctor: Doctor) -> None:
    async with gateway_before(says(answer(b"{}", b"401 Unauthorized"))) as (_, gateway):
        _, lines = await doctor(gateway.url)
    fault = the_fault(lines)
    assert fault.startswith(
        "a message: HTTP 502, api_error: the upstream refused the gateway's own"
    )
    assert gateway.log[-1]["request_id"] in fault


async def test_an_upstream_that_does_not_count_is_no_fault(doctor: Doctor) -> None:
    async def not_found(_request: web.Request) -> web.Response:
        return web.json_response({}, status=404)

    async with gateway_and_sandbox() as gateway, hop(gateway.url, not_found, holds=False) as url:
        status, lines = await doctor(url)
    assert status == 0
    assert lines[6].startswith("  note count_tokens: clients will estimate")


async def test_it_tells_what_claude_code_leaves_off_and_not_what_is_on(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with gateway_and_sandbox() as gateway:
        _, lines = await doctor(gateway.url)
        told = {line.split("=")[0].strip() for line in lines if "=1 " in line or "=true " in line}
        assert told == VARIABLES
        for name in VARIABLES:
            monkeypatch.setenv(name, "0")
        _, lines = await doctor(gateway.url)
    assert lines[-1].endswith(": all good")


async def test_it_fits_80_columns(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    async with gateway_and_sandbox() as gateway:
        _, good = await doctor(gateway.url)
        _, bad = await doctor(gateway.url, key="ar-other")
    assert max(map(len, (*good, *bad))) <= 80
    assert bad[2].startswith("       ")
    assert "  skip a message" in bad


@contextlib.asynccontextmanager
async def greeting_over_tls() -> AsyncIterator[str]:
    """Serve what a gateway says, behind a certificate of an authority that nobody knows."""

    async def hello(_: web.Request) -> web.Response:
        return web.json_response({"service": "anyrouter", "version": "7", "key": "laptop"})

    app = web.Application()
    app.router.add_get("/api/hello", hello)
    server = test_utils.TestServer(app, host="localhost")
    await server.start_server(ssl=server_context())
    try:
        yield f"https://localhost:{server.port}/api"
    finally:
        await server.close()


async def test_an_authority_of_ones_own_is_trusted_when_it_is_named() -> None:
    async with greeting_over_tls() as url:
        async with client(5, str(CA), "doctor") as session:
            assert (await greet(session, url, KEY))[:2] == ("7", "laptop")
        async with client(5, None, "doctor") as session:
            with pytest.raises(FindingError, match="is not trusted: name that of its authority"):
                await greet(session, url, KEY)


async def test_a_proxy_that_does_not_lead_there_is_named(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{unused_tcp_port}")
    async with gateway_and_sandbox() as gateway:
        monkeypatch.setenv("no_proxy", "elsewhere.test")
        _, lines = await doctor(gateway.url)
        assert "put 127.0.0.1 into NO_PROXY" in the_fault(lines)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert (await doctor(gateway.url))[0] == 0
