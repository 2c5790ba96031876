"""The mail catcher: takes mails, delivers none, and shows what came."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import aiosmtplib
import httpx
import pytest

from b2b_chat.sandbox.mail import MailCatcher, catching, describe, read_mail
from support.http.serving import free_port, until_listening
from support.processes.commands import clean_environ, run, started

TEXT = "Hello,\n\nhttps://chat.example.test/auth/verify#token\n\nOr type\n\n1234 5678\n\nfor 10 minutes.\n"


def a_mail(to: str = "ann@example.test", text: str = TEXT) -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "chat@example.test", to, "Вход"
    mail.set_content(text)
    mail.add_alternative("<p>Hello</p>", subtype="html")
    return mail


@pytest.fixture
async def ports() -> tuple[int, int]:
    return free_port(), free_port()


@pytest.fixture
async def shown(ports: tuple[int, int]) -> AsyncIterator[list[str]]:
    """A running catcher, and what it shows."""
    lines: list[str] = []
    async with catching(MailCatcher(lines.append), smtp_port=ports[0], http_port=ports[1]):
        yield lines


async def listed(port: int, **query: str) -> list[dict[str, Any]]:
    async with httpx.AsyncClient(trust_env=False) as http:
        items: list[dict[str, Any]] = (await http.get(f"http://127.0.0.1:{port}/mails", params=query)).json()["items"]
        return items


async def test_what_came_is_shown_and_listed(ports: tuple[int, int], shown: list[str]) -> None:
    await aiosmtplib.send(a_mail(), hostname="127.0.0.1", port=ports[0])
    assert shown == [
        "Mail to ann@example.test: Вход\n  link https://chat.example.test/auth/verify#token\n  code 12345678"
    ]
    (mail,) = await listed(ports[1])
    assert (mail["to"], mail["subject"], mail["code"]) == ("ann@example.test", "Вход", "12345678")
    assert mail["link"] == "https://chat.example.test/auth/verify#token"
    assert (mail["text"], mail["html"]) == (TEXT, "<p>Hello</p>\n")


async def test_the_newest_comes_first_and_a_recipient_can_be_named(ports: tuple[int, int], shown: list[str]) -> None:
    for to in ("ann@example.test", "bob@example.test", "ann@example.test"):
        await aiosmtplib.send(a_mail(to), hostname="127.0.0.1", port=ports[0])
    assert [mail["id"] for mail in await listed(ports[1])] == [3, 2, 1]
    assert [mail["id"] for mail in await listed(ports[1], to="Ann@example.test")] == [3, 1]
    assert len(shown) == 3


async def test_any_other_path_names_the_right_one(ports: tuple[int, int], shown: list[str]) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.get(f"http://127.0.0.1:{ports[1]}/")
    assert (answer.status_code, answer.json()) == (404, {"detail": "Mails are listed at /mails."})
    assert shown == []


async def test_mails_are_not_shown_under_a_strangers_name(ports: tuple[int, int], shown: list[str]) -> None:
    """A page of evil.test may have that name lead here (DNS rebinding), and would read login codes."""
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.get(f"http://127.0.0.1:{ports[1]}/mails", headers={"Host": f"evil.test:{ports[1]}"})
        assert answer.status_code == 421
        assert "items" not in answer.json()
        assert (await http.get(f"http://localhost:{ports[1]}/mails")).status_code == 200
    assert shown == []


async def test_only_the_latest_are_kept() -> None:
    catcher = MailCatcher()
    for number in range(1005):
        catcher.mails.append(read_mail(number, "ann@example.test", a_mail().as_bytes()))
    assert [catcher.mails[0].id, len(catcher.mails)] == [5, 1000]


def test_a_mail_without_link_or_code_or_text_is_shown_all_the_same() -> None:
    mail = EmailMessage()
    mail["Subject"] = "A picture"
    mail.set_content(b"x", "image", "png")
    assert describe(read_mail(1, "ann@example.test", mail.as_bytes())) == "Mail to ann@example.test: A picture"
    assert read_mail(1, "ann@example.test", b"").subject == ""


async def test_as_a_process(tmp_path: Path, ports: tuple[int, int]) -> None:
    environ = clean_environ(tmp_path, SMTP_PORT=str(ports[0]), MAIL_CATCHER_PORT=str(ports[1]))
    with started("mail-catcher", environ=environ) as process:
        await until_listening(ports[0])
        await until_listening(ports[1])
        async with httpx.AsyncClient(trust_env=False) as http:
            assert (await http.get(f"http://127.0.0.1:{ports[1]}/health")).status_code == 200
        await aiosmtplib.send(a_mail(), hostname="127.0.0.1", port=ports[0])
        process.send_signal(signal.SIGTERM)
        output, errors = await asyncio.to_thread(process.communicate, timeout=30)
    assert (process.returncode, errors) == (0, "")
    assert "  code 12345678\n" in output


def test_a_port_that_is_missing_is_reported(tmp_path: Path) -> None:
    done = run("mail-catcher", environ=clean_environ(tmp_path, SMTP_PORT="x", MAIL_CATCHER_PORT="1"))
    assert (done.returncode, done.stderr) == (2, "b2b-chat: SMTP_PORT must be set to a port.\n")


async def test_a_port_that_is_taken_ends_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        environ = clean_environ(tmp_path, SMTP_PORT=port, MAIL_CATCHER_PORT=str(free_port()))
        done = await asyncio.to_thread(run, "mail-catcher", environ=environ)
    assert done.returncode != 0
    assert port in done.stderr
