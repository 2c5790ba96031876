"""`b2b-chat mail-test`, which proves a production set-up."""

import asyncio
import subprocess
from pathlib import Path

import pytest

from support.http.serving import free_port
from support.processes.commands import clean_environ, run
from support.product.app import environ
from support.product.mailbox import Mailbox, mailbox

TO = "ann@example.test"


async def mail_test(home: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    settings = environ("postgresql://unused", "http://127.0.0.1:1", **variables)
    return await asyncio.to_thread(run, "mail-test", TO, environ=clean_environ(home, **settings))


def settings_of(box: Mailbox) -> dict[str, str]:
    return {
        "SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(box.port), "SMTP_USE_TLS": "false", "EMAIL_FROM": "chat@example.test"
    }  # fmt: skip


async def test_it_sends_one_mail_in_each_language(tmp_path: Path) -> None:
    async with mailbox() as box:
        done = await mail_test(tmp_path, **settings_of(box))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"127.0.0.1:{box.port}, not encrypted, without signing in",
        "Accepted by the server: b2b-chat отправляет почту",
        "Accepted by the server: b2b-chat can send mail",
    ]
    assert [mail.language for mail in box.to(TO)] == ["ru", "en"]


async def test_it_shows_the_servers_reply(tmp_path: Path) -> None:
    async with mailbox() as box:
        box.answers["RCPT"] = "550 no such user"
        done = await mail_test(tmp_path, **settings_of(box))
    assert done.returncode == 1
    assert done.stderr == "b2b-chat: not sent: recipient_refused. 550 no such user\n"


@pytest.mark.parametrize(
    ("variables", "line"),
    [
        ({"SMTP_USE_TLS": "true"}, "encrypted with STARTTLS, certificate checked, without signing in"),
        (
            {"SMTP_USE_TLS": "true", "SMTP_IMPLICIT_TLS": "true", "SMTP_USER": "chat"},
            "encrypted from the first byte, certificate checked, signing in as chat",
        ),
    ],
)
async def test_it_reports_an_unreachable_server(tmp_path: Path, variables: dict[str, str], line: str) -> None:
    port = free_port()
    where = {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(port), "EMAIL_FROM": "chat@example.test"}
    done = await mail_test(tmp_path, **where, **variables)
    assert done.returncode == 1
    assert done.stdout == f"127.0.0.1:{port}, {line}\n"
    assert done.stderr.startswith("b2b-chat: not sent: server_unreachable. ")


async def test_it_needs_a_server(tmp_path: Path) -> None:
    done = await mail_test(tmp_path)
    assert (done.returncode, done.stderr) == (2, "b2b-chat: SMTP_HOST and EMAIL_FROM must be set.\n")
