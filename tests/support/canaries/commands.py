"""Every command of `b2b-chat`, used well and badly, with an installation's secrets in its environment."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import click
from click.testing import CliRunner

from b2b_chat.cli import main
from b2b_chat.kit.settings import variables
from b2b_chat.product.settings import ProductSettings
from b2b_chat.sandbox.postgres import _binary
from support.canaries.caller import MESSAGE, OPERATOR, OWNER, STRANGER
from support.canaries.stack import DATABASE, WatchedStack
from support.processes.commands import COMMAND

LONG_RUNNING: Final = {"demo", "gateway", "mail-catcher", "openai-simulator", "product", "up"}
"""They serve until they are stopped; product and gateway do so in the story, the others are toys of a laptop."""
CANNOT_FAIL: Final = {"masking-outline", "error-codes", "migrate-check"}
"""They need nothing: one prints a table of the code, one works on a database of its own, one reads any text."""
SHOWS: Final = {"operator-create": "the new key, once"}
"""What a command prints because this is what it is for."""
_WRONG_CHOICE: Final = "neither"


def list_commands(group: click.Group = main, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command there is, with the words that call it."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from list_commands(command, f"{prefix}{name} ")
        else:
            yield prefix + name, command


class Commands:
    """Runs commands and keeps what they write."""

    def __init__(self, stack: WatchedStack) -> None:
        self.written = b""
        self.ended_with: dict[str, set[int]] = {name: set() for name, _ in list_commands()}
        self._stack = stack
        self._company = ""
        self._path = f"{_binary('pg_dump').parent}:{os.environ['PATH']}"
        self._backup = stack.folder / "backup"

    def set_up(self) -> tuple[str, str]:
        """An operator's key and a company with credits, as a person at the shell makes them."""
        key = self._run("operator-create", OPERATOR).strip()
        self._company = self._run("company-create", "A company", "--owner", OWNER).strip()
        self._run("credits-add", self._company, "1000", "--external-id", "first")
        return key, self._company

    def run_the_rest(self) -> None:
        """Everything else that works."""
        self._run("company-create", "Another", "--owner", STRANGER)
        user = self._stack.sql(f"SELECT id FROM users WHERE email = '{STRANGER}'")  # noqa: S608 - our own
        for command in ("user-block", "user-unblock", "factor-reset"):
            self._run(command, user)
        for command in ("company-block", "company-unblock"):
            self._run(command, self._company)
        self._run(
            "credits-adjust", self._company, "-1", "--external-id", "second", "--corrects", "1", "--reason", "a test"
        )
        self._run("masking-floor", "secrets=mask")
        self._run("masking-policy", self._company, "contacts=mask", "CARD=block")
        words = self._stack.folder / "words.txt"
        words.write_text(f"{MESSAGE}\n", encoding="utf-8")
        self._run("masking-terms", self._company, "--terms", str(words))
        self._run("masking-outline", str(words))
        former = self._run("operator-create", "former@example.test")
        self._run("operator-keys", "former@example.test")
        self._run("operator-key-revoke", former[:12])
        self._run("operator-remove", "former@example.test")
        self._run("audit", "--company", self._company)
        self._run("ledger verify")
        self._run("mail-test", "somebody@example.test")
        self._run("migrate")
        self._run("doctor", "product")
        self._run("migrate-check")
        self._run("backup", str(self._backup))
        self._stack.sql("CREATE DATABASE restored")
        restored = {
            "DATABASE_URL": self._stack.url_of("restored"),
            "MIGRATIONS_DATABASE_URL": self._stack.owner_url_of("restored"),
        }
        self._run("restore", str(self._backup), **restored)
        for app in ("product", "gateway"):
            self._run("openapi", app)
            self._run("env-example", app)
        self._run("error-codes")

    def fail(self) -> None:
        """Everything there is, where it cannot work: no database, no mail server, settings that are none."""
        secret = self._stack.secrets.database_password
        hostile = dict.fromkeys(("WORKERS", "LOG_LEVEL", "SMTP_PORT", "PRODUCT_PORT", "OPENAI_SIMULATOR_SEED"), secret)
        processes = {
            name: subprocess.Popen(
                [*COMMAND, *name.split()],
                env={**self._stack.product_environ, **hostile},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            for name, _ in list_commands()
            if name in LONG_RUNNING
        }
        for name, command in list_commands():
            if name not in LONG_RUNNING:
                self._invoke(name, *wrong_arguments(command, self._backup), SMTP_PORT="1")
        for name, process in processes.items():
            output, _ = process.communicate(timeout=60)
            self.written += output
            self.ended_with[name].add(process.returncode)

    def _owner(self) -> dict[str, str]:
        return {"MIGRATIONS_DATABASE_URL": self._stack.owner_url_of(DATABASE)}

    def repeat(self, text: str) -> None:
        """Have a command say what it was given."""
        self._invoke("company-block", text)

    def _run(self, name: str, *arguments: str, **environ: str) -> str:
        result = self._invoke(name, *arguments, **environ)
        assert result.exit_code == 0, (name, result.output, result.exception)
        return str(result.stdout)

    def _invoke(self, name: str, *arguments: str, **environ: str) -> Any:
        # Whatever the tests themselves run with must not come in between.
        unset = {variable.name: None for variable in variables(ProductSettings)}
        result = CliRunner().invoke(
            main,
            [*name.split(), *arguments],
            env={**unset, **self._stack.product_environ, **self._owner(), "PATH": self._path, **environ},
        )
        self.ended_with[name].add(result.exit_code)
        self.written += result.stderr.encode() + (b"" if name in SHOWS else result.stdout.encode())
        return result


def wrong_arguments(command: click.Command, file: Path, choice: str = _WRONG_CHOICE) -> Iterator[str]:
    """Arguments of the right form that stand for nothing; a choice has a wrong one unless told."""
    for parameter in command.params:
        if parameter.required:
            if isinstance(parameter, click.Option):
                yield parameter.opts[0]
            yield choice if isinstance(parameter.type, click.Choice) else _value_for(parameter, file)


def _value_for(parameter: click.Parameter, file: Path) -> str:
    if isinstance(parameter.type, click.Path):
        return str(file)
    if parameter.type is click.UUID:
        return str(uuid4())
    return {"amount": "5", "corrects": "1", "reason": MESSAGE}.get(parameter.name or "", OWNER)
