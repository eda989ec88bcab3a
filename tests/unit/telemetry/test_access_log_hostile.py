"""Whatever stands in a request, its access line is one line that shows it and breaks nothing."""

import asyncio
import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config import Log
from proxy.telemetry.access_log import AccessLog
from proxy.telemetry.looks import Look
from tests.unit.telemetry.access_lines import ended_exchange, line

TEXTS = ("request_id", "client", "method", "path", "key", "model", "upstream", "upstream_model")
MORE_TEXTS = ("upstream_request_id", "session_id", "agent_id", "cause", "error_type", "detail")
_ESCAPE = re.compile(r"\x1b\[\d+m")


_hostile = st.text(st.characters() | st.sampled_from(' \n\r\t"=\\\0\udcff\u2028'), max_size=12)


@given(st.fixed_dictionaries(dict.fromkeys((*TEXTS, *MORE_TEXTS), _hostile)))
def test_no_value_can_break_a_json_line(values: dict[str, str]) -> None:
    written = line(Look.JSON, **values)
    assert b"\n" not in written
    decoded = msgspec.json.decode(written)
    for name, value in values.items():
        assert decoded[name] == value.encode(errors="replace").decode()


_long = st.text(
    st.characters() | st.sampled_from(" \n\r\t\x1b\x9b\udcff\u2028\u4e00"), max_size=300
)


@given(st.fixed_dictionaries(dict.fromkeys({*TEXTS, *MORE_TEXTS} - {"cause"}, _long)))
def test_no_value_can_break_a_row_or_move_the_cursor_and_none_makes_it_too_long(
    values: dict[str, str],
) -> None:
    plain = line(Look.TEXT, **values).decode()
    assert re.fullmatch(r"[ -~→…]{15,120}", plain)
    coloured = line(Look.COLOURED, **values).decode()
    # The duration may differ.
    assert len(_ESCAPE.sub("", coloured)) <= 120
    assert "\x1b" not in _ESCAPE.sub("", coloured)


@pytest.mark.parametrize(("status", "colour"), [(200, 32), (404, 33), (502, 31)])
def test_a_status_has_its_colour(status: int, colour: int) -> None:
    assert f"\x1b[{colour}m{status}\x1b[0m" in line(Look.COLOURED, status=status).decode()


@pytest.mark.parametrize("look", [Look.JSON, Look.TEXT])
def test_a_path_that_is_not_utf8_is_logged(look: Look) -> None:
    assert b"/?" in line(look, path="/\udcff")


def test_half_a_surrogate_pair_anywhere_in_the_usage_is_logged() -> None:
    usage = {"service_tier": "\ud83d", "iterations": [{"\udc00": ["\ud83d", None, 1.5]}]}
    written = line(Look.JSON, usage=usage)
    assert b'{"service_tier":"?","iterations":[{"?":["?",null,1.5]}]}' in written


def test_without_a_sink_nothing_is_logged() -> None:
    async def written() -> None:
        AccessLog(None, Log()).ended(ended_exchange())

    asyncio.run(written())
