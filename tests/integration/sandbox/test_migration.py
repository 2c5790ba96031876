import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from b2b_chat.sandbox.errors import SandboxError
from b2b_chat.sandbox.migration import is_up_to_date, migrate
from b2b_chat.sandbox.postgres import run_sql


@pytest.fixture
def new_database_url(postgres_url: str) -> Iterator[str]:
    """The address of a database without any table."""
    name = f"b2b_chat_test_{secrets.token_hex(6)}"
    run_sql(postgres_url, f"CREATE DATABASE {name}")
    yield urlsplit(postgres_url)._replace(path=f"/{name}").geturl()
    run_sql(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")


def environ_for(database_url: str) -> dict[str, str]:
    """What product_api's settings need, and nothing that a developer has set."""
    kept = {
        name: value for name, value in os.environ.items() if name in {"PATH", "PYTHONPATH"} or name.startswith("COV")
    }
    secret_names = ("GATEWAY_SHARED_SECRET", "SESSION_SECRET", "AUTH_TOKEN_SECRET", "INVITE_TOKEN_SECRET")
    return {**kept, **{name: secrets.token_hex(32) for name in secret_names}, "DATABASE_URL": database_url}


def test_a_database_is_up_to_date_once_migrated_and_until_either_side_changes(
    new_database_url: str, tmp_path: Path
) -> None:
    stamp, log = tmp_path / "migrated", tmp_path / "migrate.log"
    assert not is_up_to_date(new_database_url, stamp)
    migrate(new_database_url, stamp, environ=environ_for(new_database_url), log=log)
    assert is_up_to_date(new_database_url, stamp)
    assert run_sql(new_database_url, "SELECT count(*) > 0 FROM companies") == "f"

    noted = stamp.read_text()
    stamp.write_text("of-other-migrations " + noted.split()[1])
    assert not is_up_to_date(new_database_url, stamp)

    stamp.write_text(noted)
    run_sql(new_database_url, "UPDATE alembic_version SET version_num = 'other'")
    assert not is_up_to_date(new_database_url, stamp)

    run_sql(new_database_url, "DROP TABLE alembic_version")
    assert not is_up_to_date(new_database_url, stamp)


def test_a_migration_that_fails_is_reported_and_not_noted(tmp_path: Path) -> None:
    url = "postgresql://nobody@127.0.0.1:1/nothing"
    stamp = tmp_path / "migrated"
    with pytest.raises(SandboxError, match=r"The migration ended with exit code 1\. The end of .*migrate\.log:\n"):
        migrate(url, stamp, environ=environ_for(url), log=tmp_path / "migrate.log")
    assert not stamp.exists()
