"""A mail server on a socket that a test can read from and order to fail."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from b2b_chat.sandbox.mail import CaughtMail, MailCatcher
from support.http.serving import free_port
from support.processes.waiting import until


class Mailbox(MailCatcher):
    """Takes mails, or answers as a test wants."""

    def __init__(self) -> None:
        super().__init__()
        self.port = free_port()
        self.answers: dict[str, str] = {}
        """What to say in place of "OK": by the command, RCPT or DATA."""
        self.pause_seconds = 0.0
        """How long to take for a mail's content."""
        self.begun = 0
        """How many mails' contents have come, taken or not."""

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if "RCPT" in self.answers:
            return self.answers["RCPT"]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - as above
        self.begun += 1
        await asyncio.sleep(self.pause_seconds)
        if "DATA" in self.answers:
            return self.answers["DATA"]
        return await super().handle_DATA(server, session, envelope)

    def to(self, address: str) -> list[CaughtMail]:
        """The mails to an address, oldest first."""
        return [mail for mail in self.mails if mail.to == address]

    async def mail_to(self, address: str, *, number: int = 1) -> CaughtMail:
        """The latest mail to an address, once so many are there."""

        async def arrived() -> bool:
            return len(self.to(address)) >= number

        await until(arrived)
        return self.to(address)[-1]

    @asynccontextmanager
    async def listening(self, **options: Any) -> AsyncIterator[None]:
        """Take connections on `port`. `options` are those of aiosmtpd's `SMTP`, or `ssl` for TLS from the start."""
        loop = asyncio.get_running_loop()
        context = options.pop("ssl", None)
        server = await loop.create_server(
            lambda: SMTP(self, hostname="localhost", loop=loop, **options), "127.0.0.1", self.port, ssl=context
        )
        try:
            yield
        finally:
            server.close()
            await server.wait_closed()


def accepts(user: str, password: str) -> Any:
    """An authenticator for `listening` that knows one account."""

    def authenticate(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, given: Any) -> AuthResult:
        right = isinstance(given, LoginPassword) and (given.login, given.password) == (user.encode(), password.encode())
        return AuthResult(success=right, handled=False)

    return authenticate


@asynccontextmanager
async def mailbox() -> AsyncIterator[Mailbox]:
    """A mail server that takes everything."""
    box = Mailbox()
    async with box.listening():
        yield box
