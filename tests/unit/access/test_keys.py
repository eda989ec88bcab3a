"""The callers' keys: made, stored as digests, found by either header, refused in one way."""

import datetime
import hashlib

import pytest
from multidict import CIMultiDict

from proxy.access import keys
from proxy.access.keys import KeyRefused
from proxy.config import Key
from proxy.errors import Unauthenticated

NOW = datetime.datetime(2026, 11, 22, 12, tzinfo=datetime.UTC)
SECRET = "ar-correct-horse"
LAPTOP = Key("laptop", keys.digest(SECRET))
RING = keys.KeyRing([LAPTOP, Key("ci", keys.digest("ar-battery-staple"))])


def given(*items: tuple[str, str]) -> CIMultiDict[str]:
    return CIMultiDict(items)


@pytest.mark.parametrize(
    "inbound",
    [
        given(("x-api-key", SECRET)),
        given(("X-API-KEY", f" {SECRET} ")),
        given(("authorization", f"Bearer {SECRET}")),
        given(("Authorization", f"bEARER   {SECRET}")),
        given(("authorization", f"Bearer {SECRET}"), ("x-api-key", SECRET)),
        given(("authorization", "Bearer sk-other"), ("x-api-key", SECRET)),
        given(("authorization", "Basic eA=="), ("x-api-key", SECRET)),
        given(("x-api-key", ""), ("authorization", f"Bearer {SECRET}")),
        given(("x-api-key", " \t"), ("authorization", f"Bearer {SECRET}")),
        given(("x-api-key", "sk-ant-api03-vendor"), ("authorization", f"Bearer {SECRET}")),
        given(("x-api-key", SECRET), ("authorization", "Bearer sk-ant-oat01-login")),
        given(("x-api-key", SECRET), ("authorization", "Bearer ")),
        given(("x-api-key", SECRET), ("authorization", "Bearer ar-battery-staple")),
        given(("x-api-key", ""), ("x-api-key", SECRET)),
        given(("authorization", "Basic eA=="), ("authorization", f"Bearer {SECRET}")),
        given(("x-api-key", "ar-wrong"), ("authorization", f"Bearer {SECRET}")),
    ],
    ids=str,
)
def test_whichever_credential_is_ours_counts_and_of_two_x_api_key_decides(
    inbound: CIMultiDict[str],
) -> None:
    assert RING.authenticate(inbound, clock=lambda: NOW) is LAPTOP


REFUSED = [
    ("missing", given()),
    ("missing", given(("x-api-key", ""))),
    ("missing", given(("x-api-key", ""), ("authorization", "Bearer "))),
    ("missing", given(("authorization", ""))),
    ("missing", given(("authorization", "Bearer"))),
    ("missing", given(("proxy-authorization", f"Bearer {SECRET}"))),
    ("malformed", given(("x-api-key", "sk-ant-api03-vendor"))),
    ("malformed", given(("x-api-key", "ar-\udcff"))),
    ("malformed", given(("x-api-key", "ar-1"))),
    ("malformed", given(("x-api-key", f"{SECRET} {SECRET}"))),
    ("malformed", given(("authorization", SECRET))),
    ("malformed", given(("authorization", f"Bearer{SECRET}"))),
    ("malformed", given(("authorization", f"Basic {SECRET}"))),
    ("malformed", given(("authorization", "Bearer sk-ant-oat01-login"))),
    ("unknown", given(("x-api-key", "ar-wrong"))),
    ("unknown", given(("x-api-key", SECRET.upper()))),
    ("unknown", given(("x-api-key", LAPTOP.sha256))),
    ("unknown", given(("x-api-key", "ar-wrong"), ("authorization", "Bearer ar-wrong"))),
    ("unknown", given(("x-api-key", "ar-wrong"), ("authorization", "Bearer sk-ant-oat01"))),
    ("unknown", given(("x-api-key", "sk-ant-api03"), ("authorization", "Bearer ar-wrong"))),
]


@pytest.mark.parametrize(("reason", "inbound"), REFUSED, ids=ascii)
def test_what_is_missing_malformed_and_unknown_is_told_apart(
    reason: str, inbound: CIMultiDict[str]
) -> None:
    with pytest.raises(Unauthenticated) as refused:
        RING.authenticate(inbound, clock=lambda: NOW)
    assert refused.value.reason == reason
    assert refused.value.message.startswith(Unauthenticated(reason).message.partition(";")[0])


REMARKS = {
    "a vendor's": ("sk-ant-api03-x", "a model vendor's own key or login"),
    "almost nothing": ("ar-1", "is cut, with 4 characters, where keys made here have 46"),
    "half": (
        "ar-0123456789abcdefg",
        "may be cut, with 20 characters, where keys made here have 46",
    ),
    "with a space": (f"{SECRET} x", "characters that no key has"),
    "whole, and not known": (keys.new_key(), "not good any more; send"),
    "another form": ("my-own-key-0123", "not good any more; send"),
}


@pytest.mark.parametrize(("value", "said"), REMARKS.values(), ids=REMARKS)
def test_the_client_is_told_what_can_be_seen_of_what_it_sent(value: str, said: str) -> None:
    with pytest.raises(Unauthenticated) as refused:
        RING.authenticate(given(("x-api-key", value)), clock=lambda: NOW)
    assert said in refused.value.message


def test_a_short_key_is_told_alike_whether_it_exists_or_not() -> None:
    ring = keys.KeyRing([Key("off", keys.digest("ar-short-1"), disabled=True)])
    told = set()
    for value in ("ar-short-1", "ar-short-2"):
        with pytest.raises(Unauthenticated) as refused:
            ring.authenticate(given(("x-api-key", value)))
        told.add(refused.value.message)
    assert len(told) == 1


def test_nothing_tells_an_unknown_key_from_one_that_exists() -> None:
    told = {
        "unknown": Unauthenticated("unknown").message,
        **{each: KeyRefused(LAPTOP, each, "").message for each in ("expired", "disabled")},
    }
    assert len(set(told.values())) == 1
    assert (
        len({*told.values(), *(Unauthenticated(each).message for each in ("missing", "malformed"))})
        == 3
    )


@pytest.mark.parametrize("reason", ["missing", "malformed", "unknown"])
def test_every_wording_says_what_to_send_and_stays_as_it_is_in_claude_code(reason: str) -> None:
    """Claude Code replaces a message that holds the name of the API key's header."""
    message = Unauthenticated(reason).message
    assert "gateway key" in message
    assert "`authorization: Bearer ar-...`" in message
    assert "x-api-key" not in message


@pytest.mark.parametrize(
    ("expires_in_s", "opens"), [(1, True), (0, False), (-1, False)], ids=["before", "at", "after"]
)
def test_a_key_stops_working_at_its_expiry(expires_in_s: int, *, opens: bool) -> None:
    expires_at = NOW + datetime.timedelta(seconds=expires_in_s)
    ring = keys.KeyRing([Key("k", keys.digest(SECRET), expires_at=expires_at)])
    inbound = given(("x-api-key", SECRET))
    if opens:
        assert ring.authenticate(inbound, clock=lambda: NOW).name == "k"
    else:
        with pytest.raises(Unauthenticated):
            ring.authenticate(inbound, clock=lambda: NOW)


def test_of_two_keys_of_ours_x_api_key_decides_also_when_it_has_expired() -> None:
    ring = keys.KeyRing([Key("old", keys.digest("ar-old"), expires_at=NOW), LAPTOP])
    with pytest.raises(Unauthenticated):
        ring.authenticate(
            given(("x-api-key", "ar-old"), ("authorization", f"Bearer {SECRET}")), clock=lambda: NOW
        )


def test_new_keys_carry_the_prefix_and_256_random_bits_and_never_repeat() -> None:
    made = {keys.new_key() for _ in range(100)}
    assert len(made) == 100
    assert all(key.startswith("ar-") and len(key) == 3 + 43 for key in made)


def test_a_key_is_stored_as_its_sha256_in_hex() -> None:
    assert keys.digest(SECRET) == hashlib.sha256(SECRET.encode()).hexdigest()


def test_the_ring_holds_no_key_that_works() -> None:
    assert SECRET not in repr(vars(RING))
