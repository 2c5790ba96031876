"""The client's address of a request.

Any client can send `X-Forwarded-For`; only what our own proxies have appended to it is true. So it is read from its
end, for as long as the address that appended an element is a proxy of ours.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Final, TypeAlias

from litestar.connection import ASGIConnection

Network: TypeAlias = IPv4Network | IPv6Network

UNKNOWN_IP = "0.0.0.0"  # noqa: S104 - an address that is nobody's, not one to listen on
_IPV6_NETWORK_BITS: Final = 64
"""The network of one IPv6 customer, at least, even of a single home."""
_IPV6_SITE_BITS: Final = 48
"""The network that any customer gets on request: 65,536 networks of 64 bits."""
_REMEMBERED: Final = 4096
"""Addresses whose networks are kept: every chat asks for them."""
_MAPPED_BITS: Final = 96
"""Of the prefix in IPv6 under which an IPv4 address may be written."""
_MAPPED: Final = IPv6Address("::ffff:0:0")
_WITH_PORT: Final = re.compile(r"(?P<ipv4>[0-9.]+):[0-9]{1,5}|\[(?P<ipv6>[0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?")
"""Some proxies append the client's port, and then write IPv6 in brackets."""


def parse_networks(text: str) -> tuple[Network, ...]:
    """Return the networks of a comma-separated list, as `10.0.0.0/8, ::1`, in the spelling of addresses here.

    Raises:
        ValueError: An element is no address or network.
    """
    return tuple(_network(part.strip()) for part in text.split(",") if part.strip())


class ClientIp:
    """Finds the client's address.

    Args:
        proxies: The networks of our own proxies.
    """

    def __init__(self, proxies: Sequence[Network]) -> None:
        self._proxies = proxies

    def of(self, connection: ASGIConnection[Any, Any, Any, Any]) -> str:
        """Return the last address in the chain that is not a proxy of ours."""
        peer = _normal(connection.client.host if connection.client else "")
        if peer is None:
            return UNKNOWN_IP
        if not self._proxies:
            return peer
        claimed = ",".join(connection.headers.getall("x-forwarded-for", [])).split(",")
        for claim in filter(None, (claim.strip() for claim in reversed(claimed))):
            if not self._is_proxy(peer):
                break
            before = _normal(claim)
            if before is None:
                break
            peer = before
        return peer

    def _is_proxy(self, ip: str) -> bool:
        return is_within(ip, self._proxies)


def is_within(ip: str, networks: Sequence[Network]) -> bool:
    """Whether an address belongs to one of some networks; the one that stands for an unknown address never does."""
    address = ip_address(ip)
    return ip != UNKNOWN_IP and any(address in network for network in networks)


@lru_cache(maxsize=_REMEMBERED)
def limited_as(ip: str) -> str:
    """Return the network by which an address is limited: an IPv6 customer can call from a whole /64."""
    return _network_of(ip, _IPV6_NETWORK_BITS) or ip


@lru_cache(maxsize=_REMEMBERED)
def site_of(ip: str) -> str | None:
    """Return the /48 of an IPv6 address, which is limited as a whole too; None for IPv4."""
    return _network_of(ip, _IPV6_SITE_BITS)


def _network_of(ip: str, prefix_bits: int) -> str | None:
    address = ip_address(ip)
    return str(ip_network((address, prefix_bits), strict=False)) if isinstance(address, IPv6Address) else None


def _normal(text: str) -> str | None:
    """Return an address in canonical form, without port and with IPv4 taken out of IPv6; None if it is not one."""
    found = _WITH_PORT.fullmatch(text)
    try:
        address = ip_address((found["ipv4"] or found["ipv6"]) if found else text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        # A zone names an interface of the host that wrote it, so that the address means nothing here.
        return None if address.scope_id is not None else str(address.ipv4_mapped or address)
    return str(address)


def _network(text: str) -> Network:
    network = ip_network(text)
    if isinstance(network, IPv6Network) and network.prefixlen >= _MAPPED_BITS:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return IPv4Network((mapped, network.prefixlen - _MAPPED_BITS))
    elif isinstance(network, IPv6Network) and network.prefixlen and _MAPPED in network:
        raise ValueError(f"{text} holds IPv4 addresses written as IPv6, which are compared as IPv4")
    return network
