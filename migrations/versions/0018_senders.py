"""A `client_message_id` is its sender's: an API key's own, or a user's in all their sessions.

The release before writes no sender, and looks for what a user sent, by whatever key. The index begins with what it
looks for, counts a message without a sender as the user's, and keeps the constraint's name, by which that release knows
a message that was sent before. One of the two unique keys is there at every moment.

A downgrade fails where two keys of one user have used one name.
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_NAME = "uq_messages_client_message_id"
_BUILT_AS = "uq_messages_sender"


def upgrade() -> None:
    # Each step can be taken again: one that builds an index without a lock is no part of a transaction.
    op.execute("ALTER TABLE messages ADD COLUMN IF NOT EXISTS sender_id uuid")
    with op.get_context().autocommit_block():
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {_BUILT_AS}")  # an invalid one is left where its making failed
        op.create_index(
            _BUILT_AS,
            "messages",
            ["user_id", "client_message_id", sa.text("COALESCE(sender_id, user_id)")],
            unique=True,
            postgresql_concurrently=True,
        )
    op.execute(f"ALTER TABLE messages DROP CONSTRAINT IF EXISTS {_NAME}")
    op.execute(f"ALTER INDEX {_BUILT_AS} RENAME TO {_NAME}")


def downgrade() -> None:
    op.drop_index(_NAME, "messages")
    op.create_unique_constraint(_NAME, "messages", ["user_id", "client_message_id"])
    op.drop_column("messages", "sender_id")
