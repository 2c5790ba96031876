"""The fault suite's proxy does the harm that it is ordered to: else its cases would prove nothing."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.http.serving import free_port
from support.network.proxy import Address, Proxy, Toxics, listening


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


@pytest.fixture
async def target() -> AsyncIterator[Address]:
    server = await asyncio.start_server(_echo, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[:2]
    server.close()


@pytest.fixture
async def proxy(target: Address) -> AsyncIterator[Proxy]:
    async with listening(Proxy(target), ("127.0.0.1", free_port())) as proxy:
        yield proxy


async def _open(proxy: Proxy) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    assert isinstance(proxy.at, tuple)
    return await asyncio.open_connection(*proxy.at)


async def _said(proxy: Proxy, data: bytes = b"hello") -> bytes:
    """All that comes back until the connection ends, or as much as was sent."""
    reader, writer = await _open(proxy)
    try:
        writer.write(data)
        async with asyncio.timeout(10):
            heard = b""
            while len(heard) < len(data) and (piece := await reader.read(65_536)):
                heard += piece
        return heard
    finally:
        writer.close()


async def test_unharmed_it_passes_everything(proxy: Proxy) -> None:
    data = bytes(range(256)) * 4000
    assert await _said(proxy, data) == data
    assert (proxy.connections, proxy.requests.passed_bytes, proxy.replies.passed_bytes) == (1, len(data), len(data))


async def test_between_unix_sockets(tmp_path: Path) -> None:
    server = await asyncio.start_unix_server(_echo, tmp_path / "server")
    async with listening(Proxy(tmp_path / "server"), tmp_path / "proxy"):
        reader, writer = await asyncio.open_unix_connection(tmp_path / "proxy")
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        writer.close()
    server.close()


async def test_down_it_resets_and_healed_it_serves(proxy: Proxy) -> None:
    proxy.is_down = True
    with pytest.raises(ConnectionResetError):
        assert await _said(proxy) == b"hello"
    proxy.heal()
    assert await _said(proxy) == b"hello"


async def test_a_target_that_is_away_is_a_reset() -> None:
    async with listening(Proxy(("127.0.0.1", free_port())), ("127.0.0.1", free_port())) as proxy:
        with pytest.raises(ConnectionResetError):
            assert await _said(proxy) == b"hello"


@pytest.mark.parametrize("resets", [False, True])
async def test_after_its_limit_it_cuts(proxy: Proxy, *, resets: bool) -> None:
    proxy.replies.toxics = Toxics(limit_bytes=3, limit_resets=resets)
    reader, writer = await _open(proxy)
    writer.write(b"hello")
    if resets:
        with pytest.raises(ConnectionResetError):
            await reader.readexactly(5)
    else:
        assert await reader.read() == b"hel"
    writer.close()


async def test_slices_and_bandwidth_change_no_byte(proxy: Proxy) -> None:
    proxy.requests.toxics = Toxics(slice_bytes=1)
    proxy.replies.toxics = Toxics(slice_bytes=7, bytes_per_second=20_000)
    started_at = time.monotonic()
    assert await _said(proxy, b"hello" * 200) == b"hello" * 200
    assert time.monotonic() - started_at >= 0.04  # it cannot be faster than its bandwidth; how slow is not asserted


async def test_half_open_it_is_silent_until_healed(proxy: Proxy) -> None:
    proxy.replies.freeze()
    reader, writer = await _open(proxy)
    writer.write(b"hello")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await reader.read(10)
    proxy.heal()
    assert await reader.readexactly(5) == b"hello"
    writer.close()


async def test_dropped_connections_end(proxy: Proxy) -> None:
    reader, writer = await _open(proxy)
    writer.write(b"hello")
    await reader.readexactly(5)
    assert proxy.live_connections == 1
    proxy.drop_all(reset=True)
    with pytest.raises(ConnectionResetError):
        await reader.read(10)
    writer.close()
