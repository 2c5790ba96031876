"""What PostgreSQL itself refuses any caller, and the migrations that made it so."""

import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from b2b_chat.product.database_roles import DatabaseOwner
from b2b_chat.product.schema import TABLES, metadata, migrations_folder
from b2b_chat.sandbox.postgres import run_sql
from support.database.world import Person, World
from support.product.app import Client

_DUMP = """
    SELECT string_agg(line, E'\\n' ORDER BY line) FROM (
        SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable || ' '
               || coalesce(column_default, '') AS line
        FROM information_schema.columns WHERE table_schema = 'public'
        UNION ALL SELECT conrelid::regclass || ' ' || conname || ' '
               || replace(pg_get_constraintdef(oid), ' NOT VALID', '') -- the ledger's rows cannot be changed to fit
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace
        UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
        UNION ALL SELECT tgrelid::regclass || ' ' || pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
        UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
        UNION ALL SELECT typname FROM pg_type WHERE typnamespace = 'public'::regnamespace AND typtype = 'e'
    ) AS lines
"""


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger SET amount_credits = 0 WHERE company_id = $1",
        "UPDATE ledger SET created_at = now() WHERE company_id = $1",
        "DELETE FROM ledger WHERE company_id = $1",
    ],
)
async def test_the_ledger_is_append_only(world: World, person: Person, statement: str) -> None:
    before = await world.ledger(person)
    with pytest.raises(asyncpg.RestrictViolationError, match="append-only"):
        await world.rows(statement, person.company_id)
    assert await world.ledger(person) == before


async def test_the_ledger_cannot_be_emptied(world: World, person: Person) -> None:
    for statement in ("TRUNCATE ledger", "TRUNCATE companies CASCADE"):
        with pytest.raises(asyncpg.RestrictViolationError, match="append-only"):
            await world.rows(statement)
    assert len(await world.ledger(person)) == 1


_BROKEN: dict[str, tuple[str, type[asyncpg.PostgresError]]] = {
    "a negative balance": (
        "UPDATE accounts SET balance_credits = -0.000001 WHERE company_id = $1",
        asyncpg.CheckViolationError,
    ),
    "more held than there is": (
        "UPDATE accounts SET held_credits = balance_credits + 0.000001 WHERE company_id = $1",
        asyncpg.CheckViolationError,
    ),
    "less than nothing held": (
        "UPDATE accounts SET held_credits = -1 WHERE company_id = $1",
        asyncpg.CheckViolationError,
    ),
    "a second charge for a message": (
        (
            "INSERT INTO ledger (company_id, position, kind, amount_credits, balance_after_credits, message_id) "
            "SELECT company_id, 99, kind, amount_credits, balance_after_credits, message_id FROM ledger "
            "WHERE company_id = $1 AND kind = 'charge'"
        ),
        asyncpg.UniqueViolationError,
    ),
    "a position taken twice": (
        (
            "INSERT INTO ledger (company_id, position, kind, amount_credits, balance_after_credits) "
            "VALUES ($1, 1, 'top_up', 1, 1)"
        ),
        asyncpg.UniqueViolationError,
    ),
    "a charge for nothing": (
        (
            "INSERT INTO ledger (company_id, position, kind, amount_credits, balance_after_credits) "
            "VALUES ($1, 99, 'charge', -1, 1)"
        ),
        asyncpg.CheckViolationError,
    ),
    "a balance after that is negative": (
        (
            "INSERT INTO ledger (company_id, position, kind, amount_credits, balance_after_credits) "
            "VALUES ($1, 99, 'top_up', -1, -1)"
        ),
        asyncpg.CheckViolationError,
    ),
    "an entry of no kind": (
        (
            "INSERT INTO ledger (company_id, position, kind, amount_credits, balance_after_credits) "
            "VALUES ($1, 99, 'gift', 1, 1)"
        ),
        asyncpg.CheckViolationError,
    ),
    "a second account": ("INSERT INTO accounts (company_id) VALUES ($1)", asyncpg.UniqueViolationError),
    "a second live hold": (
        (
            "WITH first AS (UPDATE holds SET state = 'live' WHERE company_id = $1 RETURNING *) "
            "INSERT INTO holds (id, company_id, message_id, amount_credits) "
            "SELECT gen_random_uuid(), company_id, message_id, 1 FROM first"
        ),
        asyncpg.UniqueViolationError,
    ),
    "a hold of nothing": (
        "UPDATE holds SET amount_credits = 0 WHERE company_id = $1",
        asyncpg.CheckViolationError,
    ),
    "a hold in no state": ("UPDATE holds SET state = 'lost' WHERE company_id = $1", asyncpg.CheckViolationError),
    "a message in no state": (
        "UPDATE messages SET status = 'lost' WHERE company_id = $1",
        asyncpg.CheckViolationError,
    ),
    "a message of nobody": (
        "UPDATE messages SET role = 'robot' WHERE company_id = $1 AND role = 'user'",
        asyncpg.CheckViolationError,
    ),
    "an answer to nothing": (
        "UPDATE messages SET reply_to = NULL WHERE company_id = $1 AND role = 'assistant'",
        asyncpg.CheckViolationError,
    ),
    "a second answer": (
        (
            "INSERT INTO messages (id, company_id, user_id, conversation_id, role, status, reply_to) "
            "SELECT gen_random_uuid(), company_id, user_id, conversation_id, role, status, reply_to "
            "FROM messages WHERE company_id = $1 AND role = 'assistant'"
        ),
        asyncpg.UniqueViolationError,
    ),
    "a client message id used twice": (
        (
            "INSERT INTO messages (id, company_id, user_id, conversation_id, role, status, client_message_id, "
            "sender_id) "
            "SELECT gen_random_uuid(), company_id, user_id, conversation_id, role, status, client_message_id, "
            "sender_id FROM messages WHERE company_id = $1 AND role = 'user'"
        ),
        asyncpg.UniqueViolationError,
    ),
    "a user twice": (
        (
            "INSERT INTO users (id, email) SELECT gen_random_uuid(), email FROM users JOIN memberships "
            "ON user_id = id WHERE company_id = $1"
        ),
        asyncpg.UniqueViolationError,
    ),
    "an address in capitals": (
        "UPDATE users SET email = upper(email) WHERE id = (SELECT user_id FROM memberships WHERE company_id = $1)",
        asyncpg.CheckViolationError,
    ),
    "a member who is nothing": (
        "UPDATE memberships SET role = 'king' WHERE company_id = $1",
        asyncpg.CheckViolationError,
    ),
    "a company that still has people": (
        "DELETE FROM companies WHERE id = $1",
        asyncpg.ForeignKeyViolationError,
    ),
}


@pytest.mark.parametrize("what", _BROKEN)
async def test_the_schema_refuses_every_invalid_state(client: Client, world: World, person: Person, what: str) -> None:
    await client.ask()
    statement, refusal = _BROKEN[what]
    with pytest.raises(refusal):
        await world.rows(statement, person.company_id)
    await world.check_books()


async def test_a_conversation_has_one_running_answer(client: Client, world: World, person: Person) -> None:
    conversation_id = (await client.ask())["conversation_id"]
    await client.ask(conversation_id=conversation_id)
    with pytest.raises(asyncpg.UniqueViolationError):
        await world.rows(
            "UPDATE messages SET status = 'pending' WHERE user_id = $1 AND role = 'assistant'", person.user_id
        )


@pytest.fixture
def config(empty_database_url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(migrations_folder()))
    config.attributes["owner"] = DatabaseOwner(empty_database_url, None)
    return config


class TestMigrations:
    def test_the_tables_are_as_the_models_say(self, config: Config) -> None:
        command.upgrade(config, "head")
        command.check(config)

    def test_down_to_nothing_and_up_again(self, config: Config, empty_database_url: str) -> None:
        nothing = run_sql(empty_database_url, _DUMP)
        command.upgrade(config, "head")
        first = run_sql(empty_database_url, _DUMP)
        command.downgrade(config, "base")
        left = [line for line in run_sql(empty_database_url, _DUMP).splitlines() if "alembic_version" not in line]
        assert left == nothing.splitlines()
        command.upgrade(config, "head")
        assert run_sql(empty_database_url, _DUMP) == first

    def test_each_migration_can_be_taken_back_alone(self, config: Config, empty_database_url: str) -> None:
        revisions = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
        states = []
        for revision in reversed(revisions):
            states.append(run_sql(empty_database_url, _DUMP))
            command.upgrade(config, revision)
        for _ in revisions:
            command.downgrade(config, "-1")
            now = run_sql(empty_database_url, _DUMP).splitlines()
            then = states.pop().splitlines()
            assert [line for line in now if "alembic" not in line] == [line for line in then if "alembic" not in line]

    def test_an_autogenerated_revision_is_empty(self, config: Config, tmp_path: Path) -> None:
        command.upgrade(config, "head")
        config.set_main_option("version_locations", f"{migrations_folder() / 'versions'} {tmp_path}")
        config.set_main_option("path_separator", "space")
        command.revision(config, autogenerate=True, message="nothing", version_path=str(tmp_path))
        (file,) = tmp_path.glob("*.py")
        source = file.read_text()
        assert "op." not in source.partition("def upgrade")[2]
        assert source.count("pass") == 2

    def test_two_at_once_by_the_command_line_do_it_once(self, empty_database_url: str) -> None:
        upgrading = [alembic("upgrade", "head", DATABASE_URL=empty_database_url) for _ in range(2)]
        for process in upgrading:
            _, stderr = process.communicate(timeout=60)
            assert process.returncode == 0, stderr
        assert run_sql(empty_database_url, "SELECT count(*) FROM alembic_version") == "1"

    def test_without_an_address_it_names_the_variable(self) -> None:
        process = alembic("upgrade", "head")
        _, stderr = process.communicate(timeout=60)
        assert process.returncode != 0
        assert "DATABASE_URL" in stderr
        assert "Traceback" not in stderr

    def test_no_table_is_forgotten(self) -> None:
        assert {table.__tablename__ for table in TABLES} == set(metadata().tables)


def alembic(*arguments: str, **environ: str) -> subprocess.Popen[str]:
    """Start `alembic ...` at the top of the tree, as a person does."""
    return subprocess.Popen(
        [sys.executable, "-m", "alembic", *arguments],
        cwd=migrations_folder().parent,
        env={"PATH": "", **environ},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
