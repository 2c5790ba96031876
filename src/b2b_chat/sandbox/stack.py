"""The whole software on one machine: PostgreSQL, simulated OpenAI, gateway_api and product_api, started and stopped."""

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Final

import httpx

from b2b_chat.kit.serving import PortBusy, ensure_port_is_free
from b2b_chat.sandbox.data_dir import DataDir
from b2b_chat.sandbox.errors import SandboxError
from b2b_chat.sandbox.interruption import ignore_interruptions
from b2b_chat.sandbox.plan import Listener, Plan, is_given, make_plan
from b2b_chat.sandbox.postgres import EmbeddedPostgres
from b2b_chat.sandbox.processes import MARK, Child, end, left_behind, log_tail, spawn
from b2b_chat.sandbox.world import DemoWorld, find_world, make_world

DATABASE: Final = "b2b_chat"

_READY_SECONDS: Final = 60
_STOP_SECONDS: Final = 5
_WATCH_SECONDS: Final = 0.2


@dataclass(frozen=True)
class Addresses:
    """Where everything is once it runs. The order is that of `up --json`."""

    product_url: str
    gateway_url: str
    openai_url: str | None
    database_url: str
    api_key: str


class Stack:
    """Everything that `demo` and `up` start. Leaving the `with` block stops all of it.

    Args:
        data_dir: The folder to live in.
        environ: The caller's variables, which win over the embedded defaults.
        tell: Shows one line of progress to a person.
    """

    def __init__(self, data_dir: DataDir, environ: Mapping[str, str], tell: Callable[[str], None]) -> None:
        self._data_dir = data_dir
        self._environ = environ
        self._tell = tell
        self._mark = {MARK: str(data_dir.path)}
        self._postgres: EmbeddedPostgres | None = None
        self._apps: list[Child] = []

    def __enter__(self) -> "Stack":
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self.stop()

    def start(self) -> Addresses:
        """Start all parts, the slow ones at the same time, and return once every one answers.

        Raises:
            SandboxError: Something is in the way; what was started is stopped when the `with` block ends.
        """
        self._data_dir.open()
        self._end_left_behind()
        postgres = EmbeddedPostgres(self._data_dir.postgres, log=self._data_dir.log("postgres"))
        plan = make_plan(self._environ, secrets=self._data_dir.secrets(), embedded_database_url=postgres.url(DATABASE))
        _require_free_ports(plan)
        # The gateway and the simulator take a second to import what they need: they do so while the database starts.
        if plan.simulator:
            self._start_app("openai-simulator", plan.simulator, plan.simulator_environ)
        if plan.gateway:
            self._start_app("gateway", plan.gateway, plan.gateway_environ)
        if not is_given(self._environ, "DATABASE_URL"):
            self._tell(f"Starting PostgreSQL in {self._data_dir.postgres}")
            self._postgres = postgres
            postgres.start(mark=self._mark)
            postgres.create_database(DATABASE)
        self._migrate(plan)
        self._start_app("product", plan.product, plan.product_environ)
        self._wait_until_healthy(plan)
        api_key = self._api_key(plan)
        return Addresses(plan.product.url, plan.gateway_url, plan.openai_url, plan.database_url, api_key)

    def watch(self) -> None:
        """Return never, unless something that should run has ended.

        Raises:
            SandboxError: A process ended; the error shows the end of its log.
        """
        while True:
            self._require_running()
            time.sleep(_WATCH_SECONDS)

    def stop(self) -> None:
        """Stop all that was started and let go of the folder. Nothing interrupts it."""
        ignore_interruptions()
        for app in self._apps:
            app.ask_to_stop()
        for app in self._apps:
            app.stop(kill_after_seconds=_STOP_SECONDS)
        if self._postgres is not None:
            self._postgres.stop()
        if self._data_dir.is_open:
            # A process that was being started when we were interrupted.
            end(left_behind(str(self._data_dir.path)), by=signal.SIGKILL, kill_after_seconds=_STOP_SECONDS)
        self._data_dir.close()
