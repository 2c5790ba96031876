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
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import msgspec
from aiosmtpd.smtp import SMTP, Envelope, Session

from b2b_chat.kit.known_hosts import is_known_host
from b2b_chat.kit.serving import ensure_port_is_free
from b2b_chat.sandbox.plan import LOCAL_HOST, MAILS_PATH

_KEPT: Final = 1000
_POLL_SECONDS: Final = 0.05
"""How soon the HTTP server notices that it should end."""
_LINK: Final = re.compile(r"^https?://\S+$", re.MULTILINE)
_CODE: Final = re.compile(r"^[0-9]{4} [0-9]{4}$", re.MULTILINE)


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
        code=code[0].replace(" ", "") if code else None,
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
        # A copy, since the HTTP server's threads read while mails arrive.
        return [mail for mail in reversed(list(self.mails)) if not wanted or mail.to.lower() == wanted]


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
        http = _MailsServer(catcher, host, http_port)
        serving = asyncio.create_task(asyncio.to_thread(http.serve_forever, _POLL_SECONDS))
        try:
            yield
        finally:
            await asyncio.to_thread(http.shutdown)
            await serving
            http.server_close()
    finally:
        smtp.close()


class _MailsServer(ThreadingHTTPServer):
    """Lists the mails to their reader. A server for a laptop is all that this takes, and it ends cleanly."""

    daemon_threads = True

    def __init__(self, catcher: MailCatcher, host: str, port: int) -> None:
        super().__init__((host, port), _MailsHandler)
        self.catcher = catcher


class _MailsHandler(BaseHTTPRequestHandler):
    server: _MailsServer

    def do_GET(self) -> None:
        """Answer `/health` and the list of mails."""
        if not is_known_host(self.headers.get("Host", "")):
            self._answer(HTTPStatus.MISDIRECTED_REQUEST, {"detail": "This server answers to other names."})
            return
        url = urlsplit(self.path)
        match url.path:
            case "/health":
                self._answer(HTTPStatus.OK, {"status": "ok"})
            case path if path == MAILS_PATH:
                recipient = parse_qs(url.query).get("to", [""])[0]
                self._answer(HTTPStatus.OK, {"items": self.server.catcher.list_mails(recipient)})
            case _:
                self._answer(HTTPStatus.NOT_FOUND, {"detail": f"Mails are listed at {MAILS_PATH}."})

    def log_message(self, *_: object) -> None:
        """Say nothing: the output belongs to the mails."""

    def _answer(self, status: HTTPStatus, content: object) -> None:
        body = msgspec.json.encode(content)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


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
