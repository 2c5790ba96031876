"""The embedded Valkey, and what `kit.valkey` makes of servers that are not well."""

import asyncio
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
import trustme

from b2b_chat.kit.settings import Secret
from b2b_chat.kit.valkey import Script, Valkey, ValkeyUnavailable
from b2b_chat.sandbox.errors import SandboxError
from b2b_chat.sandbox.valkey import EmbeddedValkey
from support.telemetry.counts import Counts, count


def client_of(server: EmbeddedValkey, *, timeout_seconds: float = 5) -> Valkey:
    return Valkey(Secret(server.url), timeout_seconds=timeout_seconds, max_connections=8)


async def test_it_starts_empty_and_leaves_nothing_running(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path)
    for _ in range(2):
        server.start()
        process = psutil.Process(server.child.pid)
        client = client_of(server)
        assert await client.ask("SET", "key", "value", "NX") == b"OK"
        await client.close()
        server.stop()
        assert not process.is_running()
    with pytest.raises(SandboxError):
        _ = server.child


async def test_a_long_path_has_its_socket_elsewhere(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path / ("x" * 120))
    server.start()
    client = client_of(server)
    assert await client.ask("PING") == b"PONG"
    await client.close()
    server.stop()
    assert not Path(urlsplit(server.url).path).parent.exists()


def test_only_its_user_may_speak_to_it(own_valkey: EmbeddedValkey) -> None:
    path = Path(urlsplit(own_valkey.url).path)
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert not [c for c in psutil.Process(own_valkey.child.pid).net_connections("tcp") if c.status == "LISTEN"]


def test_what_a_killed_run_left_is_ended_by_the_next(tmp_path: Path) -> None:
    """The parent is killed in a way that the server outlives, as on systems without a parent-death signal."""
    code = (
        "import pathlib, subprocess, sys\n"
        "from b2b_chat.sandbox import valkey\n"
        "server = valkey.EmbeddedValkey(pathlib.Path(sys.argv[1]))\n"
        "server._folder.mkdir()\n"
        "server._socket_folder.mkdir()\n"
        "command = [valkey._binary(), *server._settings()]\n"
        "print(subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True).pid)\n"
    )
    folder = tmp_path / "valkey"
    left = subprocess.run([sys.executable, "-c", code, folder], check=True, stdout=subprocess.PIPE, text=True)
    pid = int(left.stdout.split()[0])
    server = EmbeddedValkey(folder)
    deadline = time.monotonic() + 20
    while not server._answers():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    server.start()
    try:
        assert server.child.pid != pid
        assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    finally:
        server.stop()


def test_a_setting_that_it_does_not_know_is_reported(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path, settings={"no-such-setting": "1"})
    with pytest.raises(SandboxError, match="no-such-setting"):
        server.start()


async def test_a_script_is_sent_once_to_each_server(own_valkey: EmbeddedValkey) -> None:
    client = client_of(own_valkey)
    script = Script("return {KEYS[1], ARGV[1]}")
    for _ in range(2):
        assert await client.run(script, ["key"], [1]) == [b"key", b"1"]
    assert b"cmdstat_eval:calls=1," in await client.ask("INFO", "commandstats")
    await client.ask("SCRIPT", "FLUSH")
    assert await client.run(script, ["key"], [2]) == [b"key", b"2"]
    await client.close()


async def test_a_frozen_server_is_not_waited_for(own_valkey: EmbeddedValkey) -> None:
    """Also for callers that wait for a connection, and for new connections, which the system still accepts."""
    client = client_of(own_valkey, timeout_seconds=0.3)
    await client.ask("PING")
    own_valkey.child.ask_to_stop(signal.SIGSTOP)
    for _ in range(2):
        async with asyncio.timeout(10):
            outcomes = await asyncio.gather(*[client.ask("PING") for _ in range(50)], return_exceptions=True)
        assert all(isinstance(outcome, ValkeyUnavailable) for outcome in outcomes)
    own_valkey.child.ask_to_stop(signal.SIGCONT)
    assert await asyncio.gather(*[client.ask("PING") for _ in range(50)]) == [b"PONG"] * 50
    await client.close()


async def test_it_is_found_again_when_it_is_back(own_valkey: EmbeddedValkey) -> None:
    client = client_of(own_valkey)
    await asyncio.gather(*[client.ask("PING") for _ in range(8)])
    own_valkey.child.ask_to_stop(signal.SIGKILL)
    own_valkey.stop()
    for _ in range(10):
        with pytest.raises(ValkeyUnavailable):
            await client.ask("PING")
    own_valkey.start()
    assert await asyncio.gather(*[client.ask("PING") for _ in range(50)]) == [b"PONG"] * 50
    await client.close()


async def test_round_trips_and_failures_are_counted(own_valkey: EmbeddedValkey) -> None:
    client, script = client_of(own_valkey), Script("return 1")
    counts = Counts("b2b_chat_valkey_seconds_count", "b2b_chat_valkey_failures_total")
    await client.ask("PING")
    await client.run(script, ())
    async with client.asking() as asked:
        await asked.ping()
    assert counts.risen() == {"b2b_chat_valkey_seconds_count": 3, "b2b_chat_valkey_failures_total": 0}
    own_valkey.stop()
    for _ in range(2):
        with pytest.raises(ValkeyUnavailable):
            await client.run(script, ())
    assert counts.risen() == {"b2b_chat_valkey_seconds_count": 3, "b2b_chat_valkey_failures_total": 2}
    assert count("b2b_chat_valkey_away") == 1
    own_valkey.start()
    await client.check()
    assert count("b2b_chat_valkey_away") == 0
    await client.close()


async def test_a_command_that_was_given_up_leaves_no_answer_for_the_next(own_valkey: EmbeddedValkey) -> None:
    client = client_of(own_valkey)
    for number in range(30):
        leaving = asyncio.create_task(client.ask("ECHO", f"old {number}"))
        await asyncio.sleep(0.0005 * (number % 5))
        leaving.cancel()
        assert await client.ask("ECHO", f"new {number}") == f"new {number}".encode()
        await asyncio.gather(leaving, return_exceptions=True)
    await client.close()


async def test_an_error_of_the_server_is_an_outage_too(own_valkey: EmbeddedValkey) -> None:
    client = client_of(own_valkey)
    await client.ask("SET", "text", "x")
    with pytest.raises(ValkeyUnavailable):
        await client.ask("LPUSH", "text", "x")
    await client.close()


@asynccontextmanager
async def behind_tls(server: EmbeddedValkey, certificate: trustme.LeafCert) -> AsyncIterator[int]:
    """The port of a proxy that speaks TLS for it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_unix_connection(urlsplit(server.url).path)

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                sink.write(data)
            sink.close()

        await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer), return_exceptions=True)

    proxy = await asyncio.start_server(pass_on, "127.0.0.1", 0, ssl=context, family=socket.AF_INET)
    async with proxy:
        yield proxy.sockets[0].getsockname()[1]


async def test_tls_is_checked(own_valkey: EmbeddedValkey, tmp_path: Path) -> None:
    """The right name from the right authority is spoken to; another name or authority is not."""
    authority, ca_file = trustme.CA(), tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    for names, trusted, outcome in (
        (["localhost"], str(ca_file), b"PONG"),
        (["elsewhere.example"], str(ca_file), None),
        (["localhost"], None, None),
    ):
        async with behind_tls(own_valkey, authority.issue_cert(*names)) as port:
            url = Secret(f"valkeys://localhost:{port}/0")
            client = Valkey(url, timeout_seconds=5, max_connections=1, ca_file=trusted)
            if outcome is None:
                with pytest.raises(ValkeyUnavailable):
                    await client.ask("PING")
            else:
                assert await client.ask("PING") == outcome
            await client.close()
