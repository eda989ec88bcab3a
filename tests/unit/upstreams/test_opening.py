"""What is held of a stream's beginning is looked through once, however it comes."""

import pytest

from proxy.protocol.sse import StreamTap
from proxy.upstreams import opening
from tests.support.raw import EVENTS

START, CONTENT, PING, *_ = EVENTS


@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_each_event_before_the_content_is_read_once(
    step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bytes] = []
    kind = opening._kind

    def counted(data: bytes) -> str:
        seen.append(data)
        return kind(data)

    monkeypatch.setattr(opening, "_kind", counted)
    tap, text = StreamTap(None, framed=True), START + PING * 50
    known = 0
    for end in [*range(step, len(text), step), len(text)]:
        known = opening._looked_through(text[:end], known, tap, until_content=True)
    assert known == len(text)
    assert len(seen) == 51
    text += CONTENT
    assert opening._looked_through(text, known, tap, until_content=True) == -1
    assert len(seen) == 52
