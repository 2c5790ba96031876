"""What a sandbox's database holds to begin with: a company with credits, a user, and an API key to speak with."""

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from typing import Final
from uuid import UUID

from b2b_chat.kit.database import Database, new_id
from b2b_chat.product.audit.actors import command_line_actor
from b2b_chat.product.companies.schemas import CompanyCreate
from b2b_chat.product.companies.service import Companies
from b2b_chat.product.configuration import load_settings
from b2b_chat.product.credits.schemas import CreditsAdd
from b2b_chat.product.credits.service import Credits
from b2b_chat.product.identity import users
from b2b_chat.product.identity.service import ApiKeys, issue_key
from b2b_chat.product.transactions import TransactionFactory, transaction_factory
from b2b_chat.product.viewer import Unauthenticated
from b2b_chat.product.vocabulary import Scope
from b2b_chat.sandbox.sign_in import DEMO_EMAIL

COMPANY_NAME: Final = "Demo company"
GRANTED_CREDITS: Final = Decimal(1000)

_WAIT_SECONDS: Final = 10


def seed(product_environ: Mapping[str, str], kept_api_key: str | None) -> str:
    """Top up the company behind an earlier run's key, or else make company, user and key anew; return the key.

    Raises:
        SettingsError: The environment does not make valid settings of product_api.
    """
    return asyncio.run(_seed(load_settings(product_environ).database_url.reveal(), kept_api_key))


async def _seed(database_url: str, kept_api_key: str | None) -> str:
    database = Database(
        database_url, pool_size=1, session_pool_size=1, acquire_seconds=_WAIT_SECONDS, statement_seconds=_WAIT_SECONDS
    )
    await database.open()
    try:
        transaction = transaction_factory(database)
        keys = ApiKeys(database)
        if kept_api_key is None or not await _top_up(kept_api_key, keys, transaction):
            return await _make(transaction)
        return kept_api_key
    finally:
        await database.close()


async def _top_up(api_key: str, keys: ApiKeys, transaction: TransactionFactory) -> bool:
    """Give credits to the company that a key acts for; False if the key is not of this database."""
    try:
        viewer = await keys.authenticate(api_key)
    except Unauthenticated:
        return False
    await _grant(viewer.company_id, transaction)
    return True


async def _make(transaction: TransactionFactory) -> str:
    wanted = CompanyCreate(COMPANY_NAME, DEMO_EMAIL)
    company = await Companies(transaction).create(command_line_actor(), wanted)
    await _grant(company.id, transaction)
    async with transaction() as tx:
        user_id = await users.get_or_add(tx, DEMO_EMAIL)
        issued = await issue_key(tx, company_id=company.id, user_id=user_id, name=COMPANY_NAME, scopes=list(Scope))
    return issued.key


async def _grant(company_id: UUID, transaction: TransactionFactory) -> None:
    addition = CreditsAdd(str(GRANTED_CREDITS), f"sandbox-{new_id()}")
    await Credits(transaction).add(command_line_actor(), company_id, addition)
