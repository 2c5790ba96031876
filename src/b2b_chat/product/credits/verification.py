"""The invariants of the money, each as a query for what breaks it; on a live database, in one snapshot."""

from collections.abc import AsyncIterator
from typing import Final

from msgspec import Struct

from b2b_chat.kit.connections import Connection
from b2b_chat.kit.database import Database

INVARIANTS: Final = {
    "balance_is_the_sum_of_entries": """
        SELECT accounts.company_id::text,
               'balance ' || balance_credits || ', entries ' || COALESCE(SUM(amount_credits), 0)
        FROM accounts LEFT JOIN ledger USING (company_id)
        GROUP BY accounts.company_id, balance_credits
        HAVING balance_credits <> COALESCE(SUM(amount_credits), 0)
    """,
    "balance_is_not_negative": """
        SELECT company_id::text, 'balance ' || balance_credits FROM accounts WHERE balance_credits < 0
    """,
    "held_is_the_sum_of_live_holds": """
        SELECT accounts.company_id::text, 'held ' || held_credits || ', holds ' || COALESCE(SUM(amount_credits), 0)
        FROM accounts LEFT JOIN holds ON holds.company_id = accounts.company_id AND holds.state = 'live'
        GROUP BY accounts.company_id, held_credits
        HAVING held_credits <> COALESCE(SUM(amount_credits), 0)
    """,
    "entries_are_numbered_without_a_gap": """
        SELECT accounts.company_id::text, 'counted ' || entries || ', found ' || COUNT(position)
        FROM accounts LEFT JOIN ledger USING (company_id)
        GROUP BY accounts.company_id, entries
        HAVING entries <> COUNT(position) OR entries <> COALESCE(MAX(position), 0)
    """,
    "each_entry_continues_the_balance": """
        SELECT company_id::text, 'entry ' || position
        FROM (
            SELECT company_id, position, balance_after_credits,
                   SUM(amount_credits) OVER (PARTITION BY company_id ORDER BY position) AS expected
            FROM ledger
        ) AS chain
        WHERE balance_after_credits <> expected
    """,
    "each_answer_is_charged_once": """
        SELECT answer.id::text, answer.status || ', charges ' || COUNT(ledger.message_id)
        FROM messages AS answer LEFT JOIN ledger ON ledger.message_id = answer.reply_to
        WHERE answer.role = 'assistant'
        GROUP BY answer.id, answer.status
        HAVING COUNT(ledger.message_id) <> CASE WHEN answer.status IN ('completed', 'stopped') THEN 1 ELSE 0 END
    """,
    "each_charge_is_within_its_hold": """
        SELECT ledger.message_id::text, 'charge ' || -amount_credits || ', held ' || COALESCE(held, 0)
        FROM ledger LEFT JOIN (
            SELECT message_id, amount_credits AS held FROM holds WHERE state = 'posted'
        ) AS posted ON posted.message_id = ledger.message_id
        WHERE kind = 'charge' AND -amount_credits > COALESCE(held, 0)
    """,
    "each_correction_points_at_an_earlier_entry": """
        SELECT correction.company_id::text,
               'entry ' || correction.position || ', corrects ' || correction.corrects_position
        FROM ledger AS correction LEFT JOIN ledger AS source
             ON source.company_id = correction.company_id AND source.position = correction.corrects_position
        WHERE correction.corrects_position IS NOT NULL
          AND (source.position IS NULL OR source.position >= correction.position OR correction.kind <> 'adjustment')
    """,
    "live_holds_belong_to_live_answers": """
        SELECT COALESCE(holds.message_id, answer.reply_to)::text,
               'hold ' || COALESCE(holds.state, 'none') || ', answer ' || COALESCE(answer.status, 'none')
        FROM (SELECT * FROM holds WHERE state = 'live') AS holds
        FULL JOIN (SELECT * FROM messages WHERE status IN ('pending', 'streaming')) AS answer
             ON answer.reply_to = holds.message_id
        WHERE holds.id IS NULL OR answer.id IS NULL
    """,
}
"""Each query lists the broken cases: whose (a company's or a message's id), and how."""


class Violation(Struct, frozen=True):
    """A case in which an invariant does not hold."""

    invariant: str
    subject: str
    finding: str


async def verify_ledger(database: Database) -> list[Violation]:
    """Check every invariant of the money, without stopping anybody's work."""

    async def check(db: Connection) -> list[Violation]:
        async with db.transaction(isolation="repeatable_read", readonly=True):
            return [violation async for violation in _violations(db)]

    return await database.run(check)


async def _violations(db: Connection) -> AsyncIterator[Violation]:
    for invariant, query in INVARIANTS.items():
        for subject, finding in await db.fetch(query):
            yield Violation(invariant, subject, finding)
