"""Operators' keys tell where they were made, and what takes two operators is kept until both want it."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_ACTOR = "ck_audit_log_actor_kind_is_known"


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("made_in_shell", sa.Boolean(), server_default="false", nullable=False))
    # Until now only the command line made operators' keys. The release before goes on making some that say they are not
    # from there: these may do less, until they are made again.
    op.execute("UPDATE api_keys SET made_in_shell = true WHERE company_id IS NULL")
    op.create_table(
        "operator_approvals",
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("target_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_operator_approvals_user_id_users")),
        sa.PrimaryKeyConstraint("action", "target_id", "user_id", name=op.f("pk_operator_approvals")),
    )
    op.add_column("audit_log", sa.Column("count", sa.Integer(), server_default="1", nullable=False))
    op.drop_constraint(op.f(_ACTOR), "audit_log")
    op.create_check_constraint(
        op.f(_ACTOR),
        "audit_log",
        "actor_kind IN ('user', 'api_key', 'operator', 'command_line', 'stranger')",
        postgresql_not_valid=True,
    )
    # Validating reads the whole log: only after the locks above are gone, so that no action waits for it.
    with op.get_context().autocommit_block():
        op.execute(f"ALTER TABLE audit_log VALIDATE CONSTRAINT {_ACTOR}")


def downgrade() -> None:
    op.drop_constraint(op.f(_ACTOR), "audit_log")
    op.create_check_constraint(
        op.f(_ACTOR),
        "audit_log",
        "actor_kind IN ('user', 'api_key', 'operator', 'command_line')",
        postgresql_not_valid=True,
    )
    op.drop_column("audit_log", "count")
    op.drop_table("operator_approvals")
    op.drop_column("api_keys", "made_in_shell")
