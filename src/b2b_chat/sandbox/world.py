"""The first contents of a sandbox's database: a company with credits, a user and an API key."""

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from typing import Final
from uuid import UUID

from b2b_chat.kit.database import new_id
from b2b_chat.product.audit.actors import command_line_actor
from b2b_chat.product.companies.schemas import CompanyCreate
from b2b_chat.product.configuration import load_settings
from b2b_chat.product.credits.schemas import CreditsAdd
from b2b_chat.product.identity import users
from b2b_chat.product.identity.api_keys import issue_key
from b2b_chat.product.services import DatabaseServices, database_services
from b2b_chat.product.settings import ProductSettings
from b2b_chat.product.viewer import Unauthenticated
from b2b_chat.product.vocabulary import Scope
from b2b_chat.sandbox.sign_in import DEMO_EMAIL

COMPANY_NAME: Final = "Demo company"
POOR_COMPANY_NAME: Final = "Company without credits"
GRANTED_CREDITS: Final = Decimal(1000)

_STATEMENT_SECONDS: Final = 10


def seed(product_environ: Mapping[str, str], kept_api_key: str | None) -> str:
    """Top up the company of an earlier run's key, or create a company, a user and a key; return the key.

    Raises:
        SettingsError: The environment does not make valid settings of product_api.
    """
    return asyncio.run(_seed(load_settings(product_environ), kept_api_key))


def make_poor_company(product_environ: Mapping[str, str]) -> str:
    """Make a company without credits, and return an API key of it.

    Raises:
        SettingsError: The environment does not make valid settings of product_api.
    """
    return asyncio.run(_make_poor_company(load_settings(product_environ)))


async def _make_poor_company(settings: ProductSettings) -> str:
    async with database_services(settings, statement_seconds=_STATEMENT_SECONDS) as services:
        _, api_key = await _make(services, POOR_COMPANY_NAME)
        return api_key


async def _seed(settings: ProductSettings, kept_api_key: str | None) -> str:
    async with database_services(settings, statement_seconds=_STATEMENT_SECONDS) as services:
        if kept_api_key is None or not await _top_up(kept_api_key, services):
            company_id, api_key = await _make(services, COMPANY_NAME)
            await _grant(company_id, services)
            return api_key
        return kept_api_key


async def _top_up(api_key: str, services: DatabaseServices) -> bool:
    """Give credits to the company of a key; return False if the key is not in this database."""
    try:
        viewer = await services.api_keys.authenticate(api_key)
    except Unauthenticated:
        return False
    await _grant(viewer.company_id, services)
    return True


async def _make(services: DatabaseServices, name: str) -> tuple[UUID, str]:
    """Make a company of the demo person, and return its id and an API key."""
    company = await services.companies.create(command_line_actor(), CompanyCreate(name, DEMO_EMAIL))
    async with services.transaction() as tx:
        user_id = await users.get_or_add(tx, DEMO_EMAIL)
        issued = await issue_key(tx, company_id=company.id, user_id=user_id, name=name, scopes=list(Scope))
    return company.id, issued.key


async def _grant(company_id: UUID, services: DatabaseServices) -> None:
    addition = CreditsAdd(str(GRANTED_CREDITS), f"sandbox-{new_id()}")
    await services.credit.add(command_line_actor(), company_id, addition)
