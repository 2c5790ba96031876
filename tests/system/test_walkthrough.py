"""The way from an empty database to a colleague's first chat, and what else WALKTHROUGH.md has to paste."""

import json
import re
import signal
from pathlib import Path
from typing import Final

import httpx

from support.processes.commands import addresses_of, clean_environ, started
from support.processes.pasting import ROOT, Mails, Terminal, blocks_of

DOCUMENT: Final = "deploy/WALKTHROUGH.md"


def test_the_walkthrough_works_when_pasted(tmp_path: Path) -> None:
    blocks = iter(blocks_of(DOCUMENT, "From an empty database to a colleague's first chat"))
    with started("up", "--json", "--data-dir", tmp_path / "data", environ=clean_environ(tmp_path)) as process:
        stack = addresses_of(process)
        mails = Mails(stack["mail_url"])
        terminal = Terminal(tmp_path, clean_environ(tmp_path), stack)

        assert next(blocks) == "export DATABASE_URL=postgresql://...\n"
        terminal.environ["DATABASE_URL"] = stack["database_url"]
        terminal.paste(next(blocks))  # the operator
        assert terminal.paste(next(blocks)) == "The balance is 100.000000 credits after entry 1.\n"

        terminal.paste(next(blocks))  # Anna asks for a mail
        assert next(blocks) == "export CODE=12345678\n"
        terminal.environ["CODE"] = mails.next_to("anna@example.test")["code"]
        anna = json.loads(terminal.paste(next(blocks)))
        assert anna["company"]["id"] == terminal.environ["COMPANY"]
        assert anna["company"]["role"] == "owner"

        invite = json.loads(terminal.paste(next(blocks)))
        assert (invite["email"], invite["state"]) == ("boris@example.test", "pending")
        assert next(blocks) == "export TOKEN=...\n"
        terminal.environ["TOKEN"] = mails.next_to("boris@example.test")["link"].partition("#")[2]

        terminal.paste(next(blocks))  # Boris asks for a mail
        assert next(blocks) == "export CODE=12345678\n"
        terminal.environ["CODE"] = mails.next_to("boris@example.test")["code"]
        terminal.paste(next(blocks))
        joined, _, answer = terminal.paste(next(blocks)).partition("}")
        assert json.loads(joined + "}")["company_id"] == terminal.environ["COMPANY"]
        chat = json.loads(answer)
        assert chat["status"] == "completed"
        assert chat["text"]

        lines = terminal.paste(next(blocks)).splitlines()
        in_the_shell = [json.loads(line)["action"] for line in lines if line.startswith('{"id"')]
        of_people = ["invite.accept", "invite.create", "session.start"]
        assert in_the_shell == ["audit.export", *of_people, "credits.add", "company.create"]
        over_http = re.findall(r'"action":"([a-z_.]+)"', lines[-1])
        assert over_http == in_the_shell * 2  # the operator's view, and Anna's
        assert list(blocks) == []

        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 0


def test_signing_in_works_when_pasted(tmp_path: Path) -> None:
    request_link, list_mails, export_code, verify = blocks_of(DOCUMENT, "Sign in")
    (mail_test,) = blocks_of(DOCUMENT, "Mail")
    with started("up", "--json", "--data-dir", tmp_path / "data", environ=clean_environ(tmp_path)) as process:
        stack = addresses_of(process)
        terminal = Terminal(tmp_path, clean_environ(tmp_path), stack)
        mails = Mails(stack["mail_url"])
        mails.next_to("demo@example.test")  # the one whose link `up` printed

        assert json.loads(terminal.paste(request_link))["status"] == "accepted"
        code = mails.next_to("demo@example.test")["code"]
        assert json.loads(terminal.paste(list_mails))["items"][0]["code"] == code
        assert export_code == "export CODE=12345678\n"
        terminal.environ["CODE"] = code
        told = terminal.paste(verify)
        assert '"email":"demo@example.test"' in told
        assert '"status":"completed"' in told
        cookies = (tmp_path / "cookies").read_text()
        assert "session" in cookies
        session = cookies.split()[-1]
        refused = httpx.get(f"{stack['product_url']}/v1/me", cookies={"session": session}, trust_env=False)
        assert refused.status_code == httpx.codes.UNAUTHORIZED  # the last line signed out

        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert mail_test == "uv run just mail-test you@example.com\n"
    assert "uv run b2b-chat mail-test" in (ROOT / "justfile").read_text(encoding="utf-8")
