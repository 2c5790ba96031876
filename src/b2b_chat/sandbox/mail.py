"""The mail catcher: accepts every mail by SMTP, delivers none, and shows them, on its output and over HTTP.

`GET /mails` lists them newest first, with the link and code that a person would look for; `?to=` names a recipient.
"""

import asyncio
import re
import signal
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any, Final

from aiosmtpd.smtp import SMTP, Envelope, Session
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server
from litestar import Litestar, get
from litestar.params import FromQuery

from b2b_chat.kit.serving import ensure_port_is_free
from b2b_chat.sandbox.plan import LOCAL_HOST, MAILS_PATH

_KEPT: Final = 1000
_POLL_SECONDS: Final = 0.01
_LINK: Final = re.compile(r"^https?://\S+$", re.MULTILINE)
_CODE: Final = re.compile(r"^[0-9]{6}$", re.MULTILINE)


@dataclass(frozen=True)
class CaughtMail:
    """A mail, with its link and code."""

    id: int
    """1, 2, 3 … in the order of arrival."""
    message_id: str
    to: str
    subject: str
    language: str
    link: str | None
    code: str | None
    text: str
    html: str
    received_at: str


def read_mail(number: int, recipient: str, content: bytes) -> CaughtMail:
    """Parse a mail."""
    message = message_from_bytes(content, EmailMessage, policy=default)
    text, html = _part(message, "plain"), _part(message, "html")
    link, code = _LINK.search(text), _CODE.search(text)
    return CaughtMail(
        id=number,
        message_id=str(message["Message-ID"] or ""),
        to=recipient,
        subject=str(message["Subject"] or ""),
        language=str(message["Content-Language"] or ""),
        link=link[0] if link else None,
        code=code[0] if code else None,
        text=text,
        html=html,
        received_at=datetime.now(UTC).isoformat(),
    )


def describe(mail: CaughtMail) -> str:
    """Describe a mail in a few lines, for a person at the terminal."""
    lines = [f"Mail to {mail.to}: {mail.subject}"]
    lines += [f"  {name} {value}" for name, value in (("link", mail.link), ("code", mail.code)) if value]
    return "\n".join(lines)


class MailCatcher:
    """Keeps the latest mails.

    Args:
        show: Called with a description of each mail as it arrives.
    """

    def __init__(self, show: Callable[[str], None] = lambda _: None) -> None:
        self.mails: deque[CaughtMail] = deque(maxlen=_KEPT)
        self._show = show
        self._count = 0

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """Accept a mail; aiosmtpd calls it."""
        for recipient in envelope.rcpt_tos:
            self._count += 1
            mail = read_mail(self._count, recipient, envelope.original_content or b"")
            self.mails.append(mail)
            self._show(describe(mail))
        return "250 OK"

    def list_mails(self, recipient: str = "") -> list[CaughtMail]:
        """Return the mails, newest first; only those to a recipient if one is named."""
        wanted = recipient.lower()
        return [mail for mail in reversed(self.mails) if not wanted or mail.to.lower() == wanted]


@asynccontextmanager
async def catching(
    catcher: MailCatcher, *, smtp_port: int, http_port: int, host: str = LOCAL_HOST, **options: Any
) -> AsyncIterator[None]:
    """Accept mails by SMTP and list them over HTTP. `options` are those of aiosmtpd's `SMTP`."""
    loop = asyncio.get_running_loop()
    smtp = await loop.create_server(
        lambda: SMTP(catcher, hostname="localhost", loop=loop, enable_SMTPUTF8=True, **options), host, smtp_port
    )
    try:
        ensure_port_is_free(host, http_port)
        http: Any = Server(
            _app(catcher),
            address=host,
            port=http_port,
            interface=Interfaces.ASGI,
            http=HTTPModes.http1,
            log_enabled=False,
        )
        serving = asyncio.create_task(http.serve())
        try:
            await _until_listening(host, http_port, serving)
            yield
        finally:
            http.stop()
            await serving
    finally:
        smtp.close()


async def _until_listening(host: str, port: int, serving: asyncio.Task[None]) -> None:
    """Return once the HTTP server accepts connections, which it reports nowhere."""
    while not serving.done():
        try:
            _, writer = await asyncio.open_connection(host, port)
        except OSError:
            await asyncio.sleep(_POLL_SECONDS)
        else:
            writer.close()
            return
    await serving


def _app(catcher: MailCatcher) -> Litestar:
    @get("/health", sync_to_thread=False)
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @get(MAILS_PATH, sync_to_thread=False)
    def mails(to: FromQuery[str] = "") -> dict[str, list[CaughtMail]]:
        return {"items": catcher.list_mails(to)}

    return Litestar([health, mails], openapi_config=None, logging_config=None)


def run(environ: Mapping[str, str]) -> None:
    """Catch mails on `SMTP_PORT` and show them on `MAIL_CATCHER_PORT` until SIGTERM or SIGINT."""
    host = environ.get("MAIL_CATCHER_HOST") or LOCAL_HOST
    asyncio.run(_run(host, smtp_port=int(environ["SMTP_PORT"]), http_port=int(environ["MAIL_CATCHER_PORT"])))


async def _run(host: str, *, smtp_port: int, http_port: int) -> None:
    stopped = asyncio.Event()
    for wish in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(wish, stopped.set)
    async with catching(MailCatcher(_print), host=host, smtp_port=smtp_port, http_port=http_port):
        await stopped.wait()


def _print(text: str) -> None:
    print(text, flush=True)


def _part(message: EmailMessage, subtype: str) -> str:
    part = message.get_body((subtype,))
    return "" if part is None else str(part.get_content()).replace("\r\n", "\n")
