"""Holds name their user, accounts know how long answers are, and messages how many tokens they have."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_LIVE = sa.text("state = 'live'")


def upgrade() -> None:
    op.add_column("messages", sa.Column("tokens", sa.Integer(), nullable=True))
    op.add_column(
        "accounts",
        sa.Column("recent_completion_tokens", sa.ARRAY(sa.Integer()), server_default="{}", nullable=False),
    )
    op.add_column("holds", sa.Column("user_id", sa.Uuid(), nullable=True))
    # Volatile, so that it sees what was committed after the statement that calls it had begun.
    op.execute(
        """
        CREATE FUNCTION live_holds_of(company uuid, member uuid, OUT answers bigint, OUT credits numeric)
        LANGUAGE plpgsql VOLATILE AS $$
        BEGIN
            SELECT count(*), COALESCE(sum(amount_credits), 0) INTO answers, credits
            FROM holds WHERE company_id = company AND user_id = member AND state = 'live';
        END $$
        """
    )
    # Messages go on while an index is built. One whose building was interrupted is there, but not valid.
    with op.get_context().autocommit_block():
        op.drop_index("ix_holds_live_user_id", "holds", postgresql_concurrently=True, if_exists=True)
        op.create_index(
            "ix_holds_live_user_id",
            "holds",
            ["company_id", "user_id"],
            unique=False,
            postgresql_where=_LIVE,
            postgresql_concurrently=True,
        )
        op.drop_index("ix_holds_live_company_id", "holds", postgresql_concurrently=True, if_exists=True)


def downgrade() -> None:
    op.create_index("ix_holds_live_company_id", "holds", ["company_id"], unique=False, postgresql_where=_LIVE)
    op.drop_index("ix_holds_live_user_id", "holds", postgresql_where=_LIVE)
    op.execute("DROP FUNCTION live_holds_of")
    op.drop_column("holds", "user_id")
    op.drop_column("accounts", "recent_completion_tokens")
    op.drop_column("messages", "tokens")
