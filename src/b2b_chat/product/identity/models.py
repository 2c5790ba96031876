"""Tables of users, their logins and sessions, and API keys."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, DateTime, ForeignKey, Index, LargeBinary, SmallInteger, String, func
from sqlalchemy.orm import Mapped, mapped_column

from b2b_chat.kit.database import Row


class UserRow(Row):
    """A person, known by an address."""

    __tablename__ = "users"
    __table_args__ = (CheckConstraint("email = lower(email)", name="email_is_lower_case"),)

    email: Mapped[str] = mapped_column(String(254), unique=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    blocked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class ApiKeyRow(Row):
    """A key that lets a program act as a user of a company, or as an operator. Only its hash is kept."""

    __tablename__ = "api_keys"

    company_id: Mapped[UUID | None] = mapped_column(ForeignKey("companies.id"), index=True)
    """None for an operator's key, which acts in no company."""
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    name: Mapped[str] = mapped_column(String(100))
    prefix: Mapped[str] = mapped_column(String(16))
    key_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(String(16)))
    made_in_shell: Mapped[bool] = mapped_column(server_default="false")
    """An operator's key made on the server's command line, by someone who could do everything there anyway."""
    expires_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    last_used_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class ChallengeState(StrEnum):
    """The state of a login by mail."""

    REQUESTED = "requested"
    """Asked for; nothing else has happened yet."""
    DECLINED = "declined"
    """Asked for too often."""
    OPEN = "open"
    """Has its two proofs, the link's token and the code. They were mailed, if the address is a known user's."""
    REDEEMED = "redeemed"
    BURNT = "burnt"
    """Ended by wrong codes, link and all, by releases before the one that counts them where they are typed."""


class LoginChallengeRow(Row):
    """A request to sign in with an address, known or not. Only hashes of its proofs are kept.

    There is a row for unknown addresses too: asking for a link and guessing a code are then the same work for every
    address, and take the same time.
    """

    __tablename__ = "login_challenges"
    __table_args__ = (
        CheckConstraint("email = lower(email)", name="email_is_lower_case"),
        CheckConstraint("state IN ('requested', 'declined', 'open', 'redeemed', 'burnt')", name="state_is_known"),
        CheckConstraint("(state IN ('requested', 'declined')) = (token_hash IS NULL)", name="open_ones_have_proofs"),
        CheckConstraint("(token_hash IS NULL) = (code_hash IS NULL)", name="proofs_come_together"),
        Index("ix_login_challenges_email", "email", "expires_at"),
        Index("ix_login_challenges_requested", "id", postgresql_where="state = 'requested'"),
        Index(
            "ix_login_challenges_invited_mailbox",
            "invited_mailbox",
            "expires_at",
            postgresql_where="invited_mailbox IS NOT NULL",
        ),
        Index(
            "ix_login_challenges_invited_domain",
            "invited_domain",
            "expires_at",
            postgresql_where="invited_domain IS NOT NULL",
        ),
    )

    email: Mapped[str] = mapped_column(String(254))
    language: Mapped[str] = mapped_column(String(2))
    client_ip: Mapped[str] = mapped_column(String(45))
    state: Mapped[str] = mapped_column(String(16), server_default=ChallengeState.REQUESTED)
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    token_hash: Mapped[bytes | None] = mapped_column(LargeBinary(32), unique=True)
    code_hash: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    request_hash: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    """The hash of the `login_request` that the client got, and sends along with the code."""
    known_browser_hash: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    """The browser that asked, if it has signed in with this address before."""
    wrong_codes: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    """Wrong codes with the right `login_request`."""
    strangers_wrong_codes: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    """Wrong codes without it. Each is counted at the newest open challenge alone."""
    invited_mailbox: Mapped[str | None] = mapped_column(String(254))
    """The mailbox that was mailed, if its person is in no company yet; such mails are limited by mailbox …"""
    invited_domain: Mapped[str | None] = mapped_column(String(254))
    """… and by domain, unless it is a public provider's."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), index=True)


class SessionRow(Row):
    """A browser that has signed in. Only the hash of its cookie's token is kept."""

    __tablename__ = "sessions"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), index=True)
    company_id: Mapped[UUID | None] = mapped_column(ForeignKey("companies.id"))
    """The company that the user is acting in."""
    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    user_agent: Mapped[str] = mapped_column(String(200))
    client_ip: Mapped[str] = mapped_column(String(45))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    last_seen_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), index=True)
    """The end of its absolute lifetime."""
    proved_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When it last proved the second factor."""
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
