"""Corrections in the ledger point at the entry that they correct."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("ledger", sa.Column("corrects_position", sa.BigInteger(), nullable=True))
    op.create_foreign_key(
        op.f("fk_ledger_company_id_ledger"),
        "ledger",
        "ledger",
        ["company_id", "corrects_position"],
        ["company_id", "position"],
        postgresql_not_valid=True,
    )
    op.create_check_constraint(
        op.f("ck_ledger_corrections_point_back"),
        "ledger",
        "corrects_position IS NULL OR (kind = 'adjustment' AND corrects_position < position)",
        postgresql_not_valid=True,
    )
    # Validating reads the whole ledger: only after the locks above are gone, so that nobody's message waits for it.
    with op.get_context().autocommit_block():
        for constraint in ("fk_ledger_company_id_ledger", "ck_ledger_corrections_point_back"):
            op.execute(f"ALTER TABLE ledger VALIDATE CONSTRAINT {constraint}")


def downgrade() -> None:
    op.drop_column("ledger", "corrects_position")
