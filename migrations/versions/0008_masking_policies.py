"""Companies say what is done with personal data in their messages, members add to it, and operators set a floor."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "masking_policies",
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="0", nullable=False),
        sa.Column("policy", postgresql.JSONB(), server_default="{}", nullable=False),
        sa.Column("terms_version", sa.Integer(), server_default="0", nullable=False),
        sa.Column("terms", sa.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("allowed", sa.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_masking_policies_company_id_companies")
        ),
        sa.PrimaryKeyConstraint("company_id", name=op.f("pk_masking_policies")),
    )
    op.create_table(
        "masking_wishes",
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("policy", postgresql.JSONB(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["company_id", "user_id"],
            ["memberships.company_id", "memberships.user_id"],
            name=op.f("fk_masking_wishes_company_id_memberships"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("company_id", "user_id", name=op.f("pk_masking_wishes")),
    )
    op.create_table(
        "masking_floor",
        sa.Column("is_only", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("policy", postgresql.JSONB(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("is_only", name=op.f("ck_masking_floor_there_is_one")),
        sa.PrimaryKeyConstraint("is_only", name=op.f("pk_masking_floor")),
    )


def downgrade() -> None:
    op.drop_table("masking_floor")
    op.drop_table("masking_wishes")
    op.drop_table("masking_policies")
