"""The ids of traces and spans follow from what is known of a request, and no header leads them astray."""

import re

import pytest

from proxy.protocol import traceparent
from proxy.received import new_id

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
ID = "req_0199d1b2c3d40123456789abcdef"


@pytest.mark.parametrize(
    ("value", "flags"),
    [
        (f"00-{TRACE}-{SPAN}-01", "01"),
        (f"00-{TRACE}-{SPAN}-00", "00"),
        (f"00-{TRACE}-{SPAN}-ff", "03"),
        (f"cc-{TRACE}-{SPAN}-01-what-comes", "01"),
    ],
    ids=["sampled", "not-sampled", "unknown-flags", "later-version"],
)
def test_a_clients_trace_goes_on_with_a_span_of_ours(value: str, flags: str) -> None:
    line = traceparent.line(value, ID, 1).decode()
    assert line == f"traceparent: 00-{TRACE}-0123456789abcdf0-{flags}\r\n"


@pytest.mark.parametrize(
    "value",
    [None, "", "00-1-2-3", f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01", f"ff-{TRACE}"],
    ids=["none", "empty", "short", "zero-trace", "zero-span", "no-version"],
)
def test_without_a_trace_that_counts_one_begins_that_the_requests_id_names(
    value: str | None,
) -> None:
    line = traceparent.line(value, ID, 2).decode()
    assert line == f"traceparent: 00-0000{ID[4:]}-0123456789abcdf1-01\r\n"


@pytest.mark.parametrize(
    "request_id",
    [new_id(), ID, "req_short", "", "é\n"],
    ids=["new", "earlier", "short", "none", "not-ours"],
)
def test_spans_of_a_request_and_its_attempts_have_ids_of_their_own(request_id: str) -> None:
    found = [traceparent.span_of(request_id, attempt) for attempt in range(8)]
    assert len(set(found)) == 8
    assert all(re.fullmatch("[0-9a-f]{16}", each) and int(each, 16) for each in found)
    assert found == [traceparent.span_of(request_id, attempt) for attempt in range(8)]
    assert re.fullmatch("[0-9a-f]{32}", traceparent.begun_by(request_id))


def test_no_span_has_an_id_of_zeros() -> None:
    assert traceparent.span_of("req_" + "0" * 28) == "0000000000000001"
    assert traceparent.span_of("req_" + "0" * 12 + "f" * 16, 1) == "0000000000000001"
