"""A login belongs to the browser that asked for it, and mails to people only invited are counted by mailbox."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_TABLE = "login_challenges"
_COUNTED = ("invited_mailbox", "invited_domain")


def upgrade() -> None:
    op.add_column(_TABLE, sa.Column("request_hash", sa.LargeBinary(length=32), nullable=True))
    op.add_column(_TABLE, sa.Column("known_browser_hash", sa.LargeBinary(length=32), nullable=True))
    op.add_column(_TABLE, sa.Column("strangers_wrong_codes", sa.SmallInteger(), server_default="0", nullable=False))
    op.add_column(_TABLE, sa.Column("invited_mailbox", sa.String(length=254), nullable=True))
    op.add_column(_TABLE, sa.Column("invited_domain", sa.String(length=254), nullable=True))
    # Both tables are small: one holds the logins of a day, the other all invites.
    for column in _COUNTED:
        op.create_index(
            f"ix_login_challenges_{column}",
            _TABLE,
            [column, "expires_at"],
            postgresql_where=f"{column} IS NOT NULL",
        )
    op.create_index("ix_invites_pending_email", "invites", ["email"], postgresql_where="state = 'pending'")


def downgrade() -> None:
    op.drop_index("ix_invites_pending_email", "invites")
    for column in _COUNTED:
        op.drop_index(f"ix_login_challenges_{column}", _TABLE)
    for column in ("invited_domain", "invited_mailbox", "strangers_wrong_codes", "known_browser_hash", "request_hash"):
        op.drop_column(_TABLE, column)
