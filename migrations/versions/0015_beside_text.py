"""An answer keeps what it has beside its text: calls of tools, and whether it is a refusal."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("messages", sa.Column("beside_text", postgresql.JSONB(), nullable=True))


def downgrade() -> None:
    op.drop_column("messages", "beside_text")
