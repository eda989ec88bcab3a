"""`retry-after` in every spelling that upstreams use, and garbage."""

import pytest
from multidict import CIMultiDict

from proxy.upstreams.retry_after import read

NOW = 1_790_000_000.0  # Mon, 21 Sep 2026 14:13:20 GMT
CASES: dict[str, tuple[dict[str, str], float | None]] = {
    "none": ({}, None),
    "seconds": ({"Retry-After": "30"}, 30),
    "decimal": ({"retry-after": " 1.5 "}, 1.5),
    "zero": ({"retry-after": "0"}, 0),
    "milliseconds": ({"retry-after-ms": "1500"}, 1.5),
    "both": ({"retry-after": "2", "retry-after-ms": "1500"}, 1.5),
    "a date": ({"retry-after": "Mon, 21 Sep 2026 14:13:50 GMT"}, 30),
    "a date that is over": ({"retry-after": "Mon, 21 Sep 2026 14:00:00 GMT"}, 0),
    "a date of no zone": ({"retry-after": "Mon, 21 Sep 2026 14:13:50"}, 30),
    "negative": ({"retry-after": "-1"}, None),
    "exponent": ({"retry-after": "1e9"}, None),
    "not a number": ({"retry-after": "nan"}, None),
    "infinite": ({"retry-after": "inf"}, None),
    "empty": ({"retry-after": ""}, None),
    "10 kB of digits": ({"retry-after": "9" * 10_000}, None),
    "digits of elsewhere": ({"retry-after": "\u0663"}, None),
    "a year out of range": ({"retry-after": "Mon, 21 Sep 99999 14:13:50 GMT"}, None),
    "words": ({"retry-after": "soon"}, None),
    "garbage beside": ({"retry-after-ms": "x", "retry-after": "7"}, 7),
}


@pytest.mark.parametrize(("fields", "seconds"), CASES.values(), ids=CASES)
def test_it_is_read_or_absent(fields: dict[str, str], seconds: float | None) -> None:
    assert read(CIMultiDict(fields), NOW) == seconds
