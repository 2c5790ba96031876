"""Companies, people and keys in a test's database, a view into its tables, and an audit of its books."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from b2b_chat.kit.database import Database
from b2b_chat.product.identity.key_form import SHOWN_CHARACTERS, hash_api_key, new_api_key
from b2b_chat.product.vocabulary import Scope

_TOP_UP = """
    WITH moved AS (
        UPDATE accounts SET balance_credits = balance_credits + $2, entries = entries + 1
        WHERE company_id = $1
        RETURNING company_id, entries, balance_credits
    )
    INSERT INTO ledger (company_id, position, kind, amount_credits, balance_after_credits)
    SELECT company_id, entries, 'top_up', $2, balance_credits FROM moved
"""
_BALANCES_THAT_DIFFER_FROM_THEIR_LEDGER = """
    SELECT accounts.company_id, balance_credits, entries, sum(amount_credits), count(ledger)
    FROM accounts LEFT JOIN ledger USING (company_id)
    GROUP BY accounts.company_id
    HAVING balance_credits <> coalesce(sum(amount_credits), 0) OR entries <> count(ledger)
"""
_HELD_THAT_DIFFERS_FROM_LIVE_HOLDS = """
    SELECT accounts.company_id, held_credits, sum(amount_credits)
    FROM accounts LEFT JOIN holds ON holds.company_id = accounts.company_id AND holds.state = 'live'
    GROUP BY accounts.company_id
    HAVING held_credits <> coalesce(sum(amount_credits), 0)
"""
_BREAKS_IN_THE_CHAIN = """
    SELECT * FROM (
        SELECT company_id, position, amount_credits, balance_after_credits,
               row_number() OVER in_order AS expected_position,
               sum(amount_credits) OVER in_order AS expected_balance
        FROM ledger
        WINDOW in_order AS (PARTITION BY company_id ORDER BY position)
    ) AS entries
    WHERE position <> expected_position OR balance_after_credits <> expected_balance
"""
_ANSWERS_NOT_CHARGED_ONCE = """
    SELECT answer.id, answer.status, count(ledger)
    FROM messages AS answer LEFT JOIN ledger ON ledger.message_id = answer.reply_to AND ledger.kind = 'charge'
    WHERE answer.role = 'assistant'
    GROUP BY answer.id
    HAVING count(ledger) <> 1 AND answer.status IN ('completed', 'stopped')
           OR count(ledger) > (answer.status IN ('completed', 'stopped') OR answer.text <> '')::int
"""
_HOLDS_THAT_DIFFER_FROM_THEIR_ANSWER = """
    SELECT answer.id, answer.status, count(holds)
    FROM messages AS answer LEFT JOIN holds ON holds.message_id = answer.reply_to AND holds.state = 'live'
    WHERE answer.role = 'assistant'
    GROUP BY answer.id
    HAVING count(holds) <> (answer.status IN ('pending', 'streaming'))::int
"""
_CHARGES_OF_MESSAGES = """
    WITH charged AS (
        SELECT first.message_id, -first.amount_credits - coalesce(sum(more.amount_credits), 0) AS credits
        FROM ledger AS first
        LEFT JOIN ledger AS more ON (more.company_id, more.supplements_position) = (first.company_id, first.position)
        WHERE first.message_id IS NOT NULL
        GROUP BY first.message_id, first.amount_credits
    )
"""
_CHARGES_ABOVE_THEIR_HOLD = (
    _CHARGES_OF_MESSAGES  # noqa: S608 - nothing of it comes from outside
    + """
    SELECT charged.message_id, credits, max(amount_credits)
    FROM charged LEFT JOIN holds ON holds.message_id = charged.message_id AND holds.state = 'posted'
    GROUP BY charged.message_id, credits
    HAVING credits > coalesce(max(amount_credits), 0)
"""
)
_CHARGES_THAT_THEIR_ANSWER_DOES_NOT_TELL = (
    _CHARGES_OF_MESSAGES  # noqa: S608 - nothing of it comes from outside
    + """
    SELECT answer.id, credits, charged_credits
    FROM charged FULL JOIN messages AS answer ON answer.reply_to = charged.message_id
    WHERE charged_credits IS NOT NULL AND credits IS DISTINCT FROM charged_credits
"""
)


class Person(NamedTuple):
    """A user of a company, with a key to act by."""

    company_id: UUID
    user_id: UUID
    api_key: str


class World:
    """A test's database, peopled."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def person(
        self,
        *,
        balance: str = "1000",
        scopes: Collection[Scope] = tuple(Scope),
        company_id: UUID | None = None,
        role: str = "member",
    ) -> Person:
        """A new user, of a new company with so many credits unless one is named."""
        user_id, api_key = uuid4(), new_api_key()
        if company_id is None:
            company_id = uuid4()
            await self.rows("INSERT INTO companies (id, name) VALUES ($1, 'A company')", company_id)
            await self.rows("INSERT INTO accounts (company_id) VALUES ($1)", company_id)
            if Decimal(balance):
                await self.top_up(company_id, balance)
        await self.rows("INSERT INTO users (id, email) VALUES ($1, $2)", user_id, f"{user_id}@example.test")
        await self.rows(
            "INSERT INTO memberships (company_id, user_id, role) VALUES ($1, $2, $3)", company_id, user_id, role
        )
        await self.rows(
            "INSERT INTO api_keys (id, company_id, user_id, name, prefix, key_hash, scopes) "
            "VALUES ($1, $2, $3, 'test', $4, $5, $6)",
            uuid4(),
            company_id,
            user_id,
            api_key[:SHOWN_CHARACTERS],
            hash_api_key(api_key),
            list(scopes),
        )
        return Person(company_id, user_id, api_key)

    async def top_up(self, company_id: UUID, amount: str) -> None:
        """Move a company's balance, with a ledger entry."""
        await self.rows(_TOP_UP, company_id, Decimal(amount))

    async def rows(self, sql: str, *arguments: object) -> list[dict[str, Any]]:
        """What a statement returns."""
        async with self.database.connection() as connection:
            return [dict(row) for row in await connection.fetch(sql, *arguments)]

    async def row(self, sql: str, *arguments: object) -> dict[str, Any]:
        """The one row that a statement returns."""
        (row,) = await self.rows(sql, *arguments)
        return row

    async def account(self, person: Person) -> dict[str, Any]:
        """The account of a person's company."""
        return await self.row("SELECT * FROM accounts WHERE company_id = $1", person.company_id)

    async def ledger(self, person: Person) -> list[dict[str, Any]]:
        """The ledger of a person's company, oldest first."""
        return await self.rows("SELECT * FROM ledger WHERE company_id = $1 ORDER BY position", person.company_id)

    async def holds(self, person: Person) -> list[dict[str, Any]]:
        """The holds on a person's company, oldest first."""
        return await self.rows("SELECT * FROM holds WHERE company_id = $1 ORDER BY id", person.company_id)

    async def messages(self, person: Person) -> list[dict[str, Any]]:
        """What a person said and was answered, oldest first."""
        return await self.rows("SELECT * FROM messages WHERE user_id = $1 ORDER BY id", person.user_id)

    async def answer(self, person: Person) -> dict[str, Any]:
        """The answer to the last that a person said."""
        return (await self.messages(person))[-1]

    async def spend_all(self, person: Person) -> None:
        """Leave a person's company without credits."""
        await self.top_up(person.company_id, str(-(await self.account(person))["balance_credits"]))

    async def check_books(self) -> None:
        """Assert what must hold of all credits whenever nothing is in the middle of a transaction."""
        for query in (
            _BALANCES_THAT_DIFFER_FROM_THEIR_LEDGER,
            _HELD_THAT_DIFFERS_FROM_LIVE_HOLDS,
            _BREAKS_IN_THE_CHAIN,
            _ANSWERS_NOT_CHARGED_ONCE,
            _HOLDS_THAT_DIFFER_FROM_THEIR_ANSWER,
            _CHARGES_ABOVE_THEIR_HOLD,
            _CHARGES_THAT_THEIR_ANSWER_DOES_NOT_TELL,
        ):
            assert await self.rows(query) == [], query


@asynccontextmanager
async def open_world(database_url: str) -> AsyncIterator[World]:
    """The world of a migrated database."""
    database = Database(database_url, pool_size=4, session_pool_size=2, acquire_seconds=10, statement_seconds=10)
    await database.open()
    try:
        yield World(database)
    finally:
        await database.close()
