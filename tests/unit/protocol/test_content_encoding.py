"""What `Content-Encoding` names."""

import pytest

from proxy.protocol.content_encoding import encodings


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ([], []),
        ([""], []),
        ([" , ,"], []),
        (["identity"], []),
        (["Identity", " IDENTITY "], []),
        (["gzip"], ["gzip"]),
        ([" GZip\t"], ["gzip"]),
        (["identity, gzip,identity"], ["gzip"]),
        (["deflate, gzip"], ["deflate", "gzip"]),
        (["deflate", "identity", "gzip"], ["deflate", "gzip"]),
        (["gzip", "gzip"], ["gzip", "gzip"]),
        (["identity;q=1"], ["identity;q=1"]),
        (["xidentity"], ["xidentity"]),
    ],
    ids=repr,
)
def test_identity_and_empty_places_name_no_encoding(values: list[str], named: list[str]) -> None:
    assert encodings(values) == named
