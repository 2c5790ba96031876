"""Handing a mail to a mail server: encryption, certificates, accounts, and what each failure means."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import trustme

from b2b_chat.kit.settings import Secret
from b2b_chat.product.mail.letters import Letter, compose
from b2b_chat.product.mail.smtp import MailDelayed, MailNotSent, MailRefused, Smtp, SmtpOptions
from support.http.serving import free_port
from support.product.mailbox import Mailbox, accepts

TO = "ann@example.test"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


def server_context(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


def options(port: int, **changes: Any) -> SmtpOptions:
    defaults = {"user": None, "password": None, "tls": "none", "ca_file": None, "timeout_seconds": 5.0}
    return SmtpOptions(**{"host": "127.0.0.1", "port": port, **defaults, **changes})


def a_mail() -> EmailMessage:
    letter = Letter("test", "en", TO, {"at": "now"})
    return compose(
        letter, sender="Chat <chat@example.test>", message_id="<1@example.test>", written_at=datetime.now(UTC)
    )


async def refused(smtp: Smtp) -> MailNotSent:
    with pytest.raises(MailNotSent) as raised:
        await smtp.send(a_mail())
    return raised.value


@asynccontextmanager
async def answering(*lines: bytes) -> AsyncIterator[int]:
    """A server that sends these lines in order, whatever it receives, and then nothing more."""
    writers = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        for line in lines:
            writer.write(line)
            await writer.drain()
            if not await reader.readline():
                return
        await reader.read()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        for writer in writers:
            writer.close()
        server.close()
        await server.wait_closed()


async def test_in_the_clear(a_box: Mailbox) -> None:
    async with a_box.listening():
        await Smtp(options(a_box.port)).send(a_mail())
    (mail,) = a_box.mails
    assert (mail.to, mail.subject, mail.message_id) == (TO, "b2b-chat can send mail", "<1@example.test>")


@pytest.fixture
def a_box() -> Mailbox:
    return Mailbox()


async def test_by_starttls_with_an_account(a_box: Mailbox, authority: trustme.CA, ca_file: str) -> None:
    context = server_context(authority, "localhost")
    asked = {"tls_context": context, "require_starttls": True, "auth_required": True}
    smtp = Smtp(
        options(a_box.port, host="localhost", tls="starttls", ca_file=ca_file, user="chat", password=Secret("right"))
    )
    async with a_box.listening(**asked, authenticator=accepts("chat", "right")):
        await smtp.send(a_mail())
    assert len(a_box.mails) == 1


async def test_by_tls_from_the_first_byte(a_box: Mailbox, authority: trustme.CA, ca_file: str) -> None:
    async with a_box.listening(ssl=server_context(authority, "localhost")):
        await Smtp(options(a_box.port, host="localhost", tls="implicit", ca_file=ca_file)).send(a_mail())
    assert len(a_box.mails) == 1


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
@pytest.mark.parametrize("wrong", ["an unknown authority", "another name"])
async def test_a_certificate_that_is_wrong_is_not_trusted(
    a_box: Mailbox, authority: trustme.CA, ca_file: str, tls: str, wrong: str
) -> None:
    context = server_context(authority, "localhost" if wrong == "an unknown authority" else "other.test")
    listening = {"tls_context": context} if tls == "starttls" else {"ssl": context}
    trusted = None if wrong == "an unknown authority" else ca_file
    async with a_box.listening(**listening):
        error = await refused(Smtp(options(a_box.port, host="localhost", tls=tls, ca_file=trusted)))
    assert (type(error), error.code) == (MailDelayed, "tls_failed")
    assert "certificate" in error.words.lower()
    assert a_box.begun == 0


async def test_no_mail_goes_unencrypted_where_encryption_is_asked_for(a_box: Mailbox) -> None:
    async with a_box.listening():
        error = await refused(Smtp(options(a_box.port, tls="starttls")))
    assert (type(error), error.code) == (MailDelayed, "server_unreachable")
    assert "STARTTLS" in error.words
    assert a_box.begun == 0


async def test_a_wrong_password_is_reported_and_the_mail_waits(
    a_box: Mailbox, authority: trustme.CA, ca_file: str
) -> None:
    context = server_context(authority, "localhost")
    account = {"user": "chat", "password": Secret("wrong")}
    async with a_box.listening(tls_context=context, auth_required=True, authenticator=accepts("chat", "right")):
        error = await refused(Smtp(options(a_box.port, host="localhost", tls="starttls", ca_file=ca_file, **account)))
    assert (type(error), error.code) == (MailDelayed, "login_refused")


@pytest.mark.parametrize(
    ("command", "answer", "expected"),
    [
        ("RCPT", "550 no such user", (MailRefused, "recipient_refused")),
        ("RCPT", "452 mailbox full", (MailDelayed, "recipient_refused")),
        ("DATA", "554 looks like spam", (MailRefused, "message_refused")),
        ("DATA", "451 try again", (MailDelayed, "message_refused")),
    ],
)
async def test_the_servers_reply_decides(
    a_box: Mailbox, command: str, answer: str, expected: tuple[type[MailNotSent], str]
) -> None:
    a_box.answers[command] = answer
    async with a_box.listening():
        error = await refused(Smtp(options(a_box.port)))
    assert (type(error), error.code) == expected
    assert error.words == answer


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([b"421 too busy\r\n"], "server_not_ready"),
        ([b"220 hi\r\n", b"250 hi\r\n", b"550 not from you\r\n", b"250 ok\r\n"], "sender_refused"),
        ([b"nonsense\r\n"], "server_not_ready"),
        ([], "server_timeout"),
        ([b"220 hi\r\n", b"250 hi\r\n"], "server_timeout"),
    ],
)
async def test_a_server_that_is_not_well_is_tried_again(lines: list[bytes], expected: str) -> None:
    async with answering(*lines) as port:
        error = await refused(Smtp(options(port, timeout_seconds=0.3)))
    assert (type(error), error.code) == (MailDelayed, expected)


async def test_one_that_is_not_there_is_tried_again() -> None:
    error = await refused(Smtp(options(free_port())))
    assert (type(error), error.code) == (MailDelayed, "server_unreachable")


async def test_a_server_that_takes_the_mail_and_then_hangs_has_taken_it() -> None:
    lines = [b"220 hi\r\n", b"250 hi\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for line in lines:
            writer.write(line)
            if line.startswith(b"354"):
                await reader.readuntil(b"\r\n.\r\n")
                writer.write(b"250 taken\r\n")
                continue
            await reader.readline()
        await reader.readline()  # QUIT is not answered
        writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    await Smtp(options(port)).send(a_mail())
    server.close()
    await server.wait_closed()
