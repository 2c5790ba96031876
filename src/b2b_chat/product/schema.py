"""The whole database schema: every table, and the way to bring a database up to it."""

import asyncio
from pathlib import Path

from advanced_alchemy.base import DefaultBase
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData

from b2b_chat.product.audit import models as audit
from b2b_chat.product.chat import models as chat
from b2b_chat.product.companies import models as companies
from b2b_chat.product.credits import models as credit
from b2b_chat.product.identity import models as identity
from b2b_chat.product.mail import models as mail
from b2b_chat.product.operators import models as operators

TABLES = (
    companies.CompanyRow,
    companies.MembershipRow,
    companies.InviteRow,
    identity.UserRow,
    identity.ApiKeyRow,
    identity.LoginChallengeRow,
    identity.SessionRow,
    mail.MailRow,
    credit.AccountRow,
    credit.HoldRow,
    credit.LedgerEntryRow,
    chat.ConversationRow,
    chat.MessageRow,
    operators.OperatorRow,
    audit.AuditRow,
)
"""Every table, named so that none is forgotten by an import that nobody makes."""


def metadata() -> MetaData:
    """The tables as SQLAlchemy knows them, for Alembic to compare with a database."""
    known: MetaData = DefaultBase.metadata
    return known


def migrations_folder() -> Path:
    """Where the migrations are: beside the package when installed, at the top of the tree in a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "migrations"
    return installed if installed.is_dir() else package.parents[1] / "migrations"


def upgrade_to_head(database_url: str) -> None:
    """Apply every migration that the database does not have yet."""
    config = Config()
    config.set_main_option("script_location", str(migrations_folder()))
    config.attributes["database_url"] = database_url
    command.upgrade(config, "head")


def head_revision() -> str:
    """The last migration of this release.

    Raises:
        RuntimeError: There is none, or more than one.
    """
    config = Config()
    config.set_main_option("script_location", str(migrations_folder()))
    head = ScriptDirectory.from_config(config).get_current_head()
    if head is None:
        raise RuntimeError("there are no migrations")
    return head


async def upgrade_to_head_async(database_url: str) -> None:
    """The same, from within a running loop."""
    await asyncio.to_thread(upgrade_to_head, database_url)
