"""Charges of answers at any time, put into the ledger as settling does."""

from datetime import datetime
from decimal import Decimal
from uuid import uuid4

from support.database.world import Person, World


async def charge(world: World, person: Person, at: datetime, amount: str) -> None:
    """An answer that was paid for at some time."""
    conversation, question = uuid4(), uuid4()
    await world.rows(
        "INSERT INTO conversations (id, company_id, user_id, title) VALUES ($1, $2, $3, 'x')",
        conversation,
        person.company_id,
        person.user_id,
    )
    await world.rows(
        "INSERT INTO messages (id, company_id, user_id, conversation_id, role, status) "
        "VALUES ($1, $2, $3, $4, 'user', 'completed')",
        question,
        person.company_id,
        person.user_id,
        conversation,
    )
    await world.rows(
        "WITH moved AS (UPDATE accounts SET balance_credits = balance_credits - $2, entries = entries + 1 "
        "WHERE company_id = $1 RETURNING entries, balance_credits) "
        "INSERT INTO ledger (company_id, position, kind, amount_credits, balance_after_credits, message_id, "
        "created_at) "
        "SELECT $1, entries, 'charge', -$2, balance_credits, $3, $4 FROM moved",
        person.company_id,
        Decimal(amount),
        question,
        at,
    )
