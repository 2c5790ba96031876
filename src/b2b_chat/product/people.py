"""What is composed of identity, mail and limits: who may come in, and the letters that bring them."""

from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from functools import partial
from typing import Any, Final

import structlog

from b2b_chat.kit.background import repeat
from b2b_chat.kit.clock import Clock, utc_now
from b2b_chat.kit.database import DATABASE_OUTAGES, Database, is_outage
from b2b_chat.kit.keyed_hash import KeyedHash
from b2b_chat.product.identity.cookies import SessionCookie
from b2b_chat.product.identity.gatekeeper import Gatekeeper
from b2b_chat.product.identity.last_use import LastUse
from b2b_chat.product.identity.logins import LoginOptions, Logins, LoginSecrets
from b2b_chat.product.identity.repository.logins import ChallengeRepository
from b2b_chat.product.identity.repository.sessions import SessionRepository
from b2b_chat.product.identity.service import ApiKeys
from b2b_chat.product.identity.sessions import Lifetime, Sessions
from b2b_chat.product.limits.client_ip import ClientIp, parse_networks
from b2b_chat.product.limits.memory import WindowsInMemory
from b2b_chat.product.limits.service import Limits, Rates
from b2b_chat.product.limits.windows import Windows
from b2b_chat.product.mail.repository import MailRepository
from b2b_chat.product.mail.sender import Sender
from b2b_chat.product.mail.service import Outbox, Seal
from b2b_chat.product.mail.smtp import Smtp, SmtpOptions
from b2b_chat.product.settings import ProductSettings
from b2b_chat.product.transactions import TransactionFactory

log = structlog.get_logger(__name__)

_IMPLICIT_TLS_PORT: Final = 465
_NOTE_USES_EVERY_SECONDS: Final = 60
_FORGET_EVERY_SECONDS: Final = 3600
_MEASURE_EVERY_SECONDS: Final = 15
_KEEP: Final = timedelta(days=30)
"""How long sessions and mails are kept after their end."""
_KEEP_CHALLENGES: Final = timedelta(days=1)
"""The same for challenges: there are addresses of strangers among them."""


class People:
    """The services that let people in, of one process.

    Args:
        settings: Those of product_api.
        database: Open it before the services are used.
        transaction: Opens a transaction in it.
        clock: Tells the time.
        windows: Where the hits of rate limits are counted; in memory unless told.
    """

    def __init__(
        self,
        settings: ProductSettings,
        database: Database,
        transaction: TransactionFactory,
        *,
        clock: Clock = utc_now,
        windows: Windows | None = None,
    ) -> None:
        self._settings = settings
        self._transaction = transaction
        self._clock = clock
        self._last_use = LastUse(database, clock)
        self._seal = Seal(settings.auth_token_secret, settings.auth_token_secret_previous)
        self.outbox = Outbox(self._seal, clock)
        self.limits = Limits(windows or WindowsInMemory(), _rates(settings))
        self.client_ip = ClientIp(parse_networks(settings.trusted_proxies))
        self.session_cookie = SessionCookie(
            settings.cookie_secure, settings.cookie_samesite, settings.session_absolute_seconds
        )
        self.api_keys = ApiKeys(database, self._last_use)
        self.sessions = Sessions(
            transaction,
            database,
            KeyedHash(settings.session_secret, settings.session_secret_previous, purpose="session"),
            Lifetime(settings.session_idle_seconds, settings.session_absolute_seconds),
            self._last_use,
            clock,
        )
        self.logins = Logins(
            transaction,
            database,
            self.sessions,
            self.outbox,
            self.limits,
            _login_secrets(settings),
            LoginOptions(settings.public_url.rstrip("/"), settings.login_lifetime_seconds),
            clock,
        )
        self.gatekeeper = Gatekeeper(self.api_keys, self.sessions, self.session_cookie, settings.public_url)

    def background(self) -> list[Coroutine[Any, Any, None]]:
        """The work that goes on beside the requests."""
        poll_seconds = self._settings.mail_poll_seconds
        work = [
            _repeat(self.logins.decide_requested, every_seconds=poll_seconds),
            _repeat(self._last_use.write, every_seconds=_NOTE_USES_EVERY_SECONDS),
            _repeat(self._forget_old, every_seconds=_FORGET_EVERY_SECONDS),
        ]
        if self._settings.product_metrics_port:
            measure = partial(self.outbox.measure, self._transaction)
            work.append(repeat(measure, every_seconds=_MEASURE_EVERY_SECONDS))
        smtp = smtp_options(self._settings)
        if smtp is None or self._settings.email_from is None:
            log.warning("mail_not_configured")
        else:
            sender = Sender(self._transaction, self._seal, Smtp(smtp), self._settings.email_from, self._clock)
            work.append(_repeat(sender.send_due, every_seconds=poll_seconds))
        return work

    async def finish(self) -> None:
        """Write down what is only in memory, if the database is there."""
        try:
            await self._last_use.write()
        except DATABASE_OUTAGES as error:
            log.warning("database_unavailable", exc_info=error)

    async def _forget_old(self) -> None:
        now = self._clock()
        async with self._transaction() as tx:
            await tx[ChallengeRepository].forget(expired_before=now - _KEEP_CHALLENGES)
            await tx[SessionRepository].forget(expired_before=now - _KEEP)
            await tx[MailRepository].forget(resolved_before=now - _KEEP)


def _repeat(work: Callable[[], Awaitable[object]], *, every_seconds: float) -> Coroutine[Any, Any, None]:
    return repeat(work, every_seconds=every_seconds, is_outage=is_outage)


def smtp_options(settings: ProductSettings) -> SmtpOptions | None:
    """The mail server of these settings, if they name one."""
    if settings.smtp_host is None:
        return None
    implicit = settings.smtp_implicit_tls or settings.smtp_port == _IMPLICIT_TLS_PORT
    return SmtpOptions(
        host=settings.smtp_host,
        port=settings.smtp_port,
        user=settings.smtp_user,
        password=settings.smtp_password,
        tls=("implicit" if implicit else "starttls") if settings.smtp_use_tls else "none",
        ca_file=settings.smtp_ca_file,
        timeout_seconds=settings.smtp_timeout_seconds,
    )


def _login_secrets(settings: ProductSettings) -> LoginSecrets:
    secret, previous = settings.auth_token_secret, settings.auth_token_secret_previous
    return LoginSecrets(
        tokens=KeyedHash(secret, previous, purpose="login link"),
        codes=KeyedHash(secret, previous, purpose="login code"),
    )


def _rates(settings: ProductSettings) -> Rates:
    return Rates(
        chat_per_company_and_minute=settings.chat_rpm_per_company,
        chat_per_user_and_minute=settings.chat_rpm_per_user,
        chat_per_ip_and_minute=settings.chat_rpm_per_ip,
        login_per_ip_and_minute=settings.login_rpm_per_ip,
        link_per_email_and_ip_and_hour=settings.login_mails_per_email_ip_hour,
        link_per_email_and_hour=settings.login_mails_per_email_hour,
        invite_per_company_and_hour=settings.invite_mails_per_company_hour,
        chat_local_percent=settings.chat_local_limit_percent,
    )
