"""Where a request comes from, as far as that can be known.

`X-Forwarded-For` is written by whoever wishes; only what our own proxies have appended to it is true. So it is read
from its end, for as long as the one who speaks is a proxy of ours.
"""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, TypeAlias

from litestar.connection import ASGIConnection

Network: TypeAlias = IPv4Network | IPv6Network

UNKNOWN_IP = "0.0.0.0"  # noqa: S104 - an address that is nobody's, not one to listen on
_IPV6_SITE_BITS = 64


def parse_networks(text: str) -> tuple[Network, ...]:
    """The networks in a list with commas, as `10.0.0.0/8, ::1`.

    Raises:
        ValueError: One of them is no address or network.
    """
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


class ClientIp:
    """Tells the client's address.

    Args:
        proxies: The networks whose word about others is taken.
    """

    def __init__(self, proxies: Sequence[Network]) -> None:
        self._proxies = proxies

    def of(self, connection: ASGIConnection[Any, Any, Any, Any]) -> str:
        """The address of the last one in the chain who is not a proxy of ours."""
        peer = _normal(connection.client.host if connection.client else "")
        if peer is None:
            return UNKNOWN_IP
        if not self._proxies:
            return peer
        claimed = ",".join(connection.headers.getall("x-forwarded-for", [])).split(",")
        for claim in reversed(claimed):
            if not self._is_proxy(peer):
                break
            before = _normal(claim.strip())
            if before is None:
                break
            peer = before
        return peer

    def _is_proxy(self, ip: str) -> bool:
        address = ip_address(ip)
        return any(address in network for network in self._proxies)


def limited_as(ip: str) -> str:
    """What an address is limited as: an IPv6 customer has a whole /64 to call from."""
    address = ip_address(ip)
    if isinstance(address, IPv6Address):
        return str(ip_network((address, _IPV6_SITE_BITS), strict=False))
    return ip


def _normal(text: str) -> str | None:
    """An address in its one spelling, IPv4 within IPv6 taken out; None if it is none. Zones and ports are not taken."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return None
        return str(address.ipv4_mapped or address)
    return str(address)
