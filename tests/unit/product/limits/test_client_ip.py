from typing import Any

import pytest
from litestar.connection import ASGIConnection

from b2b_chat.product.limits.client_ip import UNKNOWN_IP, ClientIp, limited_as, parse_networks, site_of

PROXIES = "10.0.0.0/8, 2001:db8:1::/48"


def connection(peer: str | None, *forwarded: str) -> ASGIConnection[Any, Any, Any, Any]:
    scope: Any = {
        "type": "http",
        "client": None if peer is None else (peer, 1234),
        "headers": [(b"x-forwarded-for", line.encode()) for line in forwarded],
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
        ("10.0.0.1", ["198.51.100.7:4711"], "198.51.100.7"),
        ("10.0.0.1", ["203.0.113.9:1, 198.51.100.7:4711 , 10.0.0.2:80"], "198.51.100.7"),
        ("10.0.0.1", ["[2001:db8::1]:443"], "2001:db8::1"),
        ("10.0.0.1", ["[2001:DB8::1]"], "2001:db8::1"),
        ("10.0.0.1", ["[::1]:443"], "::1"),
        ("10.0.0.1", ["[::ffff:198.51.100.7]:443"], "198.51.100.7"),
        ("10.0.0.1", ["::FFFF:c633:6407"], "198.51.100.7"),
        ("10.0.0.1", ["198.51.100.7, [2001:db8:1::9]:8443"], "198.51.100.7"),
        ("10.0.0.1", ["198.51.100.7, ::ffff:10.0.0.2"], "198.51.100.7"),
        ("10.0.0.1", ["198.51.100.7,,", " , 10.0.0.2"], "198.51.100.7"),
        ("10.0.0.1", ["\t198.51.100.7\t"], "198.51.100.7"),
        # What is no address ends the chain: the address that appended it is all that is known.
        ("10.0.0.1", ["198.51.100.7:"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7:123456"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7:80:80"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.256:80"], "10.0.0.1"),
        ("10.0.0.1", ["[198.51.100.7]:80"], "198.51.100.7"),
        ("10.0.0.1", ["[2001:db8::1"], "10.0.0.1"),
        ("10.0.0.1", ["2001:db8::1]:443"], "10.0.0.1"),
        ("10.0.0.1", ["[fe80::1%eth0]:443"], "10.0.0.1"),
        ("10.0.0.1", ["unknown"], "10.0.0.1"),
        ("10.0.0.1", ["_hidden:80"], "10.0.0.1"),
        ("10.0.0.1", ["localhost"], "10.0.0.1"),
        ("10.0.0.1", ["\u0661.2.3.4"], "10.0.0.1"),
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


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("::ffff:10.0.0.1", "10.0.0.1/32"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::FFFF:0A00:0/112", "10.0.0.0/16"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
        ("2001:DB8:0::/48", "2001:db8::/48"),
        ("::/0", "::/0"),
        ("::1", "::1/128"),
    ],
)
def test_a_network_is_spelt_as_addresses_are(text: str, network: str) -> None:
    assert [str(each) for each in parse_networks(text)] == [network]


def test_a_proxy_is_one_however_it_is_spelt() -> None:
    for spelling in ("10.0.0.1", "::ffff:10.0.0.1", "::FFFF:0a00:1"):
        clients = ClientIp(parse_networks(spelling))
        for peer in ("10.0.0.1", "::ffff:10.0.0.1"):
            assert clients.of(connection(peer, "198.51.100.7")) == "198.51.100.7"


def test_an_ipv6_customer_is_one_whatever_address_is_used() -> None:
    assert limited_as("2001:db8::1") == limited_as("2001:db8::ffff:1") == "2001:db8::/64"
    assert limited_as("2001:db8:0:1::1") != limited_as("2001:db8::1")
    assert limited_as("192.0.2.1") == "192.0.2.1"


def test_an_ipv6_customer_may_have_a_whole_site() -> None:
    assert site_of("2001:db8:0:1::1") == site_of("2001:db8:0:ffff::1") == "2001:db8::/48"
    assert site_of("2001:db8:1::1") == "2001:db8:1::/48"
    assert site_of("192.0.2.1") is None
