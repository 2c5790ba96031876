"""The SQL of a message's life, on one page.

Each statement is one round trip and, where it changes something, one transaction of its own: the balance, the hold, the
messages and the ledger move together or not at all. All of them lock the company's account first, so that they cannot
lock each other out.
"""

from typing import Final

_SENT: Final = """
    SELECT asked.company_id, asked.id AS user_message_id, asked.fingerprint, asked.conversation_id,
           answer.id AS assistant_message_id, answer.status, answer.text, answer.usage_json, answer.error_code,
           answer.attempt, -ledger.amount_credits AS charge_credits, accounts.balance_credits
    FROM messages AS asked
    JOIN messages AS answer ON answer.reply_to = asked.id
    JOIN accounts ON accounts.company_id = asked.company_id
    LEFT JOIN ledger ON ledger.message_id = asked.id
"""

FIND_SENT: Final = f"{_SENT} WHERE asked.user_id = $1 AND asked.client_message_id = $2"

FIND_ANSWER: Final = f"{_SENT} WHERE answer.id = $1 AND answer.company_id = $2 AND answer.user_id = $3"

CONTEXT: Final = """
    SELECT context.role, context.text
    FROM conversations
    LEFT JOIN LATERAL (
        SELECT id, role, text
        FROM messages
        WHERE conversation_id = conversations.id AND status = 'completed'
              AND ($4::uuid IS NULL OR id < $4 AND completed_at <= (SELECT created_at FROM messages WHERE id = $4))
        ORDER BY id DESC
        LIMIT $5
    ) AS context ON true
    WHERE conversations.id = $1 AND conversations.company_id = $2 AND conversations.user_id = $3
          AND conversations.deleted_at IS NULL
    ORDER BY context.id
"""

# The lock is the one that the messages' foreign keys take anyway. Taken here it waits for an erasure that is under way,
# and sees what came of it.
ADMIT: Final = """
    WITH available AS (
        SELECT company_id, LEAST($2::numeric, balance_credits - held_credits) AS amount
        FROM accounts
        WHERE company_id = $1 AND balance_credits > held_credits
        FOR UPDATE
    ), known AS (
        SELECT deleted_at FROM conversations WHERE id = $3 FOR KEY SHARE
    ), held AS (
        UPDATE accounts SET held_credits = held_credits + available.amount
        FROM available
        WHERE accounts.company_id = available.company_id
              AND NOT EXISTS (SELECT FROM known WHERE deleted_at IS NOT NULL)
        RETURNING available.amount
    ), conversation AS (
        INSERT INTO conversations (id, company_id, user_id, title)
        SELECT $3, $1, $4, $5 FROM held
        ON CONFLICT (id) DO NOTHING
    ), asked AS (
        INSERT INTO messages (id, company_id, user_id, conversation_id, role, status, text, client_message_id,
                              fingerprint, completed_at)
        SELECT $6, $1, $4, $3, 'user', 'completed', $7, $8, $9, now() FROM held
    ), answer AS (
        INSERT INTO messages (id, company_id, user_id, conversation_id, role, status, reply_to, lease_expires_at)
        SELECT $10, $1, $4, $3, 'assistant', 'pending', $6, now() + make_interval(secs => $11) FROM held
    ), hold AS (
        INSERT INTO holds (id, company_id, message_id, amount_credits) SELECT $12, $1, $6, amount FROM held
    )
    SELECT (SELECT amount FROM held) AS amount, EXISTS (SELECT FROM known WHERE deleted_at IS NOT NULL) AS is_erased
"""

LOCK_ACCOUNT: Final = "SELECT FROM accounts WHERE company_id = $1 FOR UPDATE"

REOPEN: Final = """
    UPDATE messages
    SET status = 'pending', attempt = attempt + 1, error_code = NULL, completed_at = NULL,
        lease_expires_at = now() + make_interval(secs => $2)
    WHERE id = $1 AND status = 'error' AND EXISTS (
        SELECT FROM conversations
        WHERE conversations.id = messages.conversation_id AND deleted_at IS NULL
        FOR KEY SHARE
    )
    RETURNING attempt
"""

CLOSE_AGAIN: Final = """
    UPDATE messages
    SET status = 'error', attempt = attempt - 1, error_code = $2, completed_at = now(), lease_expires_at = NULL
    WHERE id = $1
"""

HOLD: Final = """
    WITH available AS (
        SELECT LEAST($2::numeric, balance_credits - held_credits) AS amount
        FROM accounts
        WHERE company_id = $1 AND balance_credits > held_credits
    ), held AS (
        UPDATE accounts SET held_credits = held_credits + available.amount
        FROM available WHERE accounts.company_id = $1
        RETURNING available.amount
    ), hold AS (
        INSERT INTO holds (id, company_id, message_id, amount_credits) SELECT $3, $1, $4, amount FROM held
    )
    SELECT amount FROM held
"""

SETTLE: Final = """
    WITH account AS (
        SELECT company_id FROM accounts WHERE company_id = $1 FOR UPDATE
    ), answer AS (
        UPDATE messages
        SET status = $7, text = $4, usage_json = $5::jsonb, completed_at = now(), lease_expires_at = NULL
        FROM account
        WHERE messages.id = $2 AND messages.company_id = account.company_id AND messages.attempt = $3
              AND messages.status IN ('pending', 'streaming')
        RETURNING messages.reply_to
    ), hold AS (
        UPDATE holds SET state = 'posted', resolved_at = now()
        FROM answer WHERE holds.message_id = answer.reply_to AND holds.state = 'live'
        RETURNING holds.message_id, holds.amount_credits
    ), paid AS (
        UPDATE accounts
        SET balance_credits = balance_credits - LEAST($6::numeric, hold.amount_credits),
            held_credits = held_credits - hold.amount_credits,
            entries = entries + 1
        FROM hold WHERE accounts.company_id = $1
        RETURNING hold.message_id, LEAST($6::numeric, hold.amount_credits) AS charge, balance_credits, entries
    ), entry AS (
        INSERT INTO ledger (company_id, position, kind, amount_credits, balance_after_credits, message_id)
        SELECT $1, entries, 'charge', -charge, balance_credits, message_id FROM paid
    )
    SELECT charge, balance_credits FROM paid
"""

FAIL: Final = """
    WITH account AS (
        SELECT company_id FROM accounts WHERE company_id = $1 FOR UPDATE
    ), answer AS (
        UPDATE messages
        SET status = 'error', error_code = $4, completed_at = now(), lease_expires_at = NULL
        FROM account
        WHERE messages.id = $2 AND messages.company_id = account.company_id AND messages.attempt = $3
              AND messages.status IN ('pending', 'streaming')
        RETURNING messages.reply_to
    ), hold AS (
        UPDATE holds SET state = $5, resolved_at = now()
        FROM answer WHERE holds.message_id = answer.reply_to AND holds.state = 'live'
        RETURNING holds.amount_credits
    )
    UPDATE accounts SET held_credits = held_credits - hold.amount_credits
    FROM hold WHERE accounts.company_id = $1
    RETURNING accounts.company_id
"""

FIND_CHARGE: Final = """
    SELECT -ledger.amount_credits AS charge, accounts.balance_credits
    FROM messages AS answer
    JOIN ledger ON ledger.message_id = answer.reply_to
    JOIN accounts ON accounts.company_id = answer.company_id
    WHERE answer.company_id = $1 AND answer.id = $2 AND answer.attempt = $3
"""

RENEW: Final = """
    UPDATE messages
    SET status = 'streaming', lease_expires_at = now() + make_interval(secs => $2)
    WHERE id = ANY($1::uuid[]) AND status IN ('pending', 'streaming')
"""

LIST_EXPIRED: Final = """
    SELECT company_id, id, attempt
    FROM messages
    WHERE status IN ('pending', 'streaming') AND lease_expires_at < now()
    LIMIT 1000
"""
