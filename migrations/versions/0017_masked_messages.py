"""An index of the messages in which values were hidden, so that they can be counted without reading the others.

A message without such a value has no entry, so that most chats pay nothing for it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_messages_masked")  # left where its making failed
        op.create_index(
            "ix_messages_masked",
            "messages",
            ["company_id", "created_at"],
            postgresql_where=sa.text("role = 'user' AND masks <> '[]'"),
            postgresql_concurrently=True,
        )


def downgrade() -> None:
    op.drop_index("ix_messages_masked", "messages")
