"""A network that loses every packet without a word: a peer in a namespace of its own, whose link goes down."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from typing import Final, NamedTuple
from uuid import uuid4

import pytest

from b2b_chat.kit.http.errors import HttpError
from support.http.peer import client_of, read_all

LOST_AFTER_SECONDS: Final = 5
PORT: Final = 8001
# Answers a call with a head and the first bytes where it asks for a stream, else with nothing.
PEER: Final = """
import socket, sys
server = socket.create_server((sys.argv[1], int(sys.argv[2])))
print("listens", flush=True)
calls = []
while True:
    call, _ = server.accept()
    calls.append(call)
    if b"/stream" in call.recv(65536):
        call.sendall(b"HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n5\\r\\nhello\\r\\n")
"""
_CAN_MAKE_NETWORKS: Final = sys.platform == "linux" and os.geteuid() == 0 and shutil.which("ip") is not None
pytestmark = pytest.mark.skipif(
    not _CAN_MAKE_NETWORKS, reason="networks that lose packets are made by root, with ip (apt-get install iproute2)"
)


class Network(NamedTuple):
    """A machine's worth of network, and the link to it."""

    address: str
    link: str

    def lose_everything(self) -> None:
        """From now on no packet arrives, and nobody is told: the namespace's end of the link goes down."""
        ip("-n", self.link, "link", "set", "there", "down")


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@pytest.fixture
def network() -> Iterator[Network]:
    name = f"b2b{uuid4().hex[:8]}"
    block = f"10.{os.getpid() % 250 + 1}.{uuid4().int % 250}"
    ip("netns", "add", name)
    try:
        ip("link", "add", name, "type", "veth", "peer", "name", "there", "netns", name)
        ip("addr", "add", f"{block}.1/24", "dev", name)
        ip("link", "set", name, "up")
        ip("-n", name, "addr", "add", f"{block}.2/24", "dev", "there")
        ip("-n", name, "link", "set", "there", "up")
        yield Network(f"{block}.2", name)
    finally:
        ip("netns", "del", name)


@pytest.fixture
def peer(network: Network) -> Iterator[Network]:
    command = ["ip", "netns", "exec", network.link, sys.executable, "-c", PEER, network.address, str(PORT)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "listens\n"
        yield network
        process.kill()


@pytest.mark.parametrize("target", ["/whole", "/stream"])
async def test_a_call_ends_when_the_network_is_lost(peer: Network, target: str) -> None:
    client = client_of(f"http://{peer.address}:{PORT}", lost_after_seconds=LOST_AFTER_SECONDS)
    with closing(client) as http:

        async def call() -> None:
            with await http.send("GET", target, {}) as response:
                await read_all(response)

        calling = asyncio.create_task(call())
        await asyncio.sleep(0.5)  # the call is there, and in its stream
        assert not calling.done()
        peer.lose_everything()
        with pytest.raises(HttpError):
            await asyncio.wait_for(calling, 60)
