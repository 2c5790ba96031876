"""Companies: operators set up, find and block them; members see their own."""

from datetime import datetime
from uuid import UUID

from b2b_chat.kit.clock import Clock, utc_now
from b2b_chat.kit.pagination import Page, id_from_cursor
from b2b_chat.product.audit.actions import Action
from b2b_chat.product.audit.actors import Actor, actor_of
from b2b_chat.product.audit.service import record_action
from b2b_chat.product.companies.ceiling import lock_company, require_reach
from b2b_chat.product.companies.models import CompanyRow
from b2b_chat.product.companies.repository import CompanyRecord, CompanyRepository
from b2b_chat.product.companies.schemas import Company, CompanyCreate, CompanyOverview
from b2b_chat.product.credits.service import CompanyNotFound, open_account
from b2b_chat.product.identity import users
from b2b_chat.product.transactions import Transaction, TransactionFactory
from b2b_chat.product.viewer import Viewer
from b2b_chat.product.vocabulary import Role


class Companies:
    """The customers of this installation."""

    def __init__(self, transaction: TransactionFactory, *, clock: Clock = utc_now) -> None:
        self._transaction = transaction
        self._clock = clock

    async def create(self, actor: Actor, wanted: CompanyCreate) -> Company:
        """Set up a company with an empty account, and make the person with its owner's address a member of it."""
        async with self._transaction() as tx:
            company = await tx[CompanyRepository].add(wanted.name)
            await open_account(tx, company.id)
            owner_id = await users.get_or_add(tx, wanted.owner_email)
            await tx[CompanyRepository].add_member(company.id, owner_id, Role.OWNER)
            await record_action(
                tx,
                actor,
                Action.COMPANY_CREATE,
                targets={"company_id": company.id, "owner_user_id": owner_id},
                after={"name": wanted.name},
            )
        return _company(company)

    async def get(self, viewer: Viewer) -> Company:
        """Return the company that the viewer is acting in."""
        async with self._transaction() as tx:
            return _company(await tx[CompanyRepository].get(viewer.company_id))

    async def overview(self, company_id: UUID) -> CompanyOverview:
        """Return one company with its balance.

        Raises:
            CompanyNotFound: There is no such company.
        """
        async with self._transaction() as tx:
            record = await tx[CompanyRepository].find_with_account(company_id)
        if record is None:
            raise CompanyNotFound
        return _overview(record)

    async def search(self, name_part: str | None, *, cursor: str | None, limit: int) -> Page[CompanyOverview]:
        """Return companies whose name contains a text, with their balances, newest first."""
        async with self._transaction() as tx:
            records = await tx[CompanyRepository].list_with_accounts(
                name_part=name_part, before=id_from_cursor(cursor), limit=limit + 1
            )
        items = [_overview(record) for record in records[:limit]]
        return Page(items, str(items[-1].id) if len(records) > limit else None)

    async def ask_second_factor(self, viewer: Viewer, *, needed: bool) -> Company:
        """Ask a second factor of the company's admins and owners from now on, or no longer.

        Raises:
            RoleTooLow: The viewer is no owner.
        """
        async with self._transaction() as tx:
            rights = await lock_company(tx, viewer)
            require_reach(rights.role, Role.OWNER)
            before = rights.company.needs_second_factor
            rights.company.needs_second_factor = needed
            await record_action(
                tx,
                actor_of(viewer),
                Action.COMPANY_ASK_SECOND_FACTOR,
                targets={"company_id": viewer.company_id},
                before={"needs_second_factor": before},
                after={"needs_second_factor": needed},
            )
        return _company(rights.company)

    async def block(self, actor: Actor, company_id: UUID) -> Company:
        """Block a company: no one may act in it, by session or key. Running answers continue to their end.

        Raises:
            CompanyNotFound: There is no such company.
        """
        return await self._set_block(actor, Action.COMPANY_BLOCK, company_id, self._clock())

    async def unblock(self, actor: Actor, company_id: UUID) -> Company:
        """Let people act in a company again.

        Raises:
            CompanyNotFound: There is no such company.
        """
        return await self._set_block(actor, Action.COMPANY_UNBLOCK, company_id, None)

    async def _set_block(self, actor: Actor, action: Action, company_id: UUID, since: datetime | None) -> Company:
        async with self._transaction() as tx:
            company = await tx[CompanyRepository].find_locked(company_id)
            if company is None:
                raise CompanyNotFound
            before = company.blocked_at
            company.blocked_at = since and (before or since)
            await record_action(
                tx,
                actor,
                action,
                targets={"company_id": company_id},
                before={"blocked_at": before},
                after={"blocked_at": company.blocked_at},
            )
        return _company(company)


async def require_company(tx: Transaction, company_id: UUID) -> None:
    """Lock a company for changes to what belongs to it.

    Raises:
        CompanyNotFound: There is no such company.
    """
    if await tx[CompanyRepository].find_locked(company_id) is None:
        raise CompanyNotFound


def _company(row: CompanyRow) -> Company:
    """Return a company as it is shown."""
    return Company(row.id, row.name, row.created_at, row.blocked_at, row.needs_second_factor)


def _overview(record: CompanyRecord) -> CompanyOverview:
    company = record.company
    return CompanyOverview(
        id=company.id,
        name=company.name,
        created_at=company.created_at,
        blocked_at=company.blocked_at,
        balance_credits=record.balance_credits,
        held_credits=record.held_credits,
    )
