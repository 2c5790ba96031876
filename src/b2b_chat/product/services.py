"""The composition root of product_api: everything that a process opens, made, opened and closed in one place.

`services_of` makes what a serving process has, `database_services` what one command or script has. Litestar's
dependencies are the fields of `Services` by their names.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, Final

import structlog
from msgspec import Struct

from b2b_chat.kit.background import repeat, running
from b2b_chat.kit.clock import Clock, utc_now
from b2b_chat.kit.database import Database, is_outage
from b2b_chat.kit.health import Readiness
from b2b_chat.kit.valkey import Valkey, valkey_of
from b2b_chat.product.audit.service import Audit
from b2b_chat.product.audit.tallies import Tallies
from b2b_chat.product.chat.assembly import chat_parts
from b2b_chat.product.chat.gateway_client import GatewayClient
from b2b_chat.product.chat.previews import Previews
from b2b_chat.product.chat.relay.service import Relay
from b2b_chat.product.chat.runs import Runs
from b2b_chat.product.chat.service import Chat
from b2b_chat.product.companies.invites import Invites
from b2b_chat.product.companies.keys import CompanyKeys
from b2b_chat.product.companies.members import Members
from b2b_chat.product.companies.service import Companies
from b2b_chat.product.conversations.erasing import CallTexts
from b2b_chat.product.conversations.indexing import SearchIndex
from b2b_chat.product.conversations.mask_counts import MaskStatistics
from b2b_chat.product.conversations.service import Conversations
from b2b_chat.product.credits.service import Credits
from b2b_chat.product.credits.tokens import load_tokenizer
from b2b_chat.product.credits.usage import UsageReports
from b2b_chat.product.database_settings import DatabaseSettings
from b2b_chat.product.databases import Databases, databases_of
from b2b_chat.product.identity.api_keys import ApiKeys
from b2b_chat.product.identity.cookies import LoginCookies, SessionCookie, login_cookies_of
from b2b_chat.product.identity.gatekeeper import Gatekeeper
from b2b_chat.product.identity.last_use import LastUse
from b2b_chat.product.identity.logins import Logins
from b2b_chat.product.identity.sessions import Sessions
from b2b_chat.product.limits.client_ip import ClientIp, parse_networks
from b2b_chat.product.limits.memory import WindowsInMemory
from b2b_chat.product.limits.service import Limits
from b2b_chat.product.limits.valkey import WindowsInValkey
from b2b_chat.product.mail.sender import Sender
from b2b_chat.product.mail.service import Outbox, Seal
from b2b_chat.product.mail.smtp import Smtp, smtp_options
from b2b_chat.product.masking.service import Masking
from b2b_chat.product.masking_policies.service import MaskingPolicies
from b2b_chat.product.operators.health import LiveHealth
from b2b_chat.product.operators.keys import OperatorKeys
from b2b_chat.product.operators.service import Operators, Users
from b2b_chat.product.readiness import readiness_of
from b2b_chat.product.second_factor.service import SecondFactors
from b2b_chat.product.settings import ProductSettings
from b2b_chat.product.transactions import TransactionFactory, reading_factory, transaction_factory

log = structlog.get_logger(__name__)

_NOTE_USES_EVERY_SECONDS: Final = 60
_INDEX_EVERY_SECONDS: Final = 5
_SETTLE_EVERY_SECONDS: Final = 10
_ERASE_EVERY_SECONDS: Final = 60
_FORGET_EVERY_SECONDS: Final = 3600
_MEASURE_EVERY_SECONDS: Final = 15
_ACQUIRE_SECONDS: Final = 10
"""Longest wait of a command for its one connection."""


class DatabaseServices(Struct, frozen=True, eq=False):
    """The services that need nothing but the database."""

    database: Database
    transaction: TransactionFactory
    last_use: LastUse
    api_keys: ApiKeys
    audit: Audit
    tallies: Tallies
    companies: Companies
    members: Members
    credit: Credits
    usage: UsageReports
    mask_statistics: MaskStatistics
    users: Users
    operators: Operators
    operator_keys: OperatorKeys
    conversations: Conversations
    masking_policies: MaskingPolicies


class Services(DatabaseServices, frozen=True, eq=False):
    """Everything that a serving process has."""

    settings: ProductSettings
    databases: Databases
    """That of the services above, one for signing in and readiness, and one for costly reading."""
    search_index: SearchIndex
    call_texts: CallTexts
    valkey: Valkey | None
    gateway: GatewayClient
    seal: Seal
    outbox: Outbox
    limits: Limits
    client_ip: ClientIp
    session_cookie: SessionCookie
    login_cookies: LoginCookies
    sessions: Sessions
    second_factors: SecondFactors
    logins: Logins
    invites: Invites
    company_keys: CompanyKeys
    gatekeeper: Gatekeeper
    keep_leases: Callable[[], Coroutine[Any, Any, None]]
    runs: Runs
    relay: Relay | None
    chat: Chat
    previews: Previews
    masking: Masking
    readiness: Readiness
    live_health: LiveHealth


def services_of(settings: ProductSettings, *, clock: Clock = utc_now, database: Database | None = None) -> Services:
    """Make the services of a process, not opened yet (see `opened`); a given `database` replaces theirs."""
    databases = databases_of(settings) if database is None else Databases(database, database, database)
    database, login = databases.main, databases.login
    quiet = _database_services(database, clock, reading_factory(databases.reading))
    transaction, last_use = quiet.transaction, quiet.last_use
    valkey = valkey_of(settings)
    gateway = GatewayClient(settings)
    seal = Seal(settings.auth_token_secret, settings.auth_token_secret_previous)
    outbox = Outbox(seal, clock)
    limits = Limits(WindowsInMemory() if valkey is None else WindowsInValkey(valkey), settings)
    client_ip = ClientIp(parse_networks(settings.trusted_proxies))
    cookie = SessionCookie(settings.cookie_secure, settings.cookie_samesite, settings.session_absolute_seconds)
    sessions = Sessions(transaction, database, settings, last_use, clock)
    parts = chat_parts(database, gateway, valkey, settings)
    readiness = readiness_of(settings, login, valkey, gateway, parts.chat)
    return Services(
        **{name: getattr(quiet, name) for name in DatabaseServices.__struct_fields__},
        settings=settings,
        valkey=valkey,
        gateway=gateway,
        seal=seal,
        outbox=outbox,
        limits=limits,
        client_ip=client_ip,
        session_cookie=cookie,
        login_cookies=login_cookies_of(settings),
        sessions=sessions,
        second_factors=SecondFactors(transaction, settings, clock=clock),
        databases=databases,
        search_index=SearchIndex(database),
        call_texts=CallTexts(database, keep_seconds=settings.completions_keep_seconds),
        logins=Logins(transaction_factory(login), login, sessions, outbox, quiet.tallies, settings, clock),
        invites=Invites(transaction, outbox, limits, settings, clock=clock),
        company_keys=CompanyKeys(transaction, settings, clock=clock),
        gatekeeper=Gatekeeper(quiet.api_keys, sessions, cookie, limits, client_ip, settings, clock),
        **parts._asdict(),
        readiness=readiness,
        live_health=LiveHealth(readiness, gateway, settings.readiness_timeout_seconds, clock=clock),
    )


@asynccontextmanager
async def opened(services: Services) -> AsyncIterator[None]:
    """Within the block the services work; at its end what they open is closed, in the opposite order."""
    # A detector that finds less than it should must not serve.
    await services.masking.check()
    async with AsyncExitStack() as stack:
        if services.valkey is not None:
            stack.push_async_callback(services.valkey.close)
        for database in services.databases:
            await database.open()
            stack.push_async_callback(database.close)
        stack.push_async_callback(services.last_use.finish)
        load_tokenizer()
        stack.push_async_callback(services.tallies.finish)
        await services.gateway.open()
        stack.push_async_callback(services.gateway.close)
        # Until the last answer has ended: other processes would give up one whose lease is not renewed.
        await stack.enter_async_context(running(services.keep_leases()))
        if services.relay is not None:
            await stack.enter_async_context(services.relay.open())
        await stack.enter_async_context(running(*_background(services)))
        yield


@asynccontextmanager
async def database_services(
    settings: DatabaseSettings | ProductSettings, *, statement_seconds: float
) -> AsyncIterator[DatabaseServices]:
    """Open the services of a command or a script, which does one thing after the other."""
    database = Database(
        settings.database_url.reveal(),
        pool_size=1,
        session_pool_size=1,
        acquire_seconds=_ACQUIRE_SECONDS,
        statement_seconds=statement_seconds,
        pgbouncer=settings.database_pgbouncer,
    )
    await database.open()
    try:
        yield _database_services(database, utc_now, transaction_factory(database))
    finally:
        await database.close()


async def forget_old(services: Services) -> None:
    """Delete logins, sessions and mails that ended long ago, and seal anew what an older secret has sealed."""
    await services.second_factors.reseal()
    await services.logins.forget_old()
    await services.sessions.forget_old()
    await services.outbox.forget_old(services.transaction)


def _database_services(database: Database, clock: Clock, reading: TransactionFactory) -> DatabaseServices:
    transaction = transaction_factory(database)
    last_use = LastUse(database, clock)
    return DatabaseServices(
        database=database,
        transaction=transaction,
        last_use=last_use,
        api_keys=ApiKeys(database, last_use),
        audit=Audit(transaction, reading),
        tallies=Tallies(transaction, clock=clock),
        companies=Companies(transaction, clock=clock),
        members=Members(transaction, clock=clock),
        credit=Credits(transaction, reading),
        usage=UsageReports(reading, clock=clock),
        mask_statistics=MaskStatistics(reading, clock=clock),
        users=Users(transaction, clock=clock),
        operators=Operators(transaction, clock=clock),
        operator_keys=OperatorKeys(transaction, clock=clock),
        conversations=Conversations(transaction, reading),
        masking_policies=MaskingPolicies(transaction),
    )


def _background(services: Services) -> Iterator[Coroutine[Any, Any, None]]:
    """The work that goes on beside the requests."""
    settings = services.settings
    yield _repeat(services.logins.decide_requested, every_seconds=settings.mail_poll_seconds)
    yield _repeat(services.search_index.catch_up, every_seconds=_INDEX_EVERY_SECONDS)
    yield _repeat(services.call_texts.erase_old, every_seconds=_ERASE_EVERY_SECONDS)
    yield _repeat(services.last_use.write, every_seconds=_NOTE_USES_EVERY_SECONDS)
    yield _repeat(services.tallies.settle, every_seconds=_SETTLE_EVERY_SECONDS)
    yield _repeat(partial(forget_old, services), every_seconds=_FORGET_EVERY_SECONDS)
    if settings.product_metrics_port:
        yield repeat(partial(services.outbox.measure, services.transaction), every_seconds=_MEASURE_EVERY_SECONDS)
    smtp = smtp_options(settings)
    if smtp is None or settings.email_from is None:
        log.warning("mail_not_configured")
    else:
        sender = Sender(services.transaction, services.seal, Smtp(smtp), settings.email_from, utc_now)
        yield _repeat(sender.send_due, every_seconds=settings.mail_poll_seconds)


def _repeat(work: Callable[[], Awaitable[object]], *, every_seconds: float) -> Coroutine[Any, Any, None]:
    return repeat(work, every_seconds=every_seconds, is_outage=is_outage)
