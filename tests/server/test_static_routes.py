"""The fast path past the router leads where the router leads."""

from inspect import getclosurevars
from typing import Any
from unittest.mock import patch

import pytest
from aiohttp import web
from yarl import URL

from proxy import Listen, create_app
from proxy.aiohttp_fast.static_routes import StaticRoutes
from proxy.api.probes import report_readiness
from tests.support.gateways import HEADERS, config_for, running
from tests.support.raw import RawUpstream

BODY = b'{"model":"anthropic/claude-sonnet-4.6","max_tokens":1,"messages":[]}'


async def test_a_known_path_is_not_resolved(upstream: RawUpstream) -> None:
    async with running(config_for(upstream.url)) as gateway:
        with patch.object(web.UrlDispatcher, "resolve", side_effect=AssertionError):
            async with gateway.post() as response:
                assert response.status == 200
            async with gateway.session.get(f"{gateway.url}/healthz") as response:
                assert response.status == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/messages", 405),
        ("POST", "/v1/messages/", 200),
        ("POST", "/v1/nothing", 404),
        ("HEAD", "/healthz", 200),
        ("GET", "/%68ealthz", 200),
        ("GET", "/healthz?a=b", 200),
    ],
)
async def test_any_other_path_is_the_routers(
    upstream: RawUpstream, method: str, path: str, status: int
) -> None:
    async with (
        running(config_for(upstream.url)) as gateway,
        gateway.session.request(
            method, URL(gateway.url + path, encoded=True), headers=HEADERS, data=BODY
        ) as response,
    ):
        assert response.status == status


async def test_each_path_without_parameters_has_its_route() -> None:
    app = create_app(config_for("http://127.0.0.1:9"))

    async def resolve(request: web.Request) -> Any:
        raise AssertionError(request)

    found = StaticRoutes(app, resolve)._routes
    assert {("POST", "/v1/messages"), ("POST", "/api/v1/messages/count_tokens")} <= found.keys()
    assert not any("{" in path for _, path in found)


async def test_of_two_routes_of_one_path_the_first_answers_as_by_the_router() -> None:
    app = create_app(config_for("http://127.0.0.1:9", listen=Listen(base_path="/readyz")))

    async def resolve(request: web.Request) -> Any:
        raise AssertionError(request)

    match_info, _ = StaticRoutes(app, resolve)._routes["GET", "/readyz"]
    (behind,) = getclosurevars(match_info.handler).nonlocals.values()
    assert behind is report_readiness
