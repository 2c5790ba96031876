"""The mail that `b2b-chat up` catches, from the outside."""

import re
import signal
from pathlib import Path
from typing import Any

import httpx

from support.processes.commands import addresses_of, clean_environ, started, until


def test_caught_mail_is_shown_listed_and_signs_in(tmp_path: Path) -> None:
    with started("up", "--json", "--data-dir", tmp_path / "data", environ=clean_environ(tmp_path)) as process:
        addresses = addresses_of(process)
        with httpx.Client(base_url=addresses["product_url"], trust_env=False, timeout=30) as http:
            asked = http.post("/auth/request-link", json={"email": "demo@example.test", "language": "en"})
            assert asked.status_code == 202

            def mails() -> list[dict[str, Any]]:
                found: list[dict[str, Any]] = httpx.get(addresses["mail_url"], trust_env=False).json()["items"]
                return found

            # The first is the one that `up` asked for, to print an address to sign in by.
            until(lambda: len(mails()) == 2)
            mail, first = mails()
            assert first["link"] == addresses["sign_in_url"]
            assert mail["link"].startswith(f"{addresses['product_url']}/auth/verify#")
            assert process.stderr is not None
            shown = ""
            while "code" not in shown:
                shown += process.stderr.readline()
            assert f"Mail to demo@example.test: Sign in\n  link {mail['link']}\n  code {mail['code']}\n" in shown

            proof = {"email": "demo@example.test", "code": mail["code"]}
            assert http.post("/auth/verify", json=proof).status_code == 204
            assert http.get("/v1/me").json()["email"] == "demo@example.test"
            chat = http.post("/v1/chat", json={"client_message_id": "1", "text": "Hello"})
            assert chat.status_code == 200
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 0
    log = (tmp_path / "data" / "logs" / "product.log").read_text()
    secrets = (mail["link"].partition("#")[2], "demo@example.test")
    assert [secret for secret in secrets if secret in log] == []
    assert not re.search(rf"(?<![\w.-]){mail['code']}(?![\w-])", log)  # not within a time or an id
    assert re.search(r'"event":"mail_sent"', log)
