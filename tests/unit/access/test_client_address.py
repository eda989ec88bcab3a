"""The client behind trusted proxies: the last address that none of them has, and nobody can invent another."""

import time

import pytest

from proxy.access.client_address import TrustedProxies

PROXIES = TrustedProxies(["10.0.0.0/8", "192.0.2.1", "2001:db8:1::/48"])
PEER = "10.0.0.1"

X_FORWARDED_FOR = [
    ("one", ["198.51.100.7"], "198.51.100.7"),
    ("behind a trusted one", ["198.51.100.7, 10.0.0.2"], "198.51.100.7"),
    ("what the client wrote is left of it", ["1.1.1.1, 198.51.100.7, 10.0.0.2"], "198.51.100.7"),
    ("a trusted address that the client wrote", ["10.9.9.9, 198.51.100.7"], "198.51.100.7"),
    ("several lines", ["1.1.1.1", "198.51.100.7", "10.0.0.2"], "198.51.100.7"),
    ("trusted ones alone", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
    ("with a port", ["198.51.100.7:4711"], "198.51.100.7"),
    ("IPv6", ["2001:db8::7"], "2001:db8::7"),
    ("IPv6 in brackets", ["[2001:db8::7]"], "2001:db8::7"),
    ("IPv6 with a port", ["[2001:db8::7]:4711, 2001:db8:1::5"], "2001:db8::7"),
    ("IPv4 in IPv6", ["::ffff:198.51.100.7, ::ffff:10.0.0.2"], "198.51.100.7"),
    ("a zone", ["fe80::1%eth0"], "fe80::1"),
    ("spaces", [" 198.51.100.7\t,\t10.0.0.2 "], "198.51.100.7"),
    ("nothing", [""], PEER),
    ("nothing at the end", ["198.51.100.7,"], PEER),
    ("no address", ["unknown"], PEER),
    ("no address left of a proxy", ["unknown, 10.0.0.2"], "10.0.0.2"),
    ("no address left of the client", ["<script>, 198.51.100.7"], "198.51.100.7"),
    ("a name", ["example.com"], PEER),
    ("a number", ["1"], PEER),
]


@pytest.mark.parametrize(
    ("values", "client"), [r[1:] for r in X_FORWARDED_FOR], ids=[r[0] for r in X_FORWARDED_FOR]
)
def test_x_forwarded_for_is_read_from_its_end(values: list[str], client: str) -> None:
    assert PROXIES.client_of(PEER, [], values) == client


FORWARDED = [
    ("one", ["for=198.51.100.7"], "198.51.100.7"),
    ("with others", ["proto=https;for=198.51.100.7;by=10.0.0.1"], "198.51.100.7"),
    ("in any case", ["For=198.51.100.7; Proto=http"], "198.51.100.7"),
    ("quoted", ['for="198.51.100.7:4711"'], "198.51.100.7"),
    ("IPv6", ['for="[2001:db8::7]:4711"'], "2001:db8::7"),
    ("behind a trusted one", ["for=198.51.100.7, for=10.0.0.2"], "198.51.100.7"),
    ("a comma in quotes", ['for=198.51.100.7;host="a,b", for=10.0.0.2'], "198.51.100.7"),
    ("what looks like it in quotes", ['for=198.51.100.7;host="x;for=1.1.1.1"'], "198.51.100.7"),
    ("another's end", ["xfor=1.1.1.1"], PEER),
    ("several lines", ["for=1.1.1.1", "for=198.51.100.7", "for=10.0.0.2"], "198.51.100.7"),
    ("unknown", ["for=unknown"], PEER),
    ("hidden", ["for=_hidden, for=10.0.0.2"], "10.0.0.2"),
    ("without it", ["proto=https"], PEER),
    ("an open quote", ['for="198.51.100.7'], PEER),
    ("nothing", [""], PEER),
]


@pytest.mark.parametrize(
    ("values", "client"), [r[1:] for r in FORWARDED], ids=[r[0] for r in FORWARDED]
)
def test_forwarded_is_read_from_its_end(values: list[str], client: str) -> None:
    assert PROXIES.client_of(PEER, values, []) == client


@pytest.mark.parametrize(
    "peer", ["198.51.100.9", "2001:db8::9", "9.0.0.1", None, "", "/run/socket"]
)
def test_who_is_not_trusted_is_not_believed(peer: str | None) -> None:
    assert PROXIES.client_of(peer, ["for=1.1.1.1"], ["1.1.1.1"]) == peer


@pytest.mark.parametrize("peer", ["10.0.0.1", "192.0.2.1", "::ffff:10.0.0.1", "2001:db8:1::1"])
def test_who_is_trusted_is_believed(peer: str) -> None:
    assert PROXIES.client_of(peer, [], ["198.51.100.7"]) == "198.51.100.7"
    assert PROXIES.client_of(peer, [], []) == peer


def test_when_both_are_there_and_differ_neither_counts() -> None:
    same, other = "198.51.100.7", "198.51.100.8"
    assert PROXIES.client_of(PEER, [f"for={same}"], [same]) == same
    assert PROXIES.client_of(PEER, [f"for={same}"], [other]) == PEER
    assert PROXIES.client_of(PEER, ["for=unknown"], [other]) == PEER


def test_without_any_network_nobody_is_trusted() -> None:
    none = TrustedProxies([])
    assert none.client_of(PEER, [], ["1.1.1.1"]) == PEER


def test_a_network_may_be_given_by_an_address_inside_it() -> None:
    assert TrustedProxies(["10.1.2.3/8"]).trusts("10.0.0.1")


@pytest.mark.parametrize(
    "value",
    [
        '"' * 60_000,
        "," * 60_000,
        '"\\' * 30_000,
        '"' + '\\"' * 30_000,
        "for=" * 15_000,
        '";' * 30_000,
    ],
    ids=["quotes", "commas", "escapes", "an open quote of quotes", "names", "separators"],
)
def test_no_header_takes_long(value: str) -> None:
    """A head holds 64 kB. Time that grows with its square would be half a minute."""
    began_s = time.process_time()
    assert PROXIES.client_of(PEER, [value], [value]) == PEER
    assert time.process_time() - began_s < 1


def test_what_stands_in_an_open_quote_names_nobody() -> None:
    assert PROXIES.client_of(PEER, ['for="1.1.1.1, for=198.51.100.7'], []) == PEER
