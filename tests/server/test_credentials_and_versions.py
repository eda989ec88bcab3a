"""Who may come in, by which header, and with which version."""

import dataclasses
import datetime

import pytest
from multidict import CIMultiDict

from proxy import Key
from proxy.access.keys import digest
from tests.support.gateways import BODY, HEADERS, KEY, VERSION, Running, config_for, running
from tests.support.raw import RawUpstream
from tests.support.refusals import refusal

NOW = datetime.datetime.now(datetime.UTC)
MOUNTS = ("/api/v1", "/v1")


def without(*names: str) -> dict[str, str]:
    return {name: value for name, value in HEADERS.items() if name not in names}


def origin(gateway: Running) -> str:
    return f"http://{gateway.host}:{gateway.port}"


BAD_CREDENTIALS = {
    "none": {},
    "empty": {"x-api-key": ""},
    "unknown": {"x-api-key": "ar-unknown"},
    "unknown bearer": {"authorization": "Bearer ar-unknown"},
    "bearer without a value": {"authorization": "Bearer"},
    "another scheme": {"authorization": f"Basic {KEY}"},
    "no scheme": {"authorization": KEY},
    "a vendor's key": {"x-api-key": "sk-ant-api03-abc"},
    "a vendor's login": {"authorization": "Bearer sk-ant-oat01-abc"},
    "bad in both": {"x-api-key": "ar-no", "authorization": "Bearer ar-no"},
    "empty in both": {"x-api-key": "", "authorization": "Bearer "},
    "a good key in another case": {"x-api-key": KEY.upper()},
    "not ASCII": {"x-api-key": "ar-\u00fc"},
}


@pytest.mark.parametrize("mount", MOUNTS)
@pytest.mark.parametrize("credential", BAD_CREDENTIALS.values(), ids=BAD_CREDENTIALS)
async def test_a_bad_credential_is_401_with_one_wording_and_nothing_goes_upstream(
    gateway: Running, upstream: RawUpstream, credential: dict[str, str], mount: str
) -> None:
    headers = {**without("x-api-key"), **credential}
    async with gateway.session.post(
        f"{origin(gateway)}{mount}/messages", data=b"{}", headers=headers
    ) as response:
        error = await refusal(response, 401, "authentication_error")
    assert "authorization: Bearer ar-" in error["message"]
    assert "authorization: Bearer ar-" in error["message"]
    assert KEY not in error["message"]
    assert gateway.log[0]["cause"] == "unauthenticated"
    assert not upstream.requests


GOOD_CREDENTIALS = {
    "x-api-key": {"x-api-key": KEY},
    "bearer": {"authorization": f"Bearer {KEY}"},
    "bearer in lower case": {"authorization": f"bearer {KEY}"},
    "the same in both": {"x-api-key": KEY, "authorization": f"Bearer {KEY}"},
    "x-api-key beside a vendor's bearer": {"x-api-key": KEY, "authorization": "Bearer sk-ant-x"},
    "bearer beside an empty x-api-key": {"x-api-key": "", "authorization": f"Bearer {KEY}"},
    "bearer beside a blank x-api-key": {"x-api-key": "  ", "authorization": f"Bearer {KEY}"},
    "bearer beside a vendor's key": {"x-api-key": "sk-ant-x", "authorization": f"Bearer {KEY}"},
}


@pytest.mark.parametrize("mount", MOUNTS)
@pytest.mark.parametrize("credential", GOOD_CREDENTIALS.values(), ids=GOOD_CREDENTIALS)
async def test_a_good_credential_comes_in_by_either_header(
    gateway: Running, credential: dict[str, str], mount: str
) -> None:
    headers = {**without("x-api-key"), **credential}
    async with gateway.session.get(f"{origin(gateway)}{mount}/models", headers=headers) as response:
        assert response.status == 200
        assert response.headers["request-id"].startswith("req_")
    assert gateway.log[0]["key"] == "tester"


@pytest.mark.parametrize(
    ("expires_at", "status"),
    [(NOW - datetime.timedelta(seconds=1), 401), (NOW + datetime.timedelta(hours=1), 200)],
    ids=["expired", "not yet"],
)
async def test_an_refused_key_is_401(
    upstream: RawUpstream, expires_at: datetime.datetime, status: int
) -> None:
    keys = (Key("old", digest(KEY), expires_at=expires_at),)
    async with (
        running(config_for(upstream.url, keys=keys)) as gateway,
        gateway.session.get(gateway.url + "/v1/models", headers=HEADERS) as response,
    ):
        assert response.status == status
        if status == 401:
            await refusal(response, 401, "authentication_error")


async def test_a_key_gets_only_its_models(upstream: RawUpstream) -> None:
    keys = (Key("narrow", digest(KEY), models=("anthropic/claude-haiku-*",)),)
    async with running(config_for(upstream.url, keys=keys)) as gateway:
        async with gateway.post() as response:
            error = await refusal(response, 403, "permission_error")
        assert "anthropic/claude-sonnet-4.6" in error["message"]
        assert not upstream.requests
        body = b'{"model":"claude-haiku-4-5","max_tokens":1,"messages":[{"role":"user","content":"x"}]}'
        async with gateway.post(body) as response:
            assert response.status == 200
        # A doubled name must not be authorised as one model and served as the other.
        doubled = body[:-1] + b',"model":"anthropic/claude-sonnet-4.6"}'
        async with gateway.post(doubled) as response:
            await refusal(response, 403, "permission_error")
        assert len(upstream.requests) == 1


BAD_VERSIONS = {
    "missing": None,
    "empty": "",
    "a word": "latest",
    "slashes": "2023/06/01",
    "no such month": "2023-13-01",
    "no such day": "2026-02-30",
    "year zero": "0000-01-01",
    "with a time": "2023-06-01T00:00:00Z",
    "other digits": "\u0662\u0660\u0662\u0663-06-01",
}


@pytest.mark.parametrize("mount", MOUNTS)
@pytest.mark.parametrize("version", BAD_VERSIONS.values(), ids=BAD_VERSIONS)
async def test_a_bad_version_is_400_naming_the_header(
    gateway: Running, upstream: RawUpstream, version: str | None, mount: str
) -> None:
    headers = without("anthropic-version")
    if version is not None:
        headers["anthropic-version"] = version
    async with gateway.session.post(
        f"{origin(gateway)}{mount}/messages", data=b"{}", headers=headers
    ) as response:
        error = await refusal(response, 400, "invalid_request_error")
    assert error["message"].startswith("anthropic-version: ")
    assert not upstream.requests


async def test_the_same_version_twice_is_that_version(gateway: Running) -> None:
    headers = CIMultiDict({**HEADERS, "Anthropic-Version": VERSION})
    headers.add("anthropic-version", VERSION)
    url = gateway.url + "/v1/messages"
    async with gateway.session.post(url, data=BODY, headers=headers) as response:
        assert response.status == 200


async def test_two_versions_are_400_for_all_that_is_forwarded_must_be_checked(
    gateway: Running, upstream: RawUpstream
) -> None:
    headers = CIMultiDict({**HEADERS, "Anthropic-Version": VERSION})
    headers.add("anthropic-version", "2026-10-21")
    url = gateway.url + "/v1/messages"
    async with gateway.session.post(url, data=BODY, headers=headers) as response:
        error = await refusal(response, 400, "invalid_request_error")
    assert error["message"] == "anthropic-version: header comes twice, with different values"
    assert not upstream.requests


@pytest.mark.parametrize("version", ["2023-06-01", "2026-10-21"])
async def test_the_versions_of_todays_clients_are_accepted_and_forwarded(
    gateway: Running, upstream: RawUpstream, version: str
) -> None:
    async with gateway.post(headers={"anthropic-version": version}) as response:
        assert response.status == 200
    assert f"anthropic-version: {version}\r\n".encode() in upstream.requests[0].head


async def test_only_listed_versions_are_accepted(upstream: RawUpstream) -> None:
    config = dataclasses.replace(
        config_for(upstream.url), anthropic_versions=frozenset({"2023-06-01"})
    )
    async with running(config) as gateway:
        async with gateway.post() as response:
            assert response.status == 200
        async with gateway.post(headers={"anthropic-version": "2026-10-21"}) as response:
            error = await refusal(response, 400, "invalid_request_error")
    assert "2026-10-21 is not accepted here; accepted: 2023-06-01" in error["message"]
