"""Heads of responses are written as the upstream wrote them, or not at all."""

import pytest
from multidict import CIMultiDict

from proxy.aiohttp_fast.heads import serialize

LINE = "HTTP/1.1 200 OK"


@pytest.mark.parametrize(
    ("fields", "written"),
    [
        pytest.param({}, b"", id="none"),
        pytest.param({"a": "b", "C": "d\te"}, b"a: b\r\nC: d\te\r\n", id="a tab"),
        pytest.param({"a": "\udce9"}, b"a: \xe9\r\n", id="a byte that is no UTF-8"),
        pytest.param({"a": "\u00e9"}, b"a: \xc3\xa9\r\n", id="UTF-8"),
        pytest.param({"a": ""}, b"a: \r\n", id="no value"),
    ],
)
def test_a_head_is_written_byte_by_byte(fields: dict[str, str], written: bytes) -> None:
    assert serialize(LINE, CIMultiDict(fields)) == b"HTTP/1.1 200 OK\r\n%b\r\n" % written


@pytest.mark.parametrize("bad", ["\r", "\n", "\r\n", "\x00", "\x01", "\x1f", "\x7f"])
def test_no_control_character_goes_out(bad: str) -> None:
    for line, fields in (
        (LINE + bad, {}),
        (LINE, {"a" + bad: "b"}),
        (LINE, {"a": bad}),
        (LINE, {"a": "\u00e9" + bad}),
    ):
        with pytest.raises(ValueError, match="control character"):
            serialize(line, CIMultiDict(fields))
