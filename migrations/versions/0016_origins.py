"""A conversation says how it came about; those of completions are in no list, and are erased after a while.

What an answer's text is kept for only until no replay may need it, is in no index for searches: null there is neither
true nor false.
"""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_LISTED = "origin <> 'completions'"
_TO_ERASE = "origin = 'completions' AND deleted_at IS NULL"


def upgrade() -> None:
    # Each step can be taken again: one that builds an index without a lock is no part of a transaction.
    op.execute("ALTER TABLE conversations ADD COLUMN IF NOT EXISTS origin varchar(16) DEFAULT 'chat' NOT NULL")
    op.execute("ALTER TABLE conversations DROP CONSTRAINT IF EXISTS ck_conversations_origin_is_known")
    op.execute(
        "ALTER TABLE conversations ADD CONSTRAINT ck_conversations_origin_is_known "
        "CHECK (origin IN ('chat', 'completions', 'kept')) NOT VALID"
    )
    op.execute("ALTER TABLE messages ALTER COLUMN is_searchable DROP NOT NULL")
    with op.get_context().autocommit_block():
        op.execute("ALTER TABLE conversations VALIDATE CONSTRAINT ck_conversations_origin_is_known")
        for name in ("ix_conversations_listed", "ix_conversations_to_erase"):
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")  # an invalid one is left where its making failed
        op.create_index(
            "ix_conversations_listed",
            "conversations",
            ["user_id", "company_id", "id"],
            postgresql_where=_LISTED,
            postgresql_concurrently=True,
        )
        op.create_index(
            "ix_conversations_to_erase",
            "conversations",
            ["created_at"],
            postgresql_where=_TO_ERASE,
            postgresql_concurrently=True,
        )


def downgrade() -> None:
    op.drop_index("ix_conversations_to_erase", "conversations")
    op.drop_index("ix_conversations_listed", "conversations")
    op.execute("UPDATE messages SET is_searchable = false WHERE is_searchable IS NULL")
    op.execute("ALTER TABLE messages ALTER COLUMN is_searchable SET NOT NULL")
    op.drop_constraint("ck_conversations_origin_is_known", "conversations")
    op.drop_column("conversations", "origin")
