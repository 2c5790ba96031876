"""The audit log keeps the request id that a client chose beside our own."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("audit_log", sa.Column("client_request_id", sa.String(length=128), nullable=True))


def downgrade() -> None:
    op.drop_column("audit_log", "client_request_id")
