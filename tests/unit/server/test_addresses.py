"""The addresses that `listen.host` means: both families of `::`, several hosts, one port."""

import errno
import socket

import pytest

from proxy.server.addresses import bound


def served(hosts: tuple[str, ...], port: int = 0) -> set[tuple[str, int]]:
    with bound(hosts, port) as sockets:
        return {each.getsockname()[:2] for each in sockets}


@pytest.mark.parametrize(
    ("hosts", "addresses"),
    [
        (("127.0.0.1",), {"127.0.0.1"}),
        (("::1",), {"::1"}),
        (("::",), {"::", "0.0.0.0"}),
        (("0.0.0.0",), {"0.0.0.0"}),
        (("127.0.0.1", "::1", "127.0.0.2"), {"127.0.0.1", "::1", "127.0.0.2"}),
        (("::", "0.0.0.0"), {"::", "0.0.0.0"}),
        (("127.0.0.1", "127.0.0.1"), {"127.0.0.1"}),
    ],
    ids=lambda value: "-".join(sorted(value)),
)
def test_each_address_is_bound_once_and_all_have_one_port(
    hosts: tuple[str, ...], addresses: set[str]
) -> None:
    got = served(hosts)
    assert {address for address, _ in got} == addresses
    assert len({port for _, port in got}) == 1
    assert all(port for _, port in got)


def test_a_name_means_all_its_addresses() -> None:
    names = {info[4][0] for info in socket.getaddrinfo("localhost", None)}
    assert {address for address, _ in served(("localhost",))} == names


def test_an_address_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.2", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"127.0.0.2, port {port}: Address already in use"):
            served(("127.0.0.1", "127.0.0.2"), port)
    assert served(("127.0.0.1",), port)  # what was bound before it is free again


def test_an_address_that_is_not_this_machines_is_named() -> None:
    with pytest.raises(OSError, match=r"192\.0\.2\.1") as raised:
        served(("127.0.0.1", "192.0.2.1"))
    assert raised.value.errno == errno.EADDRNOTAVAIL


def test_without_ipv6_everywhere_means_every_ipv4_address(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    make = socket.socket

    def without_ipv6(family: int, kind: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return make(family, kind)

    monkeypatch.setattr(socket, "socket", without_ipv6)
    assert {address for address, _ in served(("::",))} == {"0.0.0.0"}
    assert "its other addresses are served" in caplog.text


def test_a_name_that_does_not_exist_is_named() -> None:
    with pytest.raises(OSError, match=r"listen\.host: no-such-host\.invalid: "):
        served(("no-such-host.invalid",))


def test_several_processes_share_an_address_only_when_all_want_to() -> None:
    with bound(("127.0.0.1",), 0, reuse_port=True) as sockets:
        port = sockets[0].getsockname()[1]
        with bound(("127.0.0.1",), port, reuse_port=True):
            pass
        sockets[0].listen()
        with pytest.raises(OSError, match="in use"):
            served(("127.0.0.1",), port)
