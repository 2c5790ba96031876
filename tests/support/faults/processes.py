"""The processes of the fault suite: each can be killed, paused and started again alone."""

import asyncio
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import aiohttp
import psutil

from b2b_chat.sandbox.postgres import EmbeddedPostgres
from b2b_chat.sandbox.processes import Child, log_tail, our_command, spawn

DATABASE: Final = "faults"

_READY_SECONDS: Final = 60
_KILL_AFTER_SECONDS: Final = 30


class Part:
    """One process of ours, which is started, killed and started again with the same port and settings."""

    def __init__(self, command: str, environ: Mapping[str, str], url: str, logs: Path) -> None:
        self.command = command
        self.environ = dict(environ)
        self.url = url
        self._logs = logs
        self._starts = 0
        self._child: Child | None = None
        self._is_ending = False

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rpartition(":")[2])

    @property
    def is_ending(self) -> bool:
        """Whether it was asked to end and has not yet."""
        return self._is_ending and self.is_running

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._child is not None and self._child.is_running()

    @property
    def log(self) -> Path:
        """What the last start wrote."""
        return self._logs / f"{self.command}-{self._starts}.log"

    @property
    def processes(self) -> list[psutil.Process]:
        """It and its workers."""
        assert self._child is not None
        main = psutil.Process(self._child.pid)
        return [main, *main.children(recursive=True)]

    def launch(self, **overrides: str) -> None:
        """Start it, with other settings for this time where some are given, and do not wait."""
        self.kill()
        self._starts += 1
        self._is_ending = False
        environ = {**self.environ, **overrides}
        self._child = spawn(self.command, our_command(self.command), environ=environ, log=self.log)

    async def wait_until_healthy(self) -> None:
        """Return once it answers."""
        async with aiohttp.ClientSession() as http:
            deadline = time.monotonic() + _READY_SECONDS
            while not await _is_healthy(http, self.url):
                assert self.is_running, f"{self.command} ended:\n{log_tail(self.log)}"
                assert time.monotonic() < deadline, f"{self.command} does not answer:\n{log_tail(self.log)}"
                await asyncio.sleep(0.05)

    async def start(self, **overrides: str) -> None:
        """Start it and return once it answers."""
        self.launch(**overrides)
        await self.wait_until_healthy()

    def kill(self) -> None:
        """SIGKILL it and its workers, as a machine does that fails."""
        if self._child is not None:
            self._child.stop(kill_after_seconds=0)

    async def terminate(self) -> None:
        """SIGTERM it, and return once it has ended by itself."""
        self.ask_to_end()
        await self.ended()

    def ask_to_end(self) -> None:
        """SIGTERM it."""
        assert self._child is not None
        self._is_ending = True
        self._child.ask_to_stop(signal.SIGTERM)

    async def ended(self) -> None:
        """Return once it has ended; one that does not is a failure."""
        deadline = time.monotonic() + _KILL_AFTER_SECONDS
        while self.is_running:
            assert time.monotonic() < deadline, f"{self.command} did not end:\n{log_tail(self.log)}"
            await asyncio.sleep(0.02)
        self.kill()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, such as SIGSTOP, to it and its workers."""
        for process in self.processes:
            process.send_signal(number)


class Postgres:
    """The database server, which can be stopped at once, held still, and started again."""

    def __init__(self, folder: Path) -> None:
        self._server = EmbeddedPostgres(folder, durable=False)
        self.is_up = False

    @property
    def url(self) -> str:
        """The address past the proxy."""
        return self._server.url(DATABASE)

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return Path(self.url.partition("host=")[2].replace("%2F", "/")) / ".s.PGSQL.5432"

    @property
    def is_alive(self) -> bool:
        """Whether it still runs; a full disk may have ended it."""
        return self.is_up and self._server.child.is_running()

    def start(self) -> None:
        """Start it, with an empty database where one is missing."""
        if not self.is_up:
            self._server.start()
            self._server.create_database(DATABASE)
            self._server.create_app_user()
            self.is_up = True

    def stop_immediately(self) -> None:
        """As `pg_ctl stop -m immediate`: every backend ends on the spot, and the next start recovers."""
        self._server.child.ask_to_stop(signal.SIGQUIT)
        self._server.stop()
        self.is_up = False

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the server and all its backends."""
        main = psutil.Process(self._server.child.pid)
        for process in [main, *main.children(recursive=True)]:
            process.send_signal(number)

    def stop(self) -> None:
        """Stop it in order."""
        self._server.stop()
        self.is_up = False


async def _is_healthy(http: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with http.get(f"{url}/health", timeout=aiohttp.ClientTimeout(2)) as response:
            return response.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False
