"""The whole software on one machine: starts and stops gateway_api, product_api and the servers they need."""

import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import TracebackType
from typing import Final, Self

import httpx

from b2b_chat.contract.schemas import PING_PATH
from b2b_chat.contract.signing import sign
from b2b_chat.kit.serving import PortBusy, ensure_port_is_free
from b2b_chat.sandbox.data_dir import DataDir
from b2b_chat.sandbox.errors import SandboxError
from b2b_chat.sandbox.interruption import Interrupted, ignore_interruptions
from b2b_chat.sandbox.migration import is_up_to_date, migrate
from b2b_chat.sandbox.plan import DatabaseUrls, Listener, Plan, is_given, make_plan, value_of
from b2b_chat.sandbox.postgres import APP_USER, EmbeddedPostgres
from b2b_chat.sandbox.processes import MARK, Child, FollowedFile, Launcher, end, left_behind, our_command, spawn
from b2b_chat.sandbox.sign_in import DEMO_EMAIL, describe_sign_in, enter_was_pressed, new_sign_in_link
from b2b_chat.sandbox.valkey import EmbeddedValkey

DATABASE: Final = "b2b_chat"

_READY_SECONDS: Final = 60
_STOP_SECONDS: Final = 5
_LOW_CREDITS: Final = Decimal(10)
_WATCH_SECONDS: Final = 0.2
_WAIT_SECONDS: Final = 0.02


@dataclass(frozen=True)
class Addresses:
    """The addresses of a running stack, in the order of `up --json`."""

    product_url: str
    gateway_url: str
    openai_url: str | None
    database_url: str
    api_key: str
    mail_url: str | None
    """Lists the caught mails."""


class Stack:
    """Everything that `demo` and `up` start. Leaving the `with` block stops all of it.

    Args:
        data_dir: The folder to live in.
        environ: The caller's variables, which win over the embedded defaults.
        tell: Shows a person one line of progress.
    """

    def __init__(self, data_dir: DataDir, environ: Mapping[str, str], tell: Callable[[str], None]) -> None:
        self._data_dir = data_dir
        self._environ = environ
        self._tell = tell
        self._mark = {MARK: str(data_dir.path)}
        self._launcher = Launcher()
        self._postgres: EmbeddedPostgres | None = None
        self._valkey: EmbeddedValkey | None = None
        self._apps: list[Child] = []
        self._caught_mail: FollowedFile | None = None
        self._product_url = ""
        self._product_environ: Mapping[str, str] = {}
        self._mail_url: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> Addresses:
        """Start all parts, the slow ones at the same time, and return once each answers.

        Raises:
            SandboxError: Something is in the way; what was started is stopped when the `with` block ends.
        """
        self._data_dir.open()
        self._end_left_behind()
        postgres = EmbeddedPostgres(self._data_dir.postgres, log=self._data_dir.log("postgres"))
        valkey = EmbeddedValkey(self._data_dir.valkey, log=self._data_dir.log("valkey"))
        plan = make_plan(
            self._environ,
            secrets=self._data_dir.secrets(),
            embedded_database=DatabaseUrls(owner=postgres.url(DATABASE), app=postgres.url(DATABASE, APP_USER)),
            embedded_valkey_url=valkey.url,
        )
        _require_free_ports(plan)
        if plan.has_embedded_valkey:
            self._start_valkey(valkey)
        # The gateway and the simulator need a second for their imports: they run while the database starts.
        self._start_all_but_product(plan)
        if not is_given(self._environ, "DATABASE_URL"):
            self._start_postgres(postgres)
        self._migrate(plan)
        self._start_app("product", plan.product, plan.product_environ)
        api_key = self._data_dir.api_key() or self._seed(plan, None)
        self._wait_until_healthy(plan)
        if not _can_chat(plan.product.url, api_key):
            api_key = self._seed(plan, api_key)
        self._product_url, self._mail_url = plan.product.url, plan.mail_url
        self._product_environ = plan.product_environ
        return Addresses(plan.product.url, plan.gateway_url, plan.openai_url, plan.database_url, api_key, plan.mail_url)

    def poor_api_key(self) -> str:
        """The API key of a new company without credits."""
        from b2b_chat.sandbox import world  # noqa: PLC0415 - as in `_seed`

        return world.make_poor_company(self._product_environ)

    def sign_in_url(self) -> str | None:
        """Return a new address that signs the demo person in, or None if there is no mail to catch now."""
        if self._caught_mail is None or self._mail_url is None:
            return None
        link = new_sign_in_link(self._product_url, self._mail_url, DEMO_EMAIL)
        self._caught_mail.read_new()  # the caller shows it
        return link

    def watch(self) -> None:
        """Show caught mails, and return when we should end, or the `uv run` that started us was killed.

        Enter at the terminal shows a new address that signs the demo person in.

        Raises:
            SandboxError: A process that should run has ended; the error shows the end of its log.
        """
        try:
            while not self._launcher.is_gone():
                self._require_running()
                self._show_caught_mail()
                if enter_was_pressed():
                    self._tell(describe_sign_in(self.sign_in_url()))
                time.sleep(_WATCH_SECONDS)
        except Interrupted:
            ignore_interruptions()

    def _show_caught_mail(self) -> None:
        if self._caught_mail and (mails := self._caught_mail.read_new()):
            self._tell(mails.rstrip("\n"))

    def stop(self) -> None:
        """Stop everything that was started, and unlock the folder. Nothing interrupts it."""
        ignore_interruptions()
        for app in self._apps:
            app.ask_to_stop()
        for app in self._apps:
            app.stop(kill_after_seconds=_STOP_SECONDS)
        if self._valkey is not None:
            self._valkey.stop()
        if self._postgres is not None:
            self._postgres.stop()
        if self._data_dir.is_open:
            # An interruption may come while a process starts.
            end(left_behind(str(self._data_dir.path)), by=signal.SIGKILL, kill_after_seconds=_STOP_SECONDS)
        self._data_dir.close()

    def _end_left_behind(self) -> None:
        """End the processes of a killed run on this folder; the start of PostgreSQL ends an earlier one itself."""
        leftovers = left_behind(str(self._data_dir.path))
        if leftovers:
            self._tell("Ending the processes of an earlier run")
            end(leftovers, by=signal.SIGTERM, kill_after_seconds=_STOP_SECONDS)

    def _start_valkey(self, valkey: EmbeddedValkey) -> None:
        self._tell(f"Starting Valkey in {self._data_dir.valkey}")
        self._valkey = valkey
        valkey.start(mark=self._mark)

    def _start_postgres(self, postgres: EmbeddedPostgres) -> None:
        self._tell(f"Starting PostgreSQL in {self._data_dir.postgres}")
        self._postgres = postgres
        postgres.start(mark=self._mark)
        postgres.create_database(DATABASE)
        postgres.create_app_user()

    def _start_all_but_product(self, plan: Plan) -> None:
        if plan.simulator:
            self._start_app("openai-simulator", plan.simulator, plan.simulator_environ)
        if plan.gateway:
            self._start_app("gateway", plan.gateway, plan.gateway_environ)
        if plan.mail_catcher:
            self._start_app("mail-catcher", plan.mail_catcher, plan.mail_catcher_environ)
            self._caught_mail = FollowedFile(self._data_dir.log("mail-catcher"))

    def _start_app(self, command: str, listener: Listener, environ: Mapping[str, str]) -> None:
        self._tell(f"Starting {command} on {listener.url}")
        log = self._data_dir.log(command)
        self._apps.append(spawn(command, our_command(command), environ={**environ, **self._mark}, log=log))

    def _migrate(self, plan: Plan) -> None:
        stamp = self._data_dir.path / "migrated"
        if self._postgres is not None and is_up_to_date(plan.database_url, stamp):
            return
        self._tell("Applying the database migrations")
        environ = {**plan.migration_environ, **self._mark}
        migrate(plan.database_url, stamp, environ=environ, log=self._data_dir.log("migrate"))

    def _wait_until_healthy(self, plan: Plan) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        for listener in plan.listeners:
            while not _answers(listener):
                self._require_running()
                if time.monotonic() > deadline:
                    logs = self._data_dir.log("").parent
                    raise SandboxError(
                        f"{listener.url} does not answer after {_READY_SECONDS} s. See the logs in {logs}."
                    )
        while plan.has_embedded_valkey and plan.gateway and not _lets_in(plan):
            self._require_running()
            time.sleep(_WATCH_SECONDS)

    def _require_running(self) -> None:
        for app in self._apps:
            app.require_running()
        if self._postgres is not None:
            self._postgres.child.require_running()
        if self._valkey is not None:
            self._valkey.child.require_running()

    def _seed(self, plan: Plan, kept_api_key: str | None) -> str:
        """Provide a company with credits and its key, and keep the key for the next runs."""
        from b2b_chat.sandbox import world  # noqa: PLC0415 - SQLAlchemy takes a second; most runs have no need of it

        self._tell(f"Giving {world.GRANTED_CREDITS} credits to the company of {DEMO_EMAIL}")
        api_key = world.seed(plan.product_environ, kept_api_key)
        self._data_dir.keep_api_key(api_key)
        return api_key


def _require_free_ports(plan: Plan) -> None:
    """Two Granian servers share a port silently, so this is checked before anything starts."""
    for listener in plan.listeners:
        try:
            ensure_port_is_free(listener.host, listener.port)
        except PortBusy as error:
            raise SandboxError(str(error)) from error


def _answers(listener: Listener) -> bool:
    """Return whether it serves HTTP with its app loaded."""
    try:
        answer = httpx.get(f"{listener.url}/health", timeout=1, trust_env=False)
    except httpx.TransportError:
        time.sleep(_WAIT_SECONDS)
        return False
    return answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR


def _lets_in(plan: Plan) -> bool:
    """Return whether the gateway admits signed calls; with a new Valkey it begins to after some seconds."""
    secret = value_of(plan.product_environ, "GATEWAY_SHARED_SECRET")
    headers = sign(secret.encode(), "GET", PING_PATH, b"", unix_seconds=int(time.time()))
    answer = httpx.get(f"{plan.gateway_url}{PING_PATH}", headers=headers, trust_env=False)
    return answer.status_code != httpx.codes.SERVICE_UNAVAILABLE


def _can_chat(product_url: str, api_key: str) -> bool:
    """Return whether product_api accepts this key, and its company has credits for a few chats."""
    headers = {"Authorization": f"Bearer {api_key}"}
    answer = httpx.get(f"{product_url}/v1/balance", headers=headers, trust_env=False)
    return answer.status_code == httpx.codes.OK and Decimal(answer.json()["available_credits"]) >= _LOW_CREDITS
