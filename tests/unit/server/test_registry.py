"""Connections are counted as they come, rest, wake and go."""

import pytest

from proxy.server.registry import Registry, client_of


def registry(*connections: str) -> Registry[str]:
    made = Registry[str]()
    for each in connections:
        made.add(each, None)
    return made


def test_the_longest_idle_is_the_one_that_rests_longest() -> None:
    made = registry("a", "b", "c")
    made.wakes("a")
    made.rests("a")
    made.wakes("c")
    assert [made.longest_idle() for _ in range(3)] == ["b", "a", None]


def test_who_has_given_way_stays_open_until_it_is_closed() -> None:
    made = registry("a")
    assert made.longest_idle() == "a"
    assert set(made.open) == {"a"}
    made.remove("a")
    assert set(made.open) == set()
    made.remove("a")  # twice is once


def test_a_closed_connection_is_not_idle() -> None:
    made = registry("a", "b")
    made.remove("a")
    assert [made.longest_idle() for _ in range(2)] == ["b", None]


def test_connections_are_counted_per_client() -> None:
    made = Registry[str]()
    made.add("a", "x")
    made.add("b", "x")
    made.add("c", "y")
    made.add("d", None)
    assert (made.of("x"), made.of("y"), made.of("z")) == (2, 1, 0)
    made.remove("a")
    made.remove("d")
    assert (made.of("x"), made.of("y")) == (1, 1)


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::9", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("no address", "no address"),
    ],
)
def test_a_client_is_an_ipv4_address_or_an_ipv6_network(address: str, client: str) -> None:
    assert client_of(address) == client
