from typing import Any

import pytest
from litestar.connection import ASGIConnection

from b2b_chat.product.limits.client_ip import UNKNOWN_IP, ClientIp, limited_as, parse_networks

PROXIES = "10.0.0.0/8, 2001:db8:1::/48"


def connection(peer: str | None, *forwarded: str) -> ASGIConnection[Any, Any, Any, Any]:
    scope: Any = {
        "type": "http",
        "client": None if peer is None else (peer, 1234),
        "headers": [(b"x-forwarded-for", line.encode("latin-1")) for line in forwarded],
    }
    return ASGIConnection(scope)


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("192.0.2.1", [], "192.0.2.1"),
        ("192.0.2.1", ["198.51.100.7"], "192.0.2.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["203.0.113.9, 198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["203.0.113.9, 198.51.100.7, 10.0.0.2"], "198.51.100.7"),
        ("10.0.0.1", ["203.0.113.9", "198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", ["198.51.100.7, nonsense"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7:4711"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7, nonsense, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", ["", " , "], "10.0.0.1"),
        ("10.0.0.1", ["2001:DB8:0:0::1"], "2001:db8::1"),
        ("10.0.0.1", ["::ffff:198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["fe80::1%eth0"], "10.0.0.1"),
        ("2001:db8:1::5", ["198.51.100.7"], "198.51.100.7"),
        ("::ffff:10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        (None, ["198.51.100.7"], UNKNOWN_IP),
        ("", [], UNKNOWN_IP),
    ],
)
def test_only_our_proxies_are_believed(peer: str | None, forwarded: list[str], expected: str) -> None:
    assert ClientIp(parse_networks(PROXIES)).of(connection(peer, *forwarded)) == expected


def test_without_trusted_proxies_no_header_is_believed() -> None:
    for peer in ("192.0.2.1", "10.0.0.1", "127.0.0.1"):
        assert ClientIp(()).of(connection(peer, "198.51.100.7")) == peer


@pytest.mark.parametrize("text", ["x", "10.0.0.0/8 10.1.0.0/16", "10.0.0.1/8", "10.0.0.0/33"])
def test_an_invalid_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"network|address|bits"):
        parse_networks(text)


def test_networks() -> None:
    assert parse_networks("") == ()
    assert [str(network) for network in parse_networks("127.0.0.1, ::1 ,10.0.0.0/8")] == [
        "127.0.0.1/32",
        "::1/128",
        "10.0.0.0/8",
    ]


def test_an_ipv6_customer_is_one_whatever_address_is_used() -> None:
    assert limited_as("2001:db8::1") == limited_as("2001:db8::ffff:1") == "2001:db8::/64"
    assert limited_as("2001:db8:0:1::1") != limited_as("2001:db8::1")
    assert limited_as("192.0.2.1") == "192.0.2.1"
