"""Every command where a database or a Valkey fails it: it says what to do, and shows nothing of what it was given."""

import asyncio
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest
import structlog
from click.testing import CliRunner, Result

from b2b_chat.cli import main
from b2b_chat.kit.settings import variables
from b2b_chat.product.settings import ProductSettings
from b2b_chat.sandbox.postgres import EmbeddedPostgres, run_sql
from b2b_chat.sandbox.valkey import EmbeddedValkey
from support.canaries.commands import LONG_RUNNING, list_commands, wrong_arguments
from support.canaries.values import Canaries
from support.processes.commands import clean_environ, run
from support.product.app import environ

_PASSWORD: Final = "canary-of-the-database-7Gs"
_VALKEY_PASSWORD: Final = "canary-of-valkey-3Hd"
_SECRETS: Final = {
    "SESSION_SECRET": "canary-of-sessions-4Jf8Kd1Lq",
    "AUTH_TOKEN_SECRET": "canary-of-logins-9Wn2Rt6Yb",
    "INVITE_TOKEN_SECRET": "canary-of-invites-5Vc3Xz7Mp",
    "GATEWAY_SHARED_SECRET": "canary-of-the-border-1Qa6Ws2Ed",
    "SMTP_PASSWORD": "canary-of-the-mail-8Ik4Ol",
}
_NOWHERE: Final = "127.0.0.1:9"
_ON_A_DATABASE: Final = {
    name: command
    for name, command in list_commands()
    if name
    not in LONG_RUNNING
    | {"migrate-check", "error-codes", "openapi", "env-example", "mail-test", "doctor", "masking-outline"}
}
_PEOPLE: Final = {"operator-create", "operator-remove", "user-block", "user-unblock"}
"""They begin by looking for a person, so a database without tables fails them as the others."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL that asks its user `guarded` for a password, with a database `empty`."""
    folder = tmp_path_factory.mktemp("guarded")
    server = EmbeddedPostgres(folder, durable=False)
    try:
        server.start()
        server.create_database("empty")
        run_sql(server.url("postgres"), f"CREATE ROLE guarded SUPERUSER LOGIN PASSWORD '{_PASSWORD}'")
        rules = folder / "cluster/pg_hba.conf"
        rules.write_text("local all guarded scram-sha-256\n" + rules.read_text())
        run_sql(server.url("postgres"), "SELECT pg_reload_conf()")
        yield server
    finally:
        server.stop()


@pytest.fixture
def addresses(server: EmbeddedPostgres) -> dict[str, str]:
    """An address for each way in which a database fails a command."""

    def address(database: str, password: str) -> str:
        return server.url(database).replace("postgres@", f"guarded:{quote(password)}@", 1)

    return {
        "wrong password": address("empty", f"{_PASSWORD}-wrong"),
        "missing database": address("missing", _PASSWORD),
        "missing tables": address("empty", _PASSWORD),
        "unreachable": f"postgresql://guarded:{_PASSWORD}@{_NOWHERE}/empty",
        "no address": f"guarded:{_PASSWORD}@somewhere/empty",
        "no port": f"postgresql://guarded:{_PASSWORD}@somewhere:port/empty",
    }


@pytest.fixture
def canaries() -> Canaries:
    canaries = Canaries()
    canaries.add("DSN", _PASSWORD)
    canaries.add("Valkey password", _VALKEY_PASSWORD)
    canaries.add("secret", *_SECRETS.values())
    return canaries


@pytest.fixture(autouse=True)
def _as_in_a_fresh_process() -> Iterator[None]:
    """Undo what another test configured: a command has to do it by itself."""
    structlog.reset_defaults()
    handlers = logging.getLogger().handlers
    yield
    logging.getLogger().handlers = handlers
    structlog.reset_defaults()


def invoke(*arguments: str, **settings: str) -> Result:
    unset: dict[str, str | None] = {variable.name: None for variable in variables(ProductSettings)}
    return CliRunner().invoke(main, arguments, env={**unset, **settings})


def check_failure(result: Result, canaries: Canaries) -> str:
    """Assert that a command failed with a line, and return what it wrote."""
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code in {1, 2}
    written = result.stdout + result.stderr
    assert "Traceback" not in written
    assert "unexpectedly" not in written
    assert canaries.hits(written.encode()) == []
    return written


@pytest.mark.parametrize(
    "fault", ["wrong password", "missing database", "missing tables", "unreachable", "no address", "no port"]
)
@pytest.mark.parametrize("name", _ON_A_DATABASE)
def test_a_database_that_cannot_be_used(
    name: str, fault: str, addresses: dict[str, str], canaries: Canaries, tmp_path: Path
) -> None:
    if fault == "missing tables" and name in {"migrate", "backup", "restore"}:
        return  # what they are for
    file = tmp_path / "backup"
    if name == "restore":
        file.write_bytes(b"of nothing")
    arguments = [*wrong_arguments(_ON_A_DATABASE[name], file)]
    if name == "masking-terms":  # one of its options must be there, whichever
        arguments += ["--terms", os.devnull]
    result = invoke(*name.split(), *arguments, DATABASE_URL=addresses[fault], **_SECRETS)
    assert check_failure(result, canaries).startswith("b2b-chat: ")


@pytest.mark.parametrize("fault", ["wrong password", "missing database", "missing tables", "unreachable"])
def test_the_doctor_at_a_database_that_cannot_be_used(
    fault: str, addresses: dict[str, str], canaries: Canaries
) -> None:
    settings = environ(addresses[fault], f"http://{_NOWHERE}", **_SECRETS)
    assert "fail  " in check_failure(invoke("doctor", "product", **settings), canaries)


@pytest.mark.parametrize("app", ["product", "gateway"])
@pytest.mark.parametrize("is_there", [True, False], ids=["wrong password", "unreachable"])
async def test_a_valkey_that_cannot_be_used(
    own_valkey: EmbeddedValkey, canaries: Canaries, tmp_path: Path, app: str, is_there: bool
) -> None:
    """In a process of its own: what stands on its screen is what a person sees and copies."""
    place = own_valkey.url.replace("unix://", f"unix://:{_VALKEY_PASSWORD}@", 1)
    url = place if is_there else f"redis://:{_VALKEY_PASSWORD}@{_NOWHERE}/0"
    given = environ("postgresql://127.0.0.1:9/none", f"http://{_NOWHERE}", **_SECRETS) if app == "product" else _SECRETS
    settings = clean_environ(tmp_path, **given, OPENAI_API_KEY="canary-of-openai", VALKEY_URL=url, GATEWAY_PORT="9")
    done = await asyncio.to_thread(run, "doctor", app, "--timeout-seconds", "1", environ=settings)
    assert done.returncode == 1
    assert "fail  Valkey" in done.stdout
    assert canaries.hits((done.stdout + done.stderr).encode()) == []
    assert [line for line in done.stderr.splitlines() if not line.startswith('{"event":"valkey_unavailable"')] == []


def test_what_nobody_expected_is_told_without_its_message(monkeypatch: pytest.MonkeyPatch, canaries: Canaries) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError(f"a library's error that quotes {_PASSWORD}")

    monkeypatch.setattr("b2b_chat.product.error_codes.table", fail)
    result = invoke("error-codes")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "RuntimeError" in result.stderr
    assert "test_failing_commands.py" in result.stderr
    assert canaries.hits(result.stderr.encode()) == []
