"""Messages tell why their answer ended, and a later attempt may cost more than an earlier one was charged."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_NAMES_A_MESSAGE = "ck_ledger_charges_name_a_message"
_POINT_BACK = "ck_ledger_supplements_point_back"


def upgrade() -> None:
    op.add_column("messages", sa.Column("finish_reason", sa.String(length=16), nullable=True))
    op.add_column("messages", sa.Column("cut_by", sa.String(length=16), nullable=True))
    op.add_column("messages", sa.Column("charged_credits", sa.Numeric(precision=20, scale=6), nullable=True))
    op.add_column("ledger", sa.Column("supplements_position", sa.BigInteger(), nullable=True))
    op.drop_constraint(op.f(_NAMES_A_MESSAGE), "ledger")
    op.create_check_constraint(
        op.f(_NAMES_A_MESSAGE),
        "ledger",
        "(kind = 'charge') = (message_id IS NOT NULL OR supplements_position IS NOT NULL)",
        postgresql_not_valid=True,
    )
    op.create_check_constraint(
        op.f(_POINT_BACK),
        "ledger",
        "supplements_position IS NULL OR (message_id IS NULL AND supplements_position < position)",
        postgresql_not_valid=True,
    )
    # Validating reads the whole ledger: only after the locks above are gone, so that no message waits for it.
    with op.get_context().autocommit_block():
        for constraint in (_NAMES_A_MESSAGE, _POINT_BACK):
            op.execute(f"ALTER TABLE ledger VALIDATE CONSTRAINT {constraint}")


def downgrade() -> None:
    op.drop_constraint(op.f(_POINT_BACK), "ledger")
    op.drop_constraint(op.f(_NAMES_A_MESSAGE), "ledger")
    op.create_check_constraint(
        op.f(_NAMES_A_MESSAGE), "ledger", "(kind = 'charge') = (message_id IS NOT NULL)", postgresql_not_valid=True
    )
    op.drop_column("ledger", "supplements_position")
    op.drop_column("messages", "charged_credits")
    op.drop_column("messages", "cut_by")
    op.drop_column("messages", "finish_reason")
