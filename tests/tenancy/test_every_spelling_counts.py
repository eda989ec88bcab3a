"""No route with a key, however its path is spelled, escapes the ledger, and none that costs escapes the budget.

Elsewhere a way past the budget is a path that passes through: maximhq/bifrost#2873.
"""

import pytest

from proxy import Budgets
from proxy.api.chain import admit
from proxy.api.routes import API, USAGE
from tests.server.test_spelled_paths import spellings, url
from tests.support.gateways import BODY, HEADERS
from tests.tenancy.conftest import Start

# What each answers once the budget is spent, and what its rows are called.
ANSWERS = {
    "/messages": (429, "messages"),
    "/messages/count_tokens": (200, "count_tokens"),
    "/models": (200, "models"),
    "/models/{model_id:[^/].*}": (200, "models"),
    USAGE.path: (200, "usage"),
}


def _spelled(path: str) -> list[str]:
    if path == USAGE.path:
        return [path, f"/api{path}"]
    name, has_model, _ = path.strip("/").partition("/{")
    found = spellings(name)
    return [f"{each.rstrip('/')}/claude-sonnet-4-6" for each in found] if has_model else found


def test_every_route_with_a_key_is_known_here() -> None:
    assert {each.path for each in (*API, USAGE)} == set(ANSWERS)
    assert {each.path for each in API if admit in each.chain} == {
        "/messages",
        "/messages/count_tokens",
    }


@pytest.mark.parametrize("path", ANSWERS)
async def test_every_spelling_leaves_a_row_and_what_costs_is_admitted(
    tenant: Start, path: str
) -> None:
    status, endpoint = ANSWERS[path]
    method = next(each.method for each in (*API, USAGE) if each.path == path)
    body = BODY if method == "POST" else None
    async with tenant(budgets=Budgets(day_micros=0)) as started:
        gateway = started.gateway
        for spelled in _spelled(path):
            async with gateway.session.request(
                method, url(gateway, spelled), data=body, headers=HEADERS
            ) as response:
                await response.read()
                assert response.status == status, spelled
        rows = await started.rows(len(_spelled(path)))
    assert {(row.endpoint, row.status, row.requests) for row in rows} == {(endpoint, status, 1)}
