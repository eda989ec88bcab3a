"""Tenants with an upstream each, as SECURITY.md tells to set them up, reach no other's."""

import pytest

from proxy.config import Model
from proxy.routing.router import Router, permits

TENANTS = ("acme", "umbrella")
ROUTER = Router(
    tuple(Model(f"anthropic/{name}-*", upstream=name, upstream_model="*") for name in TENANTS)
)


@pytest.mark.parametrize("model", ["claude-sonnet-4-6", "claude-sonnet-4.6", "claude-x[1m]"])
@pytest.mark.parametrize("upstream", TENANTS)
@pytest.mark.parametrize("tenant", TENANTS)
def test_a_tenants_key_reaches_its_own_upstream_only(
    tenant: str, upstream: str, model: str
) -> None:
    route = ROUTER.find(f"anthropic/{upstream}-{model}")
    assert (route.upstream, route.upstream_model) == (upstream, model.removesuffix("[1m]"))
    assert permits((f"anthropic/{tenant}-*",), route) == (tenant == upstream)
