"""Both apps as processes at DEBUG, with everything that they write, sorted by destination."""

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
from valkey.asyncio import Valkey

from b2b_chat.product.database_roles import DatabaseOwner
from b2b_chat.product.schema import upgrade_to_head_async
from b2b_chat.sandbox.openai_simulator import SimulatorSettings
from b2b_chat.sandbox.postgres import APP_USER, EmbeddedPostgres, run_sql
from b2b_chat.sandbox.valkey import EmbeddedValkey
from support.http.serving import free_port
from support.network.nginx import Nginx, SiteName
from support.network.protocols import HttpRequest, http_requests
from support.network.proxy import Proxy, listening
from support.openai.simulated import simulated_openai
from support.processes.commands import COMMAND, clean_environ
from support.processes.programs import TOOL_PATH
from support.processes.waiting import until
from support.product.app import until_healthy
from support.product.mailbox import Mailbox, accepts
from support.telemetry.collector import Collector

DATABASE: Final = "watched"
SMTP_USER: Final = "mailer"
_VALKEY_USER: Final = "watched"
_SKEW_SECONDS: Final = 5
"""So long a gateway whose Valkey is new lets no call in."""
_HOST: Final = "127.0.0.1"
_READY_SECONDS: Final = 120
"""Both start while the database does, and beside other tests."""


class Secrets:
    """What an installation keeps in its environment."""

    def __init__(self, mark: str) -> None:
        self.database_password = f"{mark}-dsn-4Kd8"
        self.owner_password = f"{mark}-owner-5Bn3"
        self.smtp_password = f"{mark}-smtp-9Qw2"
        self.valkey_password = f"{mark}-valkey-1Jf6"
        self.openai_key = f"sk-{mark}-openai-7Hs3"
        self.shared = f"{mark}-hmac-secret-2Lm6Zr8Lq2Vn5Xc9"
        self.session = f"{mark}-session-secret-Zr8Lq2Vn5Xc9"
        self.auth_token = f"{mark}-auth-secret-Bw4Ty7Ku3Mp6"
        self.invite_token = f"{mark}-invite-secret-Hb5nT8eX3yUa"


class WatchedProcess:
    """A process of ours, its stdout and stderr in a file each."""

    def __init__(self, command: str, environ: Mapping[str, str], folder: Path) -> None:
        self.files = {name: folder / f"{command}.{name}" for name in ("stdout", "stderr")}
        self._command = command
        self._environ = dict(environ)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it."""
        with self.files["stdout"].open("ab") as stdout, self.files["stderr"].open("ab") as stderr:
            self._process = subprocess.Popen([*COMMAND, self._command], env=self._environ, stdout=stdout, stderr=stderr)

    async def until_healthy(self, url: str) -> None:
        """Return once it answers; start it again where it has ended, since another process had taken its port."""
        waiting = asyncio.create_task(until_healthy(url, timeout_seconds=_READY_SECONDS))
        while not waiting.done():
            if self._process is not None and self._process.poll() is not None:
                self.start()
            await asyncio.wait({waiting}, timeout=0.5)
        await waiting

    def write_on_stderr(self, text: bytes) -> None:
        """As if the process itself did: into what its descriptor leads to."""
        assert self._process is not None
        with Path(f"/proc/{self._process.pid}/fd/2").open("ab") as stderr:
            stderr.write(text)

    async def stop(self) -> None:
        """SIGTERM it, and wait until it has ended."""
        if self._process is not None:
            self._process.terminate()
            await asyncio.to_thread(self._process.wait, 60)
            self._process = None


class WatchedValkey:
    """A Valkey as talkative as it can be, which its app has a password for."""

    def __init__(self, folder: Path, password: str) -> None:
        self.log = folder / "valkey.log"
        settings = {"loglevel": "debug", "enable-debug-command": "local"}
        self._server = EmbeddedValkey(folder, log=self.log, settings=settings)
        self._password = password

    @property
    def url(self) -> str:
        """Its address with the password."""
        return self._server.url.replace("unix://", f"unix://{_VALKEY_USER}:{self._password}@", 1)

    async def start(self) -> None:
        """Start it, empty, and make its app known to it."""
        await asyncio.to_thread(self._server.start)
        await self.tell("ACL", "SETUSER", _VALKEY_USER, "on", f">{self._password}", "~*", "&*", "+@all")

    async def stop(self) -> None:
        """Stop it; what it held is lost."""
        await asyncio.to_thread(self._server.stop)

    async def tell(self, *command: str) -> None:
        """Send a command as its owner does."""
        client: Any = Valkey(unix_socket_path=urlsplit(self._server.url).path)  # the library types no commands
        async with client:
            await client.execute_command(*command)

    async def contents(self) -> list[bytes]:
        """Everything that it holds: each key with its value, of whatever type."""
        client: Any = Valkey(unix_socket_path=urlsplit(self._server.url).path)
        async with client:
            return [key + b" " + repr(await _value(client, key)).encode() async for key in client.scan_iter()]

    async def write_in_log(self, text: str) -> None:
        """Have the server log a text."""
        await self.tell("DEBUG", "LOG", text)


async def _value(client: Any, key: bytes) -> object:
    """What a key of a Valkey holds."""
    match await client.type(key):
        case b"string":
            return await client.get(key)
        case b"hash":
            return await client.hgetall(key)
        case b"list":
            return await client.lrange(key, 0, -1)
        case b"set":
            return await client.smembers(key)
        case b"zset":
            return await client.zrange(key, 0, -1)
        case _:
            return await client.xrange(key)


class WatchedStack:
    """PostgreSQL, a Valkey for each app, OpenAI, a mail server and a collector around the two apps."""

    def __init__(self, folder: Path, secrets: Secrets, *, workers: int = 1) -> None:
        self.secrets = secrets
        self._workers = workers
        self.collector = Collector()
        self.mailbox = Mailbox()
        self.signed_calls: list[HttpRequest] = []
        self.upstream_calls: list[HttpRequest] = []
        self.nginx: Nginx | None = None
        """Before both apps, where it is installed."""
        self.postgres_log = folder / "postgres.log"
        self.postgres = EmbeddedPostgres(folder / "pg", log=self.postgres_log, durable=False)
        self.valkeys = {
            app: WatchedValkey(folder / f"{app}-valkey", secrets.valkey_password) for app in ("product", "gateway")
        }
        self.folder = folder
        ports = [free_port() for _ in range(6)]
        self._product_port, self._gateway_port, self._border_port, self._upstream_port, *metrics = ports
        self.metrics_ports = dict(zip(("product", "gateway"), metrics, strict=True))
        self.url = f"http://{_HOST}:{self._product_port}"
        self.gateway_url = f"http://{_HOST}:{self._gateway_port}"
        self._border = Proxy((_HOST, self._gateway_port), watch=http_requests(self.signed_calls.append))

    @property
    def database_url(self) -> str:
        """With a password, which the embedded server takes and does not need."""
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        """As `database_url`, of another database of the server."""
        place = self.postgres.url(database, APP_USER)
        return place.replace(f"{APP_USER}@", f"{APP_USER}:{self.secrets.database_password}@", 1)

    def owner_url_of(self, database: str) -> str:
        """The address of a database as the owner of its tables."""
        return self.postgres.url(database).replace("postgres@", f"postgres:{self.secrets.owner_password}@", 1)

    @property
    def product_environ(self) -> dict[str, str]:
        """The settings of product_api."""
        secrets = self.secrets
        generous = ("CHAT_RPM_PER_COMPANY", "CHAT_RPM_PER_USER", "CHAT_RPM_PER_IP", "LOGIN_RPM_PER_IP")
        return {
            **self._shared_environ(),
            **dict.fromkeys(generous, "1000000"),
            "VALKEY_URL": self.valkeys["product"].url,
            "PRODUCT_PORT": str(self._product_port),
            "PRODUCT_METRICS_PORT": str(self.metrics_ports["product"]),
            "DATABASE_URL": self.database_url,
            "DATABASE_ACQUIRE_TIMEOUT_SECONDS": "1",
            "GATEWAY_URL": f"http://{_HOST}:{self._border_port}",
            "SESSION_SECRET": secrets.session,
            "AUTH_TOKEN_SECRET": secrets.auth_token,
            "INVITE_TOKEN_SECRET": secrets.invite_token,
            "PUBLIC_URL": self.url,
            "EMAIL_FROM": "chat@example.test",
            "SMTP_HOST": _HOST,
            "SMTP_PORT": str(self.mailbox.port),
            "SMTP_USER": SMTP_USER,
            "SMTP_PASSWORD": secrets.smtp_password,
            "SMTP_USE_TLS": "false",
            "MAIL_POLL_SECONDS": "0.1",
        }

    def _shared_environ(self) -> dict[str, str]:
        return {
            **clean_environ(self.folder),
            "APP_ENV": "test",
            "LOG_LEVEL": "DEBUG",
            "DEBUG": "true",
            "GATEWAY_SHARED_SECRET": self.secrets.shared,
            "SHUTDOWN_GRACE_SECONDS": "1",
            "WORKERS": str(self._workers),
            "READINESS_CACHE_SECONDS": "0",
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.collector.url,
            "OTEL_BSP_SCHEDULE_DELAY": "200",
        }

    @asynccontextmanager
    async def running(self) -> AsyncIterator["WatchedStack"]:
        """Start everything; stop it at the end."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.collector.listening())
            mail_options = {"authenticator": accepts(SMTP_USER, self.secrets.smtp_password), "auth_require_tls": False}
            await stack.enter_async_context(self.mailbox.listening(**mail_options))
            openai = await stack.enter_async_context(simulated_openai(SimulatorSettings(answer_tokens=5)))
            way_out = Proxy(
                (_HOST, int(openai.url.rpartition(":")[2])), watch=http_requests(self.upstream_calls.append)
            )
            await stack.enter_async_context(listening(way_out, (_HOST, self._upstream_port)))
            await stack.enter_async_context(listening(self._border, (_HOST, self._border_port)))
            gateway_environ = {
                **self._shared_environ(),
                "VALKEY_URL": self.valkeys["gateway"].url,
                "GATEWAY_CLOCK_SKEW_SECONDS": str(_SKEW_SECONDS),
                "GATEWAY_PORT": str(self._gateway_port),
                "GATEWAY_METRICS_PORT": str(self.metrics_ports["gateway"]),
                "OPENAI_API_KEY": self.secrets.openai_key,
                "OPENAI_BASE_URL": f"http://{_HOST}:{self._upstream_port}/v1",
                "UPSTREAM_RETRY_BASE_SECONDS": "0",
            }
            self.gateway = WatchedProcess("gateway", gateway_environ, self.folder)
            self.product = WatchedProcess("product", self.product_environ, self.folder)
            stack.push_async_callback(asyncio.to_thread, self.postgres.stop)
            for valkey in self.valkeys.values():
                stack.push_async_callback(valkey.stop)
                await valkey.start()
            stack.push_async_callback(self.gateway.stop)
            stack.push_async_callback(self.product.stop)
            self.gateway.start()
            self.postgres.start()
            self.postgres.create_database(DATABASE)
            self.postgres.create_app_user()
            await upgrade_to_head_async(DatabaseOwner(self.owner_url_of(DATABASE), APP_USER))
            self.product.start()
            await self.gateway.until_healthy(self.gateway_url)
            await self.product.until_healthy(self.url)
            await until(self.is_ready, timeout_seconds=_READY_SECONDS)
            if shutil.which("nginx", path=TOOL_PATH):
                home = self.folder / "nginx"
                home.mkdir()
                sites: dict[SiteName, int] = {"product_api": self._product_port, "gateway_api": self._gateway_port}
                self.nginx = Nginx(home, sites)
                stack.enter_context(self.nginx.running())
            yield self

    def client(self, site: SiteName) -> httpx.AsyncClient:
        """A client of an app, through nginx where there is one."""
        if self.nginx is not None:
            return self.nginx.client(site)
        return httpx.AsyncClient(base_url=self.url if site == "product_api" else self.gateway_url, timeout=30)

    async def is_ready(self) -> bool:
        """Whether product_api has all that it needs, and so the gateway too."""
        try:
            async with httpx.AsyncClient() as http:
                return (await http.get(f"{self.url}/ready")).is_success
        except httpx.TransportError:
            return False

    async def restart(self) -> None:
        """Stop both apps as a deployment does, and start them again on the same files."""
        for process in (self.product, self.gateway):
            await process.stop()
        for process in (self.gateway, self.product):
            process.start()
        await until(self.is_ready, timeout_seconds=_READY_SECONDS)

    async def metrics(self) -> dict[str, str]:
        """What each app reports of itself, by the app's name."""
        async with httpx.AsyncClient() as http:
            return {
                app: (await http.get(f"http://{_HOST}:{port}/metrics")).text for app, port in self.metrics_ports.items()
            }

    def sql(self, statement: str) -> str:
        """Run a statement as the database's owner."""
        return run_sql(self.postgres.url(DATABASE), statement)
