"""What a client says of its request: cut, and nothing made of what is malformed."""

import pytest
from multidict import CIMultiDict

from proxy.protocol import hints

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACED = (TRACE, SPAN)
UNTRACED = (None, None)


@pytest.mark.parametrize(
    ("value", "read"),
    [
        pytest.param(f"00-{TRACE}-{SPAN}-01", TRACED, id="sampled"),
        pytest.param(f"00-{TRACE}-{SPAN}-00", TRACED, id="not sampled"),
        pytest.param(f"01-{TRACE}-{SPAN}-01", TRACED, id="a newer version"),
        pytest.param(f"cc-{TRACE}-{SPAN}-01-more", TRACED, id="a newer version, and more"),
        pytest.param(f"00-{TRACE}-{SPAN}-01-more", UNTRACED, id="more than the version has"),
        pytest.param(f"cc-{TRACE}-{SPAN}-01.more", UNTRACED, id="more, and no dash"),
        pytest.param(f"ff-{TRACE}-{SPAN}-01", UNTRACED, id="the version that is none"),
        pytest.param(f"00-{'0' * 32}-{SPAN}-01", UNTRACED, id="no trace"),
        pytest.param(f"00-{TRACE}-{'0' * 16}-01", UNTRACED, id="no span"),
        pytest.param(f"00-{TRACE.upper()}-{SPAN}-01", UNTRACED, id="capitals"),
        pytest.param(f"00-{TRACE}-{SPAN}", UNTRACED, id="cut"),
        pytest.param("", UNTRACED, id="empty"),
    ],
)
def test_a_trace_is_read_as_its_standard_says(
    value: str, read: tuple[str | None, str | None]
) -> None:
    found = hints.read(CIMultiDict({"traceparent": value}))
    assert (found.trace_id, found.parent_span_id) == read


def test_what_is_not_said_is_none() -> None:
    assert hints.read(CIMultiDict()) == hints.Hints()


def test_texts_of_a_client_are_cut() -> None:
    said = {
        "x-claude-code-prompt-id": "p" * 500,
        "x-claude-code-agent-type": "a" * 500,
        "x-anyrouter-tag": "t" * 500,
        "x-stainless-retry-count": "12345",
    }
    found = hints.read(CIMultiDict(said))
    assert found == hints.Hints(prompt_id="p" * 100, agent_type="a" * 32, tag="t" * 64)
