"""The address that `b2b-chat up` prints to sign in by, opened in a browser as a newcomer would."""

import asyncio
import fcntl
import os
import pty
import re
import signal
import subprocess
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from playwright.async_api import Page, expect

from b2b_chat.sandbox.sign_in import DEMO_EMAIL, new_sign_in_link
from support.browser.chromium import chromium
from support.processes.commands import COMMAND, addresses_of, clean_environ, output_of, progress_of, running_in, started

_LINK = re.compile(r"^  (http://127\.0\.0\.1:[0-9]+/auth/verify#\S+)$")


@contextmanager
def up_at_a_terminal(data_dir: Path, environ: dict[str, str]) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """`up`, and the keyboard of the terminal that it was started from."""
    keyboard, terminal = pty.openpty()

    def take_terminal() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    command = [*COMMAND, "up", "--data-dir", str(data_dir)]
    with subprocess.Popen(
        command,
        env=environ,
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=take_terminal,  # noqa: PLW1509 - one system call, and nothing else runs in this test's process
    ) as process:
        try:
            yield process, keyboard
        finally:
            process.kill()
            os.close(keyboard)
            os.close(terminal)


def next_link(lines: Iterator[str]) -> str:
    """The next address to sign in by that is printed."""
    return next(found[1] for line in lines if (found := _LINK.match(line.rstrip())))


async def sign_in(page: Page, link: str) -> None:
    """Open the address and press its button."""
    await page.goto("about:blank")  # else only the part behind the # would change
    await page.goto(link)
    await page.click("button:visible")


async def test_the_printed_address_signs_in_once_and_enter_prints_another(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    with up_at_a_terminal(data_dir, clean_environ(tmp_path)) as (process, keyboard):
        first = await asyncio.to_thread(next_link, output_of(process))
        async with chromium() as browser:
            page = await browser.new_page()
            asked: list[str] = []
            page.on("request", lambda request: asked.append(request.url))
            await sign_in(page, first)
            await expect(page.locator("#text")).to_be_focused(timeout=10_000)
            await expect(page.locator(".me")).to_contain_text("demo@example.test")
            token = first.partition("#")[2]
            assert len(token) >= 32
            assert [url for url in asked if token in url.partition("#")[0]] == []

            stranger = await (await browser.new_context()).new_page()
            await stranger.goto(first)
            await expect(stranger.locator("#refused")).to_be_visible()

            os.write(keyboard, b"\n")
            second = await asyncio.to_thread(next_link, progress_of(process))
            assert second != first
            await sign_in(stranger, second)
            await expect(stranger.locator("#text")).to_be_focused(timeout=10_000)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert token not in (data_dir / "logs" / "product.log").read_text()
    assert running_in(data_dir) == []


def test_loading_the_link_changes_nothing_and_ended_links_are_not_printed(tmp_path: Path) -> None:
    environ = clean_environ(tmp_path, LOGIN_MAILS_PER_EMAIL_HOUR="1")
    with started("up", "--json", "--data-dir", tmp_path / "data", environ=environ) as process:
        addresses = addresses_of(process)
        link = addresses["sign_in_url"]
        for _ in range(3):
            assert httpx.get(link, trust_env=False).status_code == 200
        redeemed = [
            httpx.post(
                link.partition("#")[0],
                json={"token": link.partition("#")[2]},
                trust_env=False,
            ).status_code
            for _ in range(2)
        ]
        assert redeemed == [204, 401]
        assert new_sign_in_link(addresses["product_url"], addresses["mail_url"], DEMO_EMAIL) is None
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def test_without_caught_mail_there_is_no_address(tmp_path: Path) -> None:
    environ = clean_environ(
        tmp_path, SMTP_HOST="127.0.0.1", SMTP_PORT="9", SMTP_USE_TLS="false", EMAIL_FROM="chat@example.test"
    )
    with started("up", "--json", "--data-dir", tmp_path / "data", environ=environ) as process:
        assert addresses_of(process)["sign_in_url"] is None
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
