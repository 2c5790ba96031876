"""What a sandbox starts, and the environment of each process: the caller's variables win over the embedded defaults."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from b2b_chat.sandbox.errors import SandboxError
from b2b_chat.sandbox.ports import free_ports

LOCAL_HOST: Final = "127.0.0.1"
MAILS_PATH: Final = "/mails"
_DEFAULT_PORTS: Final = {
    "PRODUCT_PORT": 8000,
    "GATEWAY_PORT": 8001,
    "OPENAI_SIMULATOR_PORT": 8002,
    "MAIL_CATCHER_PORT": 8003,
    "SMTP_PORT": 0,
}
_REAL_OPENAI_URL: Final = "https://api.openai.com/v1"
_MAX_PORT: Final = 65535

_NO_LIMITS: Final = {
    **dict.fromkeys(("CHAT_RPM_PER_COMPANY", "CHAT_RPM_PER_USER", "CHAT_RPM_PER_IP"), "1000000"),
    "CHAT_OPEN_ANSWERS_PER_USER": "10000",
    "CHAT_USER_HOLD_PERCENT": "100",
}
"""One key for everything, or a load generator, would soon reach limits that are meant for people."""
_CAUGHT_MAIL: Final = {
    "SMTP_HOST": LOCAL_HOST,
    "SMTP_USE_TLS": "false",
    "EMAIL_FROM": "b2b-chat <chat@example.test>",
    "MAIL_POLL_SECONDS": "0.2",
}

_NO_PROXY: Final = {"NO_PROXY": LOCAL_HOST, "no_proxy": LOCAL_HOST}
"""A proxy for the outside world cannot reach the simulator."""

_SOON_LET_IN: Final = {"GATEWAY_CLOCK_SKEW_SECONDS": "2"}
"""A gateway refuses calls for about this long after its Valkey starts, and one machine has one clock."""

_ONLY_PRODUCT: Final = {"DATABASE_URL", "SESSION_SECRET", "AUTH_TOKEN_SECRET", "INVITE_TOKEN_SECRET"}
_ONLY_MIGRATIONS: Final = {"MIGRATIONS_DATABASE_URL"}
_ONLY_GATEWAY: Final = {"OPENAI_API_KEY"}
_ONLY_APPS: Final = {"GATEWAY_SHARED_SECRET", "VALKEY_URL"}
_NONE_OF_TOYS: Final = _ONLY_PRODUCT | _ONLY_MIGRATIONS | _ONLY_GATEWAY | _ONLY_APPS


class DatabaseUrls(NamedTuple):
    """The addresses of one database."""

    owner: str
    app: str


@dataclass(frozen=True)
class Listener:
    """The address on which one of our processes listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """Its address for a client on this machine."""
        host = {"0.0.0.0": LOCAL_HOST, "::": "::1"}.get(self.host, self.host)  # noqa: S104 - compared, not bound
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


@dataclass(frozen=True)
class Plan:
    """What to start, and with which variables. A listener that is None is not ours to start."""

    product: Listener
    gateway: Listener | None
    simulator: Listener | None
    mail_catcher: Listener | None
    has_embedded_valkey: bool
    gateway_url: str
    openai_url: str | None
    """None behind a gateway of the caller's own, which alone knows it."""
    database_url: str
    migration_environ: Mapping[str, str]
    product_environ: Mapping[str, str]
    gateway_environ: Mapping[str, str]
    simulator_environ: Mapping[str, str]
    mail_catcher_environ: Mapping[str, str]

    @property
    def mail_url(self) -> str | None:
        """The list of caught mails."""
        return self.mail_catcher.url + MAILS_PATH if self.mail_catcher else None

    @property
    def listeners(self) -> list[Listener]:
        """Everything that will listen."""
        return [listener for listener in (self.simulator, self.gateway, self.mail_catcher, self.product) if listener]


def make_plan(
    environ: Mapping[str, str], *, secrets: Mapping[str, str], embedded_database: DatabaseUrls, embedded_valkey_url: str
) -> Plan:
    """Decide what to start from the caller's environment.

    DATABASE_URL replaces the embedded PostgreSQL, OPENAI_API_KEY or OPENAI_BASE_URL the simulated OpenAI, GATEWAY_URL
    the gateway, SMTP_HOST the mail catcher, and VALKEY_URL the embedded Valkey, which WORKERS of more than 1 need.
    `secrets` supply those not given. A port of 0 means any free one.

    Raises:
        SandboxError: The variables contradict each other.
    """
    hosts = {name: environ.get(name) or LOCAL_HOST for name in ("PRODUCT_HOST", "GATEWAY_HOST")}
    ports = _ports(environ)
    listeners = _listeners(environ, hosts, ports)
    has_embedded_valkey = environ.get("WORKERS", "").strip() not in {"", "1"} and not is_given(environ, "VALKEY_URL")
    addresses = _addresses(environ, listeners)
    defaults = {
        **secrets,
        **addresses,
        "DATABASE_URL": embedded_database.app,
        "OPENAI_API_KEY": "sk-not-needed-by-this-server",
        **_NO_LIMITS,
        **(_CAUGHT_MAIL if listeners.mail_catcher else {}),
        **({"VALKEY_URL": embedded_valkey_url, **_SOON_LET_IN} if has_embedded_valkey else {}),
    }
    own_ports = {name: str(port) for name, port in ports.items() if listeners.mail_catcher or name != "SMTP_PORT"}
    fixed = own_ports | hosts | (_NO_PROXY if listeners.simulator else {})
    filled = _filled(environ, fixed, defaults, embedded_database.owner)
    return Plan(
        **listeners._asdict(),
        has_embedded_valkey=has_embedded_valkey,
        gateway_url=addresses["GATEWAY_URL"],
        openai_url=addresses["OPENAI_BASE_URL"] if listeners.gateway else None,
        database_url=value_of(filled, "DATABASE_URL"),
        migration_environ=_without(filled, _ONLY_GATEWAY),
        product_environ=_without(filled, _ONLY_GATEWAY | _ONLY_MIGRATIONS),
        gateway_environ=_without(filled, _ONLY_PRODUCT | _ONLY_MIGRATIONS),
        mail_catcher_environ=_without(filled, _NONE_OF_TOYS),
        simulator_environ=_without(filled, _NONE_OF_TOYS),
    )


def is_given(environ: Mapping[str, str], name: str) -> bool:
    """Return whether a variable is set, itself or with a file; an empty one is not."""
    return bool(environ.get(name) or environ.get(f"{name}_FILE"))


class _Listeners(NamedTuple):
    product: Listener
    gateway: Listener | None
    simulator: Listener | None
    mail_catcher: Listener | None


def _listeners(environ: Mapping[str, str], hosts: Mapping[str, str], ports: Mapping[str, int]) -> _Listeners:
    """Return where everything that is ours to start will listen."""
    gateway = None if is_given(environ, "GATEWAY_URL") else Listener(hosts["GATEWAY_HOST"], ports["GATEWAY_PORT"])
    if gateway is None and not is_given(environ, "GATEWAY_SHARED_SECRET"):
        raise SandboxError("GATEWAY_URL is set, so GATEWAY_SHARED_SECRET must be set too: the one that gateway knows.")
    has_openai = is_given(environ, "OPENAI_API_KEY") or is_given(environ, "OPENAI_BASE_URL")
    return _Listeners(
        product=Listener(hosts["PRODUCT_HOST"], ports["PRODUCT_PORT"]),
        gateway=gateway,
        simulator=None if has_openai or gateway is None else Listener(LOCAL_HOST, ports["OPENAI_SIMULATOR_PORT"]),
        mail_catcher=None if is_given(environ, "SMTP_HOST") else Listener(LOCAL_HOST, ports["MAIL_CATCHER_PORT"]),
    )


def _addresses(environ: Mapping[str, str], listeners: _Listeners) -> dict[str, str]:
    """Return the variables that say where each part is reached."""
    simulator, gateway = listeners.simulator, listeners.gateway
    return {
        "GATEWAY_URL": gateway.url if gateway else environ["GATEWAY_URL"],
        "OPENAI_BASE_URL": f"{simulator.url}/v1" if simulator else environ.get("OPENAI_BASE_URL") or _REAL_OPENAI_URL,
        "PUBLIC_URL": listeners.product.url,
    }


def _filled(
    environ: Mapping[str, str], fixed: Mapping[str, str], defaults: Mapping[str, str], embedded_owner_url: str
) -> dict[str, str]:
    """Return the caller's variables, the fixed ones in their place, and defaults for those not given."""
    keeps_pg = is_given(environ, "DATABASE_URL")
    # Variables such as PGPORT would lead asyncpg away from the embedded PostgreSQL.
    filled = {name: value for name, value in environ.items() if keeps_pg or not name.startswith("PG")}
    filled |= fixed
    filled |= {name: value for name, value in defaults.items() if not is_given(environ, name)}
    if keeps_pg:
        return filled
    # An owner's address without the app's is that of another database.
    return {**_without(filled, _ONLY_MIGRATIONS), "MIGRATIONS_DATABASE_URL": embedded_owner_url}


def _ports(environ: Mapping[str, str]) -> dict[str, int]:
    ports = {}
    for name, default in _DEFAULT_PORTS.items():
        text = environ.get(name) or str(default)
        if not text.isdecimal() or int(text) > _MAX_PORT:
            raise SandboxError(f"{name} must be a port from 0 to {_MAX_PORT}; 0 takes any free one.")
        ports[name] = int(text)
    fixed = [port for port in ports.values() if port]
    if len(set(fixed)) < len(fixed):
        # Two Granian servers on one port would both start and share its connections silently.
        raise SandboxError(f"{', '.join(ports)} must differ from each other.")
    open_choices = [name for name, port in ports.items() if port == 0]
    return ports | dict(zip(open_choices, free_ports(len(open_choices)), strict=True))


def _without(environ: Mapping[str, str], names: Collection[str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name.removesuffix("_FILE") not in names}


def value_of(environ: Mapping[str, str], name: str) -> str:
    """Return a variable's value, from itself or from the file it names."""
    if environ.get(name):
        return environ[name]
    return Path(environ[f"{name}_FILE"]).read_text(encoding="utf-8").strip()
