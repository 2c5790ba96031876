"""Is this server able to do product_api's work? Looks at everything that it needs, and changes nothing."""

import asyncio
import ssl
from collections.abc import Awaitable, Iterable
from http import HTTPStatus
from importlib.metadata import version
from typing import Final

import asyncpg
import httpx
import msgspec

from b2b_chat.contract.errors import ErrorBody
from b2b_chat.contract.schemas import CONTRACT_VERSION, MODEL_GPT_5_2, PING_PATH, Ping
from b2b_chat.contract.signing import sign
from b2b_chat.kit.checkup import Finding, check_certificate, check_clock, check_valkey, seconds_ahead_of
from b2b_chat.kit.clock import utc_now
from b2b_chat.kit.connections import Connection
from b2b_chat.kit.database import dsn_of
from b2b_chat.product.database_roles import Rights, read_rights
from b2b_chat.product.mail.smtp import MailNotSent, Smtp, smtp_options
from b2b_chat.product.schema import head
from b2b_chat.product.settings import ProductSettings

_MIGRATE: Final = "Run: b2b-chat migrate"
_REFUSALS: Final = {
    "invalid_signature": (
        "the gateway does not know our signature",
        "Give both servers the same GATEWAY_SHARED_SECRET, and restart the one that was changed.",
    ),
    "stale_timestamp": (
        "the gateway finds our time too far from its own",
        "Run NTP on both servers: timedatectl set-ntp true.",
    ),
}


async def examine(settings: ProductSettings, *, timeout_seconds: float) -> list[Finding]:
    """Look at everything at once.

    Args:
        settings: Those that product_api runs with.
        timeout_seconds: How long each look may take.
    """
    now = utc_now()
    looks: list[tuple[str, Awaitable[Iterable[Finding | None]]]] = [
        ("database", _database(settings)),
        ("gateway", _gateway(settings)),
        ("Valkey", _all([check_valkey(settings)])),
        ("mail", _mail(settings)),
        ("PUBLIC_URL", _public_url(settings)),
        ("certificate of GATEWAY_URL", _all([check_certificate("GATEWAY_URL", settings.gateway_url, now=now)])),
        ("certificate of PUBLIC_URL", _all([check_certificate("PUBLIC_URL", settings.public_url, now=now)])),
    ]
    found = await asyncio.gather(*(_in_time(subject, look, timeout_seconds) for subject, look in looks))
    return [_environment(settings), *(finding for group in found for finding in group if finding is not None)]


async def _in_time(
    subject: str, look: Awaitable[Iterable[Finding | None]], timeout_seconds: float
) -> Iterable[Finding | None]:
    try:
        async with asyncio.timeout(timeout_seconds):
            return await look
    except TimeoutError:
        remedy = "Look whether it runs, and whether a firewall is between."
        return [Finding(subject, "fail", f"no answer in {timeout_seconds:g} s", remedy)]


def _environment(settings: ProductSettings) -> Finding:
    if settings.app_env == "prod":
        return Finding("settings", "ok", "fit for production")
    return Finding("settings", "warn", "production's rules were not applied", "Set APP_ENV=prod on a server.")


async def _all(checks: Iterable[Awaitable[Finding | None]]) -> Iterable[Finding | None]:
    return [await check for check in checks]


async def _database(settings: ProductSettings) -> list[Finding]:
    try:
        connection = await asyncpg.connect(dsn_of(settings.database_url.reveal()))
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        remedy = "Look whether PostgreSQL runs, and whether DATABASE_URL is right; its log has the reason."
        return [Finding("database", "fail", f"no connection: {type(error).__name__}", remedy)]
    try:
        now = await connection.fetchval("SELECT clock_timestamp()")
        difference_seconds = (utc_now() - now).total_seconds()
        server = connection.get_server_version()
        tables = await _tables(connection, settings)
    except asyncpg.PostgresError as error:
        text = f"it refuses a statement: {type(error).__name__}"
        return [Finding("database", "fail", text, "PostgreSQL's log has the reason.")]
    finally:
        await connection.close()
    return [
        Finding("database", "ok", f"PostgreSQL {server.major}.{server.minor} answers"),
        check_clock("the database", difference_seconds),
        *tables,
    ]


async def _tables(connection: Connection, settings: ProductSettings) -> list[Finding]:
    if not await connection.fetchval("SELECT to_regclass('alembic_version') IS NOT NULL"):
        return [_migrations(None)]
    rights = await read_rights(connection)
    if rights.may_not_use:
        text = f"the user of DATABASE_URL lacks rights on {', '.join(rights.may_not_use)}"
        return [Finding("rights", "fail", text, "Run b2b-chat migrate with the owner in MIGRATIONS_DATABASE_URL.")]
    revision = await connection.fetchval("SELECT version_num FROM alembic_version")
    return [_migrations(revision), _rights(rights, settings)]


def _rights(rights: Rights, settings: ProductSettings) -> Finding:
    if not rights.may_rewrite:
        return Finding("rights", "ok", "product_api can add to the ledger and the audit log, and cannot rewrite them")
    text = f"the user of DATABASE_URL can rewrite {' and '.join(rights.may_rewrite)}"
    remedy = "Give product_api a user of its own: «The two users of the database» in deploy/README.md."
    return Finding("rights", "fail" if settings.app_env == "prod" else "warn", text, remedy)


def _migrations(revision: str | None) -> Finding:
    if revision is None:
        return Finding("migrations", "fail", "the database has no tables", _MIGRATE)
    if revision == head():
        return Finding("migrations", "ok", f"at {revision}, the newest of this release")
    if revision < head():
        return Finding("migrations", "fail", f"the database is at {revision}, this release needs {head()}", _MIGRATE)
    remedy = "Run the release that migrated it, or see «Rollback» in deploy/README.md."
    return Finding("migrations", "warn", f"the database is at {revision}, newer than this release's {head()}", remedy)


async def _gateway(settings: ProductSettings) -> list[Finding]:
    headers = sign(
        settings.gateway_shared_secret.reveal().encode(), "GET", PING_PATH, b"", unix_seconds=int(utc_now().timestamp())
    )
    url = settings.gateway_url.rstrip("/") + PING_PATH
    try:
        async with _http() as http:
            response = await http.get(url, headers=headers)
    except httpx.HTTPError as error:
        remedy = "Look whether the gateway runs, whether GATEWAY_URL is right, and at its certificate below."
        return [Finding("gateway", "fail", f"not reached: {type(error).__name__}", remedy)]
    if response.status_code == HTTPStatus.OK:
        return _pong(response.content, settings)
    difference_seconds = seconds_ahead_of(response.headers.get("Date"), utc_now())
    clock = [] if difference_seconds is None else [check_clock("the gateway", difference_seconds)]
    return [_refused(response.status_code, response.content), *clock]


def _pong(body: bytes, settings: ProductSettings) -> list[Finding]:
    try:
        pong = msgspec.json.decode(body, type=Ping)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return [Finding("gateway", "fail", "what answers is no gateway_api", "Look at GATEWAY_URL.")]
    ours = version("b2b-chat")
    if pong.model != MODEL_GPT_5_2:
        answer = Finding("gateway", "fail", f"it serves {pong.model}", "Run the same release on both servers.")
    elif pong.contract < CONTRACT_VERSION:
        finding = f"release {pong.version} speaks contract {pong.contract}, this one needs {CONTRACT_VERSION}"
        answer = Finding("gateway", "fail", finding, "Update the gateway: it is always released first.")
    elif pong.version != ours:
        answer = Finding("gateway", "warn", f"it is release {pong.version}, this one {ours}", "Update it.")
    else:
        answer = Finding("gateway", "ok", f"release {pong.version} knows our signature")
    clock = check_clock("the gateway", utc_now().timestamp() - pong.server_time)
    return [answer, clock, *_body_limit(pong.max_body_bytes, settings.chat_request_max_bytes)]


def _body_limit(theirs: int | None, ours: int) -> list[Finding]:
    """Return whether the gateway accepts the longest request that product_api may send; nothing if it does not tell."""
    if theirs is None:
        return []
    if theirs < ours:
        text = f"it accepts bodies of {theirs} bytes, and CHAT_REQUEST_MAX_BYTES is {ours}: long conversations fail"
        remedy = "Raise GATEWAY_MAX_BODY_BYTES there (and nginx's client_max_body_size), or lower ours."
        return [Finding("gateway's limit", "fail", text, remedy)]
    return [Finding("gateway's limit", "ok", "the gateway accepts the longest request")]


def _refused(status: int, body: bytes) -> Finding:
    try:
        code = msgspec.json.decode(body, type=ErrorBody).error.code
    except (msgspec.DecodeError, UnicodeDecodeError):
        code = ""
    if code in _REFUSALS:
        return Finding("gateway", "fail", *_REFUSALS[code])
    if status == HTTPStatus.FORBIDDEN:
        remedy = "Add this server's public address to nginx's allowlist on the gateway server, and reload nginx there."
        return Finding("gateway", "fail", "its nginx does not let this server in (403)", remedy)
    return Finding("gateway", "fail", f"it answered {status} {code}".rstrip(), "Its log has the reason.")


async def _mail(settings: ProductSettings) -> list[Finding]:
    options = smtp_options(settings)
    if options is None:
        return [Finding("mail", "warn", "there is no SMTP_HOST: nobody can sign in by mail", "Set the SMTP variables.")]
    try:
        await Smtp(options).greet()
    except MailNotSent as error:
        remedy = "Look at the SMTP variables; `b2b-chat mail-test ADDRESS` shows the server's words."
        return [Finding("mail", "fail", error.code.replace("_", " "), remedy)]
    login = "takes our login" if options.user else "answers; no login is set"
    return [Finding("mail", "ok", f"the server {login}")]


async def _public_url(settings: ProductSettings) -> list[Finding]:
    url = settings.public_url.rstrip("/") + "/health"
    try:
        async with _http() as http:
            status = (await http.get(url)).status_code
    except httpx.HTTPError as error:
        remedy = "Look whether product_api and nginx run; where this server cannot call itself, try from outside."
        return [Finding("PUBLIC_URL", "warn", f"not reached from here: {type(error).__name__}", remedy)]
    if status == HTTPStatus.OK:
        return [Finding("PUBLIC_URL", "ok", "product_api answers there")]
    return [Finding("PUBLIC_URL", "fail", f"/health answers {status} there", "Look at nginx and at product_api's log.")]


def _http() -> httpx.AsyncClient:
    """Return a client that trusts what product_api trusts, and uses no proxy, as it does. `examine` limits its time."""
    return httpx.AsyncClient(verify=ssl.create_default_context(), timeout=None, trust_env=False)  # noqa: S113
