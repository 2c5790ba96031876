"""A conversation tells when something was last said in it, and lists are ordered by it.

A message that the release before admits does not move its conversation up: until its next message it stands where it
stood. Conversations from before get the time of their newest message, some at a time, so that no chat waits.
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_BATCH = 1000
_FILL = """
    WITH part AS (
        SELECT id FROM conversations WHERE updated_at IS NULL AND id > :after ORDER BY id LIMIT :batch
    ), filled AS (
        UPDATE conversations
        SET updated_at = COALESCE(
            (SELECT max(messages.created_at) FROM messages WHERE messages.conversation_id = conversations.id),
            conversations.created_at
        )
        FROM part WHERE conversations.id = part.id
    )
    SELECT id FROM part ORDER BY id DESC LIMIT 1
"""


def upgrade() -> None:
    # Each step can be taken again: one that builds an index without a lock is no part of a transaction.
    op.execute("ALTER TABLE conversations ADD COLUMN IF NOT EXISTS updated_at timestamptz")
    op.execute("ALTER TABLE conversations ALTER COLUMN updated_at SET DEFAULT now()")
    with op.get_context().autocommit_block():
        after = "00000000-0000-0000-0000-000000000000"
        while (last := op.get_bind().scalar(sa.text(_FILL), {"after": after, "batch": _BATCH})) is not None:
            after = last
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_conversations_activity")  # left where its making failed
        op.create_index(
            "ix_conversations_activity",
            "conversations",
            ["user_id", "company_id", "updated_at", "id"],
            postgresql_concurrently=True,
        )


def downgrade() -> None:
    op.drop_index("ix_conversations_activity", "conversations")
    op.drop_column("conversations", "updated_at")
