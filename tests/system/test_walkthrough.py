"""The README's way from an empty database to a colleague's first chat: every command, pasted as it stands there."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import httpx

from support.processes.commands import addresses_of, clean_environ, started, until

README: Final = Path(__file__).parents[2] / "README.md"
SECTION: Final = "From an empty database to a colleague's first chat"


def blocks_of(section: str) -> list[str]:
    """The shell commands of a section."""
    text = README.read_text(encoding="utf-8").partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return re.findall(r"```sh\n(.*?)```", text, re.DOTALL)


class Terminal:
    """A shell that keeps its variables from one pasted block to the next."""

    def __init__(self, folder: Path, environ: dict[str, str], product_url: str) -> None:
        self._folder = folder
        self._product_url = product_url
        self.environ = environ

    def paste(self, block: str) -> str:
        """Run a block as a newcomer would, at the port and with the Python that this test has."""
        block = block.replace("http://127.0.0.1:8000", self._product_url)
        block = block.replace("uv run b2b-chat", f"{sys.executable} -m b2b_chat.cli")
        kept = self._folder / "environ"
        done = subprocess.run(
            ["/bin/bash", "-ec", f'{block}\nenv -0 > "{kept}"'],
            env=self.environ,
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, (block, done.stdout, done.stderr)
        self.environ = dict(pair.split("=", 1) for pair in kept.read_text().rstrip("\0").split("\0"))
        return done.stdout


class Mails:
    """What the mail catcher has caught."""

    def __init__(self, mail_url: str) -> None:
        self._url = mail_url
        self._read = 0

    def next_to(self, address: str) -> dict[str, Any]:
        """The next mail to an address, once it has come."""
        found: list[dict[str, Any]] = []

        def has_come() -> bool:
            items = httpx.get(self._url, params={"to": address}, trust_env=False).json()["items"]
            found[:] = [mail for mail in items if mail["id"] > self._read]
            return bool(found)

        until(has_come)
        self._read = found[0]["id"]
        return found[0]


def test_the_walkthrough_works_when_pasted(tmp_path: Path) -> None:
    blocks = iter(blocks_of(SECTION))
    with started("up", "--json", "--data-dir", tmp_path / "data", environ=clean_environ(tmp_path)) as process:
        stack = addresses_of(process)
        mails = Mails(stack["mail_url"])
        terminal = Terminal(tmp_path, clean_environ(tmp_path), stack["product_url"])

        assert next(blocks) == "export DATABASE_URL=postgresql://...\n"
        terminal.environ["DATABASE_URL"] = stack["database_url"]
        terminal.paste(next(blocks))  # the operator
        assert terminal.paste(next(blocks)) == "The balance is 100.000000 credits after entry 1.\n"

        terminal.paste(next(blocks))  # Anna asks for a mail
        assert next(blocks) == "export CODE=123456\n"
        terminal.environ["CODE"] = mails.next_to("anna@example.test")["code"]
        anna = json.loads(terminal.paste(next(blocks)))
        assert anna["company"]["id"] == terminal.environ["COMPANY"]
        assert anna["company"]["role"] == "owner"

        invite = json.loads(terminal.paste(next(blocks)))
        assert (invite["email"], invite["state"]) == ("boris@example.test", "pending")
        assert next(blocks) == "export TOKEN=...\n"
        terminal.environ["TOKEN"] = mails.next_to("boris@example.test")["link"].partition("#")[2]

        terminal.paste(next(blocks))  # Boris asks for a mail
        assert next(blocks) == "export CODE=123456\n"
        terminal.environ["CODE"] = mails.next_to("boris@example.test")["code"]
        terminal.paste(next(blocks))
        joined, _, answer = terminal.paste(next(blocks)).partition("}")
        assert json.loads(joined + "}")["company_id"] == terminal.environ["COMPANY"]
        chat = json.loads(answer)
        assert chat["status"] == "completed"
        assert chat["text"]

        lines = terminal.paste(next(blocks)).splitlines()
        in_the_shell = [json.loads(line)["action"] for line in lines if line.startswith('{"id"')]
        assert in_the_shell == ["audit.export", "invite.accept", "invite.create", "credits.add", "company.create"]
        over_http = re.findall(r'"action":"([a-z_.]+)"', lines[-1])
        assert over_http == in_the_shell * 2  # the operator's view, and Anna's
        assert list(blocks) == []

        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 0
