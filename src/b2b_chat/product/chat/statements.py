"""The SQL of a message's life, on one page.

Each statement is one round trip and, where it changes something, one transaction of its own: the balance, the hold, the
messages and the ledger move together or not at all. All of them lock the company's account first, so that they cannot
lock each other out.
"""

from typing import Final

_SENT: Final = """
    SELECT asked.company_id, asked.id AS user_message_id, asked.fingerprint, asked.conversation_id,
           answer.id AS assistant_message_id, answer.status, answer.text, answer.usage_json, answer.error_code,
           answer.finish_reason, answer.cut_by, answer.attempt, accounts.balance_credits,
           COALESCE(answer.charged_credits, -ledger.amount_credits) AS charge_credits
    FROM messages AS asked
    JOIN messages AS answer ON answer.reply_to = asked.id
    JOIN accounts ON accounts.company_id = asked.company_id
    LEFT JOIN ledger ON ledger.message_id = asked.id
"""

FIND_SENT: Final = f"{_SENT} WHERE asked.user_id = $1 AND asked.client_message_id = $2"

FIND_ANSWER: Final = f"{_SENT} WHERE answer.id = $1 AND answer.company_id = $2 AND answer.user_id = $3"

# A question whose answer failed is no context, and neither is an answer without a word.
CONTEXT: Final = """
    SELECT exchange.question, exchange.answer
    FROM conversations
    LEFT JOIN LATERAL (
        SELECT answer.id, asked.text AS question, answer.text AS answer
        FROM messages AS answer JOIN messages AS asked ON asked.id = answer.reply_to
        WHERE answer.conversation_id = conversations.id AND answer.status IN ('completed', 'stopped')
              AND answer.text <> ''
              AND ($4::uuid IS NULL
                   OR answer.id < $4 AND answer.completed_at <= (SELECT created_at FROM messages WHERE id = $4))
        ORDER BY answer.id DESC
        LIMIT $5
    ) AS exchange ON true
    WHERE conversations.id = $1 AND conversations.company_id = $2 AND conversations.user_id = $3
          AND conversations.deleted_at IS NULL
    ORDER BY exchange.id
"""

# The lock on the conversation is the one that the messages' foreign keys take anyway. Taken here it waits for an
# erasure that is under way, and sees what came of it.
#
# Both of the account's columns are set from the locked row: PostgreSQL checks a table's constraints on the row that the
# statement's snapshot shows, before it notices that another transaction has changed that row.
ADMIT: Final = """
    WITH account AS (
        SELECT company_id, balance_credits, held_credits, LEAST($2::numeric, balance_credits - held_credits) AS amount
        FROM accounts
        WHERE company_id = $1
        FOR UPDATE
    ), known AS (
        SELECT deleted_at FROM conversations WHERE id = $3 FOR KEY SHARE
    ), held AS (
        UPDATE accounts
        SET balance_credits = account.balance_credits, held_credits = account.held_credits + account.amount
        FROM account
        WHERE accounts.company_id = account.company_id AND account.amount >= $13::numeric
              AND NOT EXISTS (SELECT FROM known WHERE deleted_at IS NOT NULL)
        RETURNING account.amount
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
    SELECT (SELECT amount FROM held) AS amount, (SELECT balance_credits FROM account) >= $13 AS is_covered,
           EXISTS (SELECT FROM known WHERE deleted_at IS NOT NULL) AS is_erased
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

HOLD: Final = """
    WITH account AS (
        SELECT company_id, balance_credits, LEAST($2::numeric, balance_credits - held_credits) AS amount
        FROM accounts
        WHERE company_id = $1
    ), held AS (
        UPDATE accounts SET held_credits = held_credits + account.amount
        FROM account
        WHERE accounts.company_id = account.company_id AND account.amount >= $5::numeric
        RETURNING account.amount
    ), hold AS (
        INSERT INTO holds (id, company_id, message_id, amount_credits) SELECT $3, $1, $4, amount FROM held
    )
    SELECT (SELECT amount FROM held) AS amount, (SELECT balance_credits FROM account) >= $5 AS is_covered
"""

# An earlier attempt may have been paid for. Together the attempts cost as much as the dearest of them: the ledger
# then gets the difference as an entry that supplements the first.
SETTLE: Final = """
    WITH account AS (
        SELECT company_id FROM accounts WHERE company_id = $1 FOR UPDATE
    ), answer AS (
        UPDATE messages
        SET status = $7, text = $4, usage_json = $5::jsonb, finish_reason = $8, cut_by = $9, error_code = $10,
            charged_credits = GREATEST(messages.charged_credits, LEAST($6::numeric, live.amount_credits)),
            completed_at = now(), lease_expires_at = NULL
        FROM account, messages AS before JOIN holds AS live ON live.message_id = before.reply_to AND live.state = 'live'
        WHERE messages.id = $2 AND before.id = $2 AND messages.company_id = account.company_id
              AND messages.attempt = $3 AND messages.status IN ('pending', 'streaming')
        RETURNING messages.reply_to, messages.charged_credits, before.charged_credits AS charged_before
    ), hold AS (
        UPDATE holds SET state = 'posted', resolved_at = now()
        FROM answer WHERE holds.message_id = answer.reply_to AND holds.state = 'live'
        RETURNING holds.message_id, holds.amount_credits AS held, answer.charged_credits, answer.charged_before
    ), paid AS (
        UPDATE accounts
        SET balance_credits = balance_credits - (hold.charged_credits - COALESCE(hold.charged_before, 0)),
            held_credits = held_credits - hold.held,
            entries = entries + (hold.charged_credits IS DISTINCT FROM hold.charged_before)::int
        FROM hold WHERE accounts.company_id = $1
        RETURNING hold.message_id, hold.charged_credits, hold.charged_before, balance_credits, entries
    ), entry AS (
        INSERT INTO ledger
            (company_id, position, kind, amount_credits, balance_after_credits, message_id, supplements_position)
        SELECT $1, entries, 'charge', COALESCE(charged_before, 0) - charged_credits, balance_credits,
               CASE WHEN charged_before IS NULL THEN message_id END,
               CASE WHEN charged_before IS NOT NULL THEN
                   (SELECT position FROM ledger AS first WHERE first.message_id = paid.message_id)
               END
        FROM paid WHERE charged_credits IS DISTINCT FROM charged_before
    )
    SELECT charged_credits AS charge, balance_credits FROM paid
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

# The attempt's number is compared exactly. Where a commit's reply was lost, a repetition finds nothing and the answer
# is given up: else it could take over the attempt of a process that has retried it since.
RESTART: Final = """
    UPDATE messages
    SET attempt = attempt + 1, lease_expires_at = now() + make_interval(secs => $4)
    WHERE company_id = $1 AND id = $2 AND attempt = $3 AND status IN ('pending', 'streaming')
    RETURNING attempt
"""

FIND_CHARGE: Final = """
    SELECT answer.charged_credits AS charge, accounts.balance_credits
    FROM messages AS answer JOIN accounts ON accounts.company_id = answer.company_id
    WHERE answer.company_id = $1 AND answer.id = $2 AND answer.attempt = $3 AND answer.charged_credits IS NOT NULL
          AND (answer.status IN ('completed', 'stopped') OR answer.error_code = 'client_disconnected')
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
