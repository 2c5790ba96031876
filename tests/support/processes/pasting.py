"""The commands of a document, pasted as a newcomer would."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import httpx

from support.processes.commands import until

ROOT: Final = Path(__file__).parents[3]


def blocks_of(document: str, section: str, language: str = "sh") -> list[str]:
    """The blocks of a language in a section, which is a heading of any level down to the next one of its own level."""
    text = (ROOT / document).read_text(encoding="utf-8")
    heading = re.search(rf"^(#+) {re.escape(section)}$", text, re.MULTILINE)
    assert heading, (document, section)
    body = re.split(rf"^{heading[1]} ", text[heading.end() :], maxsplit=1, flags=re.MULTILINE)[0]
    return re.findall(rf"```{language}\n(.*?)```", body, re.DOTALL)


class Terminal:
    """A shell that keeps its variables from one pasted block to the next."""

    def __init__(self, folder: Path, environ: dict[str, str], stack: dict[str, Any]) -> None:
        self._folder = folder
        self._stack = stack
        self.environ = environ

    def paste(self, block: str) -> str:
        """Run a block as it stands, at the ports of this stack and with the Python of this test."""
        block = block.replace("http://127.0.0.1:8000", self._stack["product_url"])
        block = block.replace("http://127.0.0.1:8003/mails", self._stack["mail_url"])
        block = block.replace("uv run b2b-chat", f"{sys.executable} -m b2b_chat.cli")
        kept = self._folder / "environ"
        return self._run(["/bin/bash", "-ec", f'{block}\nenv -0 > "{kept}"'], kept)

    def paste_python(self, block: str) -> str:
        """Run a block of Python at the ports of this stack."""
        return self._run([sys.executable, "-c", block.replace("http://127.0.0.1:8000", self._stack["product_url"])])

    def _run(self, command: list[str], kept: Path | None = None) -> str:
        done = subprocess.run(
            command, env=self.environ, cwd=self._folder, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, (command[-1], done.stdout, done.stderr)
        if kept is not None:
            self.environ = dict(pair.split("=", 1) for pair in kept.read_text().rstrip("\0").split("\0"))
        return done.stdout


class Mails:
    """The mails that the catcher has."""

    def __init__(self, mail_url: str) -> None:
        self._url = mail_url
        self._read = 0

    def next_to(self, address: str) -> dict[str, Any]:
        """The next mail to an address, once it is there."""
        found: list[dict[str, Any]] = []

        def is_there() -> bool:
            items = httpx.get(self._url, params={"to": address}, trust_env=False).json()["items"]
            found[:] = [mail for mail in items if mail["id"] > self._read]
            return bool(found)

        until(is_there)
        self._read = found[0]["id"]
        return found[0]
