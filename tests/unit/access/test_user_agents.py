"""A client is known by the product and the version that it names first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.access.user_agents import client_of


@pytest.mark.parametrize(
    ("user_agent", "product", "version"),
    [
        ("claude-cli/2.1.330 (external, cli)", "claude-cli", "2.1.330"),
        ("Anthropic/Python 2.12.0", "Anthropic/Python", "2.12.0"),
        ("ai-sdk/anthropic/1.2.3 runtime/node", "ai-sdk/anthropic", "1.2.3"),
        ("litellm/1.5.2-dev1", "litellm", "1.5.2-dev1"),
        ("axios/0.2, more", "axios", "0.2"),
        ("tool/v2.0", "tool", "2.0"),
        ("curl", "curl", None),
        ("my tool of old", "my", None),
        ("x" * 41 + "/1", None, None),
        ("\udcff/1", None, None),
        (" ", None, None),
        (None, None, None),
    ],
)
def test_the_first_product_counts(
    user_agent: str | None, product: str | None, version: str | None
) -> None:
    assert client_of(user_agent) == (product, version)


@given(st.text(st.sampled_from("a1/ v.(\n\xe9\udcff"), max_size=300))
def test_whatever_it_is_it_is_short_and_can_be_shown(user_agent: str) -> None:
    product, version = client_of(user_agent)
    for text, most in ((product, 40), (version, 31)):
        assert text is None or (0 < len(text) <= most and text.isascii() and text.isprintable())
