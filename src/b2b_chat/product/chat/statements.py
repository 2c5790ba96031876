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
           COALESCE(answer.charged_credits, -ledger.amount_credits) AS charge_credits,
           asked.masks AS question_masks, asked.masked_by AS question_masked_by,
           answer.beside_text
    FROM messages AS asked
    JOIN messages AS answer ON answer.reply_to = asked.id
    JOIN accounts ON accounts.company_id = asked.company_id
    LEFT JOIN ledger ON ledger.message_id = asked.id
"""

# Messages of releases before the column `sender_id` have none: they may be anyone's who sends for this user.
FIND_SENT: Final = f"""
    {_SENT}
    WHERE asked.user_id = $1 AND asked.client_message_id = $3 AND (asked.sender_id = $2 OR asked.sender_id IS NULL)
    ORDER BY asked.sender_id
    LIMIT 1
"""

FIND_ANSWER: Final = f"{_SENT} WHERE answer.id = $1 AND answer.company_id = $2 AND answer.user_id = $3"

# A question whose answer failed is no context, and neither is an answer without a word.
CONTEXT: Final = """
    SELECT exchange.*
    FROM conversations
    LEFT JOIN LATERAL (
        SELECT asked.id AS question_id, asked.text AS question, asked.tokens AS question_tokens,
               asked.masks AS question_masks, asked.masked_by AS question_masked_by,
               answer.id, answer.text AS answer, answer.tokens, answer.masks, answer.masked_by
        FROM messages AS answer JOIN messages AS asked ON asked.id = answer.reply_to
        WHERE answer.conversation_id = conversations.id AND answer.status IN ('completed', 'stopped')
              AND answer.text <> ''
              AND ($4::uuid IS NULL
                   OR answer.id < $4 AND answer.completed_at <= (SELECT created_at FROM messages WHERE id = $4))
        ORDER BY answer.id DESC
        LIMIT $5
    ) AS exchange ON true
    WHERE conversations.id = $1 AND conversations.company_id = $2 AND conversations.user_id = $3
          AND conversations.deleted_at IS NULL AND conversations.origin <> 'completions'
    ORDER BY exchange.id
"""

# $1 company, $2 user, $3 most, $4 least and $5 the prompt's credits; then the rules: $6 credits for 1,000 tokens of an
# answer, $7 tokens of a usual answer, $8 percent of the free credits, $9 open answers of a user, $10 percent of the
# balance for a user.
#
# What is held is what the company's answers usually cost: twice the 99th percentile of its last hundred. Where much is
# free it is more, up to the longest answer, so that credits cut an answer only where they are scarce.
#
# The user's holds are counted by a function, which sees what others have committed while this waited for the account:
# the statement's own snapshot is older.
_HOLDABLE: Final = """
    account AS (
        SELECT company_id, balance_credits, held_credits, balance_credits - held_credits AS free_credits,
               recent_completion_tokens
        FROM accounts
        WHERE company_id = $1{condition}
        FOR UPDATE
    ), holdable AS (
        SELECT account.*, open.answers AS open_answers,
               trunc(LEAST(
                   $3::numeric,
                   free_credits,
                   GREATEST(
                       $4::numeric,
                       free_credits * $8::integer / 100,
                       CASE WHEN free_credits * $8 / 100 < $3 THEN $5::numeric + $6::numeric / 1000 * (
                           SELECT CASE WHEN count(size) < 20 THEN $7::integer
                                  ELSE 2 * percentile_disc(0.99) WITHIN GROUP (ORDER BY size) END
                           FROM unnest(recent_completion_tokens) AS size
                       ) END
                   ),
                   CASE WHEN open.answers > 0 AND EXISTS (
                       SELECT FROM memberships WHERE memberships.company_id = $1 AND memberships.user_id <> $2
                   ) THEN balance_credits * $10::integer / 100 - open.credits END
               ), 6) AS amount
        FROM account, live_holds_of(account.company_id, $2::uuid) AS open
    )"""

# What is in no list is in no index for searches either: null is neither true nor false.
#
# The lock on the conversation is the one that the messages' foreign keys take anyway. Taken here it waits for an
# erasure that is under way, and sees what came of it.
#
# A message that was sent before is not admitted, nor is the account locked for it: there is no row then.
#
# Both of the account's columns are set from the locked row: PostgreSQL checks a table's constraints on the row that the
# statement's snapshot shows, before it notices that another transaction has changed that row.
ADMIT: Final = f"""
    WITH sent AS MATERIALIZED (
        SELECT FROM messages
        WHERE user_id = $2 AND client_message_id = $15 AND (sender_id = $24 OR sender_id IS NULL)
    ), {_HOLDABLE.format(condition=" AND NOT EXISTS (SELECT FROM sent)")}, known AS (
        SELECT deleted_at FROM conversations WHERE id = $11 FOR KEY SHARE
    ), held AS (
        UPDATE accounts
        SET balance_credits = holdable.balance_credits, held_credits = holdable.held_credits + holdable.amount
        FROM holdable
        WHERE accounts.company_id = holdable.company_id AND holdable.amount >= $4 AND holdable.open_answers < $9
              AND NOT EXISTS (SELECT FROM known WHERE deleted_at IS NOT NULL)
        RETURNING holdable.amount
    ), conversation AS (
        INSERT INTO conversations (id, company_id, user_id, title, origin)
        SELECT $11, $1, $2, $12, $23::text FROM held
        ON CONFLICT (id) DO UPDATE SET updated_at = now()
    ), asked AS (
        INSERT INTO messages (id, company_id, user_id, conversation_id, role, status, text, client_message_id,
                              fingerprint, completed_at, tokens, masks, masked_by, is_searchable, sender_id)
        SELECT $13, $1, $2, $11, 'user', 'completed', $14, $15, $16, now(), $20, $21::jsonb, $22,
               CASE WHEN $23::text <> 'completions' THEN false END, $24::uuid
        FROM held
    ), answer AS (
        INSERT INTO messages (id, company_id, user_id, conversation_id, role, status, reply_to, lease_expires_at,
                              is_searchable)
        SELECT $17, $1, $2, $11, 'assistant', 'pending', $13, now() + make_interval(secs => $18),
               CASE WHEN $23::text <> 'completions' THEN false END
        FROM held
    ), hold AS (
        INSERT INTO holds (id, company_id, user_id, message_id, amount_credits)
        SELECT $19, $1, $2, $13, amount FROM held
    )
    SELECT (SELECT amount FROM held) AS amount, balance_credits >= $4 AS is_covered, open_answers >= $9 AS has_too_many,
           EXISTS (SELECT FROM known WHERE deleted_at IS NOT NULL) AS is_erased
    FROM holdable
"""  # noqa: S608 - nothing of it comes from outside

# Of texts that were written before the rules that hold now.
SET_MASKS: Final = """
    UPDATE messages SET masks = made.masks::jsonb, masked_by = $3
    FROM unnest($1::uuid[], $2::text[]) AS made (id, masks)
    WHERE messages.id = made.id AND messages.text <> ''
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

HOLD: Final = f"""
    WITH {_HOLDABLE.format(condition="")}, held AS (
        UPDATE accounts SET held_credits = holdable.held_credits + holdable.amount
        FROM holdable
        WHERE accounts.company_id = holdable.company_id AND holdable.amount >= $4 AND holdable.open_answers < $9
        RETURNING holdable.amount
    ), hold AS (
        INSERT INTO holds (id, company_id, user_id, message_id, amount_credits)
        SELECT $11, $1, $2, $12, amount FROM held
    )
    SELECT (SELECT amount FROM held) AS amount, balance_credits >= $4 AS is_covered, open_answers >= $9 AS has_too_many
    FROM holdable
"""  # noqa: S608 - nothing of it comes from outside

# An earlier attempt may have been paid for. Together the attempts cost as much as the dearest of them: the ledger
# then gets the difference as an entry that supplements the first.
SETTLE: Final = """
    WITH account AS (
        SELECT company_id FROM accounts WHERE company_id = $1 FOR UPDATE
    ), answer AS (
        UPDATE messages
        SET status = $7, text = $4, usage_json = $5::jsonb, finish_reason = $8, cut_by = $9, error_code = $10,
            tokens = $11, charged_credits = GREATEST(messages.charged_credits, LEAST($6::numeric, live.amount_credits)),
            completed_at = now(), lease_expires_at = NULL, masks = $13::jsonb, masked_by = $14,
            beside_text = $15::jsonb
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
            recent_completion_tokens[entries % 100 + 1] =
                COALESCE($12::integer, recent_completion_tokens[entries % 100 + 1]),
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
