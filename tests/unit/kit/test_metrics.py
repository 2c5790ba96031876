"""Where metrics are shown, and which labels a request can make."""

import os
import socket
from contextlib import AsyncExitStack

import httpx
import pytest
from prometheus_client import REGISTRY

from b2b_chat.kit.metrics import count_request, exported
from b2b_chat.kit.serving import PortBusy, ensure_port_is_free
from support.processes.waiting import until


def requests(method: str, route: str, status: str) -> float | None:
    return REGISTRY.get_sample_value("b2b_chat_requests_total", {"method": method, "route": route, "status": status})


def test_methods_that_clients_make_up_are_one() -> None:
    for method in ("BREW", "CANARY", "get"):
        count_request(method, "/made-up", 405, 0.1)
    assert requests("other", "/made-up", "405") == 3
    assert requests("BREW", "/made-up", "405") is None


def test_a_request_is_counted_once_with_its_time() -> None:
    for _ in range(2):
        count_request("GET", "/counted", 200, 0.25)
    assert requests("GET", "/counted", "200") == 2
    labels = {"method": "GET", "route": "/counted"}
    assert REGISTRY.get_sample_value("b2b_chat_request_seconds_sum", labels) == 0.5


def block_of_ports(size: int) -> int:
    """The first of so many free ports in a row, below those that the system gives to clients."""
    for first in range(20_000 + os.getpid() % 10_000, 32_000, size):
        try:
            for port in range(first, first + size):
                ensure_port_is_free("127.0.0.1", port)
        except PortBusy:
            continue
        return first
    raise AssertionError("no free ports")


async def shows(port: int) -> bool:
    async with httpx.AsyncClient() as http:
        try:
            answer = await http.get(f"http://127.0.0.1:{port}/metrics")
        except httpx.ConnectError:
            return False
    return "b2b_chat_build_info" in answer.text


async def test_without_a_port_nothing_is_shown() -> None:
    async with exported("127.0.0.1", 0, workers=4):
        pass


async def test_every_worker_takes_a_port_and_gives_it_back() -> None:
    first = block_of_ports(2)
    async with AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(exported("127.0.0.1", first, workers=2))
        assert await shows(first)
        assert await shows(first + 1)
    assert not await shows(first)
    assert not await shows(first + 1)


@pytest.mark.parametrize("workers", [1, 3])
async def test_a_taken_port_stops_no_app(workers: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with exported("127.0.0.1", port, workers=workers):
            # Others on this machine may have one of the two as well.
            shown = [await shows(port + further) for further in (1, 2)]
        assert any(shown) == (workers > 1)


async def test_a_port_that_its_predecessor_gives_back_is_taken() -> None:
    first = block_of_ports(1)
    async with AsyncExitStack() as successor:
        async with exported("127.0.0.1", first, workers=1):
            await successor.enter_async_context(exported("127.0.0.1", first, workers=1))
        await until(lambda: shows(first))
    assert not await shows(first)
