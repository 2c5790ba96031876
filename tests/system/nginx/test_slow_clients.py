"""Deliberately slow clients: they are dropped, never reach an app, and others are served meanwhile."""

import asyncio

from support.network.nginx import NAME, Behind, Nginx, SiteName

SLOW_OF_A_KIND = 40
DRIP_SECONDS = 1.0
SHED_SECONDS = 60
"""Long after nginx's own 10 s, which a loaded machine may stretch."""

HEAD = f"POST /v1/chat HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 1000\r\n".encode()


async def never_shakes_hands(nginx: Nginx, site: SiteName) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", nginx.ports[site])
    await _until_shed(reader, writer)


async def never_ends_its_head(nginx: Nginx, site: SiteName) -> None:
    reader, writer = await nginx.connect(site, address="127.0.0.2")
    writer.write(HEAD)
    # A drip well within any pause between bytes: only a limit on the whole head ends it.
    drip = asyncio.create_task(_drip(writer, b"X-Drip: drop\r\n"))
    try:
        await _until_shed(reader, writer)
    finally:
        drip.cancel()


async def never_sends_its_body(nginx: Nginx, site: SiteName) -> None:
    reader, writer = await nginx.connect(site, address="127.0.0.2")
    writer.write(HEAD + b"\r\n{")
    await _until_shed(reader, writer)


async def test_slow_clients_are_shed_while_others_are_served(behind: Behind) -> None:
    sites: list[SiteName] = ["product_api", "gateway_api"]
    slow = [
        asyncio.create_task(kind(behind.nginx, site))
        for site in sites
        for kind in (never_shakes_hands, never_ends_its_head, never_sends_its_body)
        for _ in range(SLOW_OF_A_KIND)
    ]
    served = 0
    async with behind.nginx.client("product_api") as product, behind.nginx.client("gateway_api") as gateway:
        while not all(task.done() for task in slow):
            for client in (product, gateway):
                assert (await client.get("/health")).status_code == 200
                served += 1
            await asyncio.sleep(0.1)
    await asyncio.gather(*slow)
    assert served > len(sites)
    assert [arrival.target for arrival in behind.app.arrivals] == [b"/health"] * served


async def _drip(writer: asyncio.StreamWriter, drop: bytes) -> None:
    while not writer.is_closing():
        writer.write(drop)
        await asyncio.sleep(DRIP_SECONDS)


async def _until_shed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Return once nginx has closed the connection, by a word (408) or by a reset."""
    try:
        async with asyncio.timeout(SHED_SECONDS):
            said = await reader.read()
    except ConnectionError:
        said = b""
    finally:
        writer.transport.abort()
    assert not said.startswith(b"HTTP/1.1 2"), said
