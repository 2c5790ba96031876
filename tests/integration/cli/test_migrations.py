"""`b2b-chat migrate` while the database is in use, and `migrate-check`."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import pytest

from b2b_chat.product.schema import head
from b2b_chat.sandbox.postgres import run_sql
from support.processes.releases import copied

_NEXT = """
from alembic import op
import sqlalchemy as sa

revision = "9999"
down_revision = "{head}"


def upgrade() -> None:
    op.add_column("companies", sa.Column("planted", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("companies", "planted")
"""


async def test_a_migration_gives_up_a_lock_that_it_cannot_have_soon_and_works_again(
    owner_url: str, tmp_path: Path
) -> None:
    release = copied(tmp_path)
    (tmp_path / "migrations/versions/9999_planted.py").write_text(_NEXT.format(head=head()))
    environ = {"DATABASE_URL": owner_url, "MIGRATION_LOCK_TIMEOUT_SECONDS": "0.2"}

    reader = await asyncpg.connect(owner_url)
    try:
        async with reader.transaction():  # a report that takes its time, say
            await reader.fetch("SELECT * FROM companies")
            refused = release.run("migrate", environ=environ)
    finally:
        await reader.close()
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("b2b-chat: a migration waited too long for a lock")
    assert len(refused.stderr.splitlines()) == 1
    assert run_sql(owner_url, "SELECT version_num FROM alembic_version") == head()

    done = release.run("migrate", environ=environ)
    assert (done.returncode, done.stderr) == (0, "")
    assert run_sql(owner_url, "SELECT version_num FROM alembic_version") == "9999"


def test_an_invalid_timeout_is_named(owner_url: str, tmp_path: Path) -> None:
    environ = {"DATABASE_URL": owner_url, "MIGRATION_LOCK_TIMEOUT_SECONDS": "canary"}
    done = copied(tmp_path).run("migrate", environ=environ)
    assert done.returncode != 0
    assert done.stderr.strip().splitlines()[-1].startswith("b2b-chat: MIGRATION_LOCK_TIMEOUT_SECONDS must be a number")


@pytest.mark.parametrize(
    ("file", "old", "new", "named"),
    [
        (
            "src/b2b_chat/product/companies/models.py",
            "class CompanyRow(Row):",
            "class CompanyRow(Row):\n    planted: Mapped[str | None]",
            "planted",
        ),
        (
            "migrations/versions/0001_first_tables.py",
            'op.create_index("ix_conversations_owner", "conversations", ["user_id", "company_id", "id"], unique=False)',
            "pass",
            "ix_conversations_owner",
        ),
    ],
    ids=["a column that no migration makes", "an index that a migration forgets"],
)
def test_the_check_names_what_models_have_and_migrations_lack(
    tmp_path: Path, file: str, old: str, new: str, named: str
) -> None:
    release = copied(tmp_path / "tree")
    release.plant(file, old, new)
    done = release.run("migrate-check", environ={"HOME": str(tmp_path)})
    assert done.returncode == 1, done.stderr
    assert named in done.stderr
    assert "models and migrations differ" in done.stderr.splitlines()[-1]


_CONCURRENT = """
from alembic import op

revision = "9999"
down_revision = "{head}"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("SELECT pg_sleep(2)")
        op.create_index("ix_planted", "companies", ["name"], postgresql_concurrently=True)


def downgrade() -> None:
    op.drop_index("ix_planted", "companies")
"""


def test_an_index_is_built_without_a_lock_while_another_release_waits_to_migrate(
    owner_url: str, tmp_path: Path
) -> None:
    release = copied(tmp_path)
    (tmp_path / "migrations/versions/9999_planted.py").write_text(_CONCURRENT.format(head=head()))
    environ = {"DATABASE_URL": owner_url}
    with ThreadPoolExecutor() as pool:
        both = [pool.submit(release.run, "migrate", environ=environ) for _ in range(2)]
        done = [each.result(timeout=60) for each in both]
    assert [(each.returncode, each.stderr) for each in done] == [(0, ""), (0, "")]
    assert run_sql(owner_url, "SELECT version_num FROM alembic_version") == "9999"
    assert run_sql(owner_url, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix_planted'::regclass") == "t"
