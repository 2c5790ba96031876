"""Invites, blocks of companies and members, operators, the audit log, and external ids of credits."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


_FORBIDDEN = (("UPDATE", "ROW"), ("DELETE", "ROW"), ("TRUNCATE", "STATEMENT"))


def upgrade() -> None:
    op.add_column("companies", sa.Column("blocked_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("memberships", sa.Column("blocked_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "invites",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("language", sa.String(length=2), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("invited_by", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("email = lower(email)", name=op.f("ck_invites_email_is_lower_case")),
        sa.CheckConstraint("role IN ('member', 'admin', 'owner')", name=op.f("ck_invites_role_is_known")),
        sa.CheckConstraint("state IN ('pending', 'accepted', 'revoked')", name=op.f("ck_invites_state_is_known")),
        sa.CheckConstraint("(state = 'pending') = (closed_at IS NULL)", name=op.f("ck_invites_closed_ones_tell_when")),
        sa.ForeignKeyConstraint(["company_id"], ["companies.id"], name=op.f("fk_invites_company_id_companies")),
        sa.ForeignKeyConstraint(["invited_by"], ["users.id"], name=op.f("fk_invites_invited_by_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invites")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_invites_token_hash")),
    )
    op.create_index("ix_invites_company_id", "invites", ["company_id", "id"], unique=False)
    op.create_table(
        "operators",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_operators_user_id_users")),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_operators")),
    )
    # A key without a company is an operator's.
    op.alter_column("api_keys", "company_id", existing_type=sa.Uuid(), nullable=True)
    _create_audit_log()
    op.add_column("ledger", sa.Column("external_id", sa.String(length=128), nullable=True))
    op.create_unique_constraint(op.f("uq_ledger_external_id"), "ledger", ["external_id"])
    op.drop_constraint(op.f("ck_ledger_kind_is_known"), "ledger")
    op.create_check_constraint(op.f("ck_ledger_kind_is_known"), "ledger", "kind IN ('top_up', 'charge', 'adjustment')")


def _create_audit_log() -> None:
    op.create_table(
        "audit_log",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("company_id", sa.Uuid(), nullable=True),
        sa.Column("actor_kind", sa.String(length=16), nullable=False),
        sa.Column("actor_id", sa.String(length=200), nullable=False),
        sa.Column("actor_user_id", sa.Uuid(), nullable=True),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=True),
        sa.Column("request_id", sa.String(length=128), nullable=True),
        sa.Column("targets", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("target_ids", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("before", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("after", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.CheckConstraint(
            "actor_kind IN ('user', 'api_key', 'operator', 'command_line')",
            name=op.f("ck_audit_log_actor_kind_is_known"),
        ),
        sa.CheckConstraint("outcome IN ('ok', 'refused')", name=op.f("ck_audit_log_outcome_is_known")),
        sa.CheckConstraint(
            "(outcome = 'refused') = (reason IS NOT NULL)", name=op.f("ck_audit_log_refusals_have_a_reason")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_log")),
    )
    op.create_index("ix_audit_log_at", "audit_log", ["at", "id"], unique=False)
    for column in ("company_id", "actor_id", "actor_user_id"):
        op.create_index(f"ix_audit_log_{column}", "audit_log", [column, "at", "id"], unique=False)
    op.create_index("ix_audit_log_target_ids", "audit_log", ["target_ids"], unique=False, postgresql_using="gin")
    for event, level in _FORBIDDEN:
        op.execute(
            f"CREATE TRIGGER audit_log_is_append_only_{event.lower()} BEFORE {event} ON audit_log "
            f"FOR EACH {level} EXECUTE FUNCTION forbid_change()"
        )


def downgrade() -> None:
    # Adjustments stay in the ledger, which nobody may change: the old check holds for new rows only.
    op.drop_constraint(op.f("ck_ledger_kind_is_known"), "ledger")
    op.create_check_constraint(
        op.f("ck_ledger_kind_is_known"), "ledger", "kind IN ('top_up', 'charge')", postgresql_not_valid=True
    )
    op.drop_constraint(op.f("uq_ledger_external_id"), "ledger")
    op.drop_column("ledger", "external_id")
    op.drop_table("audit_log")
    op.execute("DELETE FROM api_keys WHERE company_id IS NULL")
    op.alter_column("api_keys", "company_id", existing_type=sa.Uuid(), nullable=False)
    op.drop_table("operators")
    op.drop_table("invites")
    op.drop_column("memberships", "blocked_at")
    op.drop_column("companies", "blocked_at")
