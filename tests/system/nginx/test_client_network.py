"""By what nginx counts a client: an IPv4 address, or the /64 of an IPv6 one, however that is written."""

import random
from ipaddress import IPv6Address, ip_network
from pathlib import Path

import httpx

from support.http.serving import free_port
from support.network.nginx import DEPLOYED, Nginx

ECHO = """
include {folder}/client_network.conf;
server {{
    listen 127.0.0.1:{port};
    set_real_ip_from 127.0.0.1;
    real_ip_header X-Address;
    location / {{ return 200 "$client_network"; }}
}}
"""


def addresses() -> list[IPv6Address]:
    """Addresses with runs of zeros at every place, and random ones."""
    chosen = random.Random(64)
    of_zeros = [
        IPv6Address(":".join("0" if bits >> place & 1 else f"{chosen.randrange(1, 65536):x}" for place in range(8)))
        for bits in range(256)
    ]
    return [*of_zeros, *(IPv6Address(chosen.getrandbits(128)) for _ in range(50))]


def key_of(address: IPv6Address) -> str:
    groups = address.exploded.split(":")[:4]
    return ":".join(f"{int(group, 16):x}" for group in groups)


async def test_a_whole_64_of_ipv6_is_one_client(tmp_path: Path) -> None:
    nginx, port = Nginx(tmp_path / "nginx", {}), free_port()
    (nginx.home / "conf" / "conf.d" / "echo.conf").write_text(ECHO.format(folder=DEPLOYED, port=port))
    with nginx.running():
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:

            async def counted_as(address: object) -> str:
                return (await http.get("/", headers={"X-Address": str(address)})).content.hex()

            for address in addresses():
                if address.ipv4_mapped is None and int(address) >> 32:
                    assert bytes.fromhex(await counted_as(address)).decode() == key_of(address), address
            home = ip_network("2001:db8:0:7::/64")
            assert len({await counted_as(home[number << 13]) for number in range(0, 1 << 48, 1 << 44)}) == 1
            assert await counted_as("2001:db8:0:8::1") != await counted_as(home[1])
            # Of IPv4, each is one: in four bytes, or as it is written where it came as IPv6.
            assert await counted_as("192.0.2.1") == bytes((192, 0, 2, 1)).hex()
            assert await counted_as("::ffff:192.0.2.1") != await counted_as("::ffff:192.0.2.2")


def test_product_api_counts_connections_by_it() -> None:
    assert "limit_conn_zone $client_network " in (DEPLOYED / "product_api.conf").read_text()
