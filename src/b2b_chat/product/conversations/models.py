"""Tables of conversations and messages."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    String,
    Text,
    func,
)
from sqlalchemy import text as text_sql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from b2b_chat.kit.database import Row


class ConversationRow(Row):
    """A user's thread of messages."""

    __tablename__ = "conversations"
    __table_args__ = (
        CheckConstraint("origin IN ('chat', 'completions', 'kept')", name="origin_is_known"),
        Index("ix_conversations_owner", "user_id", "company_id", "id"),
        Index("ix_conversations_activity", "user_id", "company_id", "updated_at", "id"),
        Index("ix_conversations_listed", "user_id", "company_id", "id", postgresql_where="origin <> 'completions'"),
        Index(
            "ix_conversations_to_erase",
            "created_at",
            postgresql_where="origin = 'completions' AND deleted_at IS NULL",
        ),
    )

    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.id"))
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    title: Mapped[str] = mapped_column(String(80))
    origin: Mapped[str] = mapped_column(String(16), server_default="chat")
    """How it came about; a `completions` one is in no list, and is erased once no replay may need it."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    updated_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True), server_default=func.now())
    """When something was last said in it. Nullable, since a constraint would be checked while all chats wait."""
    deleted_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """Since when it is gone for its user: the title and all texts are erased, the rows stay for the ledger."""


class MessageRow(Row):
    """What a user said, or what the assistant answers.

    A user's message carries `client_message_id` and the fingerprint of what was asked; an assistant's names the
    message it replies to, and the lease of the process that is writing it.
    """

    __tablename__ = "messages"
    __table_args__ = (
        Index(
            "uq_messages_client_message_id",
            "user_id",
            "client_message_id",
            text_sql("COALESCE(sender_id, user_id)"),
            unique=True,
        ),
        CheckConstraint("role IN ('user', 'assistant')", name="role_is_known"),
        CheckConstraint("status IN ('pending', 'streaming', 'completed', 'stopped', 'error')", name="status_is_known"),
        CheckConstraint("(role = 'assistant') = (reply_to IS NOT NULL)", name="assistants_reply"),
        Index("ix_messages_conversation_id", "conversation_id", "id"),
        Index(
            "uq_messages_one_run",
            "conversation_id",
            unique=True,
            postgresql_where="status IN ('pending', 'streaming')",
        ),
        Index(
            "ix_messages_search",
            text_sql("search_grams(user_id, text)"),
            postgresql_using="gin",
            postgresql_where="is_searchable",
        ),
        Index(
            "ix_messages_not_searchable",
            "user_id",
            postgresql_where="NOT is_searchable AND completed_at IS NOT NULL",
        ),
        Index(
            "ix_messages_masked",
            "company_id",
            "created_at",
            postgresql_where=text_sql("role = 'user' AND masks <> '[]'"),
        ),
        Index("ix_messages_lease", "lease_expires_at", postgresql_where="status IN ('pending', 'streaming')"),
    )

    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.id"))
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    conversation_id: Mapped[UUID] = mapped_column(ForeignKey("conversations.id"))
    role: Mapped[str] = mapped_column(String(16))
    status: Mapped[str] = mapped_column(String(16))
    text: Mapped[str] = mapped_column(Text, server_default="")
    client_message_id: Mapped[str | None] = mapped_column(String(128))
    sender_id: Mapped[UUID | None]
    """Whose name `client_message_id` is: an API key, or the user in a session; None for what other releases wrote."""
    fingerprint: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    reply_to: Mapped[UUID | None] = mapped_column(ForeignKey("messages.id"), unique=True)
    attempt: Mapped[int] = mapped_column(Integer, server_default="1")
    usage_json: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    error_code: Mapped[str | None] = mapped_column(String(64))
    finish_reason: Mapped[str | None] = mapped_column(String(16))
    """Why the model ended the answer; None where it did not, and for answers of releases before this column."""
    cut_by: Mapped[str | None] = mapped_column(String(16))
    """For the reason `length`: whose limit it was."""
    charged_credits: Mapped[Decimal | None] = mapped_column(Numeric(20, 6))
    """What all attempts at an answer have cost; answers of releases before this column have it in the ledger alone."""
    tokens: Mapped[int | None] = mapped_column(Integer)
    """How many the text has; None for messages of releases before this column, and while an answer is written."""
    masks: Mapped[list[Any] | None] = mapped_column(JSONB)
    """Where values that do not cross the border stand in the text; None where the text was not examined."""
    masked_by: Mapped[str | None] = mapped_column(String(32))
    """The rules that the masks were made by."""
    beside_text: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    """What an answer has beside its text: calls of tools, and whether it is a refusal."""
    lease_expires_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    completed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    is_searchable: Mapped[bool] = mapped_column(Boolean, nullable=True, server_default="false")
    """Whether it is in the index for searches, which it enters a moment after it was written; None: it never does."""
