"""A message keeps where values stand in its own text that do not cross the border."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("messages", sa.Column("masks", postgresql.JSONB(), nullable=True))
    op.add_column("messages", sa.Column("masked_by", sa.String(length=32), nullable=True))


def downgrade() -> None:
    op.drop_column("messages", "masked_by")
    op.drop_column("messages", "masks")
