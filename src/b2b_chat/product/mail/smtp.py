"""Sending one mail by SMTP.

MailNotSent
├── MailRefused    the server will never accept this mail
└── MailDelayed    it was not reached, or cannot accept mail now
"""

import asyncio
import socket
import ssl
from contextlib import suppress
from email.message import EmailMessage
from typing import Final, Literal

import aiosmtplib
from msgspec import Struct

from b2b_chat.kit.settings import Secret
from b2b_chat.product.settings import ProductSettings

TlsMode = Literal["none", "starttls", "implicit"]

_IMPLICIT_TLS_PORT: Final = 465
_PERMANENT: Final = 500
"""From this code on a refusal is permanent (RFC 5321)."""
_GOODBYE_SECONDS: Final = 2


class MailNotSent(Exception):
    """The server did not accept a mail. `code` says why; the server's words may quote addresses, so they are apart."""

    def __init__(self, code: str, words: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.words = words


class MailRefused(MailNotSent):
    """The server will never accept this mail."""


class MailDelayed(MailNotSent):
    """Another attempt may succeed."""


class SmtpOptions(Struct, frozen=True):
    """The mail server and its protocol options."""

    host: str
    port: int
    user: str | None
    password: Secret | None
    tls: TlsMode
    ca_file: str | None
    """Certificates to trust beside the system's."""
    timeout_seconds: float
    """The longest that one mail may take."""


def smtp_options(settings: ProductSettings) -> SmtpOptions | None:
    """Return the mail server of the settings, if they name one."""
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


class Smtp:
    """A mail server."""

    def __init__(self, options: SmtpOptions) -> None:
        self._options = options
        self._tls_context = ssl.create_default_context()
        if options.ca_file is not None:
            self._tls_context.load_verify_locations(options.ca_file)

    @property
    def timeout_seconds(self) -> float:
        """The longest that one mail may take."""
        return self._options.timeout_seconds

    async def send(self, message: EmailMessage) -> None:
        """Hand a mail to the server.

        Raises:
            MailRefused: It does not want this mail.
            MailDelayed: It cannot be reached, does not answer in time, cannot be trusted, does not know us, or is busy.
        """
        await self._talk(message)

    async def greet(self) -> None:
        """Connect, encrypt and sign in as for a mail, then disconnect.

        Raises:
            MailDelayed: A mail would not be accepted now either.
        """
        await self._talk(None)

    async def _talk(self, message: EmailMessage | None) -> None:
        client = self._client()
        try:
            async with asyncio.timeout(self._options.timeout_seconds):
                await client.connect()
                if message is not None:
                    await _hand_over(client, message)
        except (aiosmtplib.SMTPException, OSError) as error:
            raise _not_sent(error) from error
        else:
            # The server has the mail. No failure from here on may cause another attempt.
            with suppress(aiosmtplib.SMTPException, OSError):
                await client.quit(timeout=_GOODBYE_SECONDS)
        finally:
            client.close()

    def _client(self) -> aiosmtplib.SMTP:
        options = self._options
        return aiosmtplib.SMTP(
            hostname=options.host,
            port=options.port,
            username=options.user,
            password=options.password.reveal() if options.password else None,
            local_hostname=socket.gethostname(),
            timeout=options.timeout_seconds,
            use_tls=options.tls == "implicit",
            start_tls=options.tls == "starttls",
            tls_context=self._tls_context,
        )


async def _hand_over(client: aiosmtplib.SMTP, message: EmailMessage) -> None:
    try:
        await client.send_message(message)
    except aiosmtplib.SMTPNotSupported as error:
        # An address beyond ASCII, and a server without SMTPUTF8: waiting does not help.
        raise MailRefused("address_not_supported", str(error)) from error


def _not_sent(error: Exception) -> MailNotSent:
    match error:
        case aiosmtplib.SMTPRecipientsRefused(recipients=[refusal, *_]):
            return _by_code("recipient_refused", refusal)
        case aiosmtplib.SMTPDataError():
            return _by_code("message_refused", error)
        # The operator must mend a wrong password or sender; the mails wait for that.
        case aiosmtplib.SMTPAuthenticationError():
            return MailDelayed("login_refused", _words(error))
        case aiosmtplib.SMTPSenderRefused():
            return MailDelayed("sender_refused", _words(error))
        case TimeoutError():
            return MailDelayed("server_timeout")
        case _ if isinstance(error.__cause__ or error, ssl.SSLError):
            return MailDelayed("tls_failed", str(error.__cause__ or error))
        case aiosmtplib.SMTPResponseException():
            return MailDelayed("server_not_ready", _words(error))
        case _:
            return MailDelayed("server_unreachable", str(error))


def _by_code(code: str, refusal: aiosmtplib.SMTPResponseException) -> MailNotSent:
    kind = MailRefused if refusal.code >= _PERMANENT else MailDelayed
    return kind(code, _words(refusal))


def _words(refusal: aiosmtplib.SMTPResponseException) -> str:
    return f"{refusal.code} {refusal.message}"
