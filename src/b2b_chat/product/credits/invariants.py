"""The invariants of the money, each as a query for its violations; on a live database, in one snapshot."""

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
        HAVING COUNT(ledger.message_id) <> 1 AND answer.status IN ('completed', 'stopped')
               OR COUNT(ledger.message_id) > 1
    """,
    "each_failed_answer_is_charged_for_what_was_delivered_alone": """
        SELECT answer.id::text, answer.status || ', charged without a text'
        FROM messages AS answer JOIN ledger ON ledger.message_id = answer.reply_to
             JOIN conversations ON conversations.id = answer.conversation_id
        WHERE answer.status NOT IN ('completed', 'stopped') AND answer.text = '' AND answer.beside_text IS NULL
              AND conversations.deleted_at IS NULL
    """,
    "all_charges_of_a_message_are_within_its_largest_hold": """
        SELECT first.message_id::text, 'charges ' || charged || ', held ' || COALESCE(held, 0)
        FROM (
            SELECT charge.message_id,
                   -charge.amount_credits - COALESCE(SUM(more.amount_credits), 0) AS charged
            FROM ledger AS charge LEFT JOIN ledger AS more
                 ON more.company_id = charge.company_id AND more.supplements_position = charge.position
            WHERE charge.kind = 'charge' AND charge.message_id IS NOT NULL
            GROUP BY charge.message_id, charge.amount_credits
        ) AS first LEFT JOIN (
            SELECT message_id, MAX(amount_credits) AS held FROM holds WHERE state = 'posted' GROUP BY message_id
        ) AS posted ON posted.message_id = first.message_id
        WHERE charged > COALESCE(held, 0)
    """,
    "each_message_tells_what_it_was_charged": """
        SELECT answer.id::text, 'tells ' || answer.charged_credits || ', entries ' || COALESCE(charges.charged, 0)
        FROM messages AS answer LEFT JOIN (
            SELECT charge.message_id, -charge.amount_credits - COALESCE(SUM(more.amount_credits), 0) AS charged
            FROM ledger AS charge LEFT JOIN ledger AS more
                 ON more.company_id = charge.company_id AND more.supplements_position = charge.position
            WHERE charge.message_id IS NOT NULL
            GROUP BY charge.message_id, charge.amount_credits
        ) AS charges ON charges.message_id = answer.reply_to
        WHERE answer.charged_credits <> COALESCE(charges.charged, 0)
    """,
    "each_supplement_points_at_a_charge": """
        SELECT more.company_id::text, 'entry ' || more.position || ', supplements ' || more.supplements_position
        FROM ledger AS more LEFT JOIN ledger AS charge
             ON charge.company_id = more.company_id AND charge.position = more.supplements_position
        WHERE more.supplements_position IS NOT NULL AND (charge.message_id IS NULL OR more.amount_credits >= 0)
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
"""Each query lists the violations: the id of the company or message, and what is wrong."""


class Violation(Struct, frozen=True):
    """A violation of an invariant."""

    invariant: str
    subject: str
    finding: str


async def verify_ledger(database: Database) -> list[Violation]:
    """Check every invariant of the money, without blocking other work."""

    async def check(db: Connection) -> list[Violation]:
        async with db.transaction(isolation="repeatable_read", readonly=True):
            return [violation async for violation in _violations(db)]

    return await database.run(check)


async def _violations(db: Connection) -> AsyncIterator[Violation]:
    for invariant, query in INVARIANTS.items():
        for subject, finding in await db.fetch(query):
            yield Violation(invariant, subject, finding)
