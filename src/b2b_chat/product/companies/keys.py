"""The API keys of a company, as its admins see them."""

from datetime import timedelta
from uuid import UUID

from b2b_chat.kit.clock import Clock, utc_now
from b2b_chat.kit.pagination import Page, id_from_cursor
from b2b_chat.product.audit.actions import Action
from b2b_chat.product.audit.actors import actor_of
from b2b_chat.product.audit.service import record_action
from b2b_chat.product.companies.ceiling import lock_company, require_reach
from b2b_chat.product.companies.repository import CompanyRepository
from b2b_chat.product.companies.schemas import ApiKeyCreate
from b2b_chat.product.identity.api_keys import count_live_keys, issue_key, list_keys, revoke_key, user_of_key
from b2b_chat.product.identity.schemas import ApiKey, NewApiKey
from b2b_chat.product.refusals import Refusal
from b2b_chat.product.settings import ProductSettings
from b2b_chat.product.transactions import TransactionFactory
from b2b_chat.product.viewer import ScopeMissing, Viewer
from b2b_chat.product.vocabulary import SCOPES_OF_ROLES


class ApiKeyNotFound(Refusal):
    """The company has no such key."""

    code, status = "api_key_not_found", 404
    param = "api_key_id"
    message = "Your company has no API key with this id."


class TooManyApiKeys(Refusal):
    """The user has reached the limit of valid keys."""

    code, status = "too_many_api_keys", 409
    message = "You have as many keys in this company as you may. Revoke one that is not used any more."


class CompanyKeys:
    """The keys of a company's programs."""

    def __init__(self, transaction: TransactionFactory, settings: ProductSettings, *, clock: Clock = utc_now) -> None:
        self._transaction = transaction
        self._max_per_user = settings.max_api_keys_per_user
        self._clock = clock

    async def create(self, viewer: Viewer, wanted: ApiKeyCreate) -> NewApiKey:
        """Make a key that acts for the viewer. This is the only time that it can be seen.

        Whatever its scopes, it never goes beyond what the viewer's role allows at the time of a call.

        Raises:
            ScopeMissing: The viewer lacks one of the key's scopes.
            TooManyApiKeys: The viewer has reached the limit of valid keys in the company.
        """
        for scope in wanted.scopes:
            viewer.require(scope)
        days = wanted.expires_in_days
        async with self._transaction() as tx:
            own_role = (await lock_company(tx, viewer)).role
            if not SCOPES_OF_ROLES[own_role] >= set(wanted.scopes):
                raise ScopeMissing
            now = self._clock()
            if await count_live_keys(tx, viewer.company_id, viewer.user_id, now) >= self._max_per_user:
                raise TooManyApiKeys
            issued = await issue_key(
                tx,
                company_id=viewer.company_id,
                user_id=viewer.user_id,
                name=wanted.name,
                scopes=wanted.scopes,
                expires_at=None if days is None else now + timedelta(days=days),
            )
            await record_action(
                tx,
                actor_of(viewer),
                Action.API_KEY_CREATE,
                targets={"api_key_id": issued.api_key.id},
                after={"scopes": issued.api_key.scopes, "expires_at": issued.api_key.expires_at},
            )
        return issued

    async def list_keys(self, viewer: Viewer, *, cursor: str | None, limit: int) -> Page[ApiKey]:
        """Return the keys of the viewer's company, revoked ones too, newest first."""
        async with self._transaction() as tx:
            keys = await list_keys(tx, viewer.company_id, before=id_from_cursor(cursor), limit=limit + 1)
        return Page(keys[:limit], str(keys[limit - 1].id) if len(keys) > limit else None)

    async def revoke(self, viewer: Viewer, api_key_id: UUID) -> None:
        """End a key of any of the company's people for good. Revoking it again changes nothing.

        Raises:
            ApiKeyNotFound: The company has no such key.
            RoleTooLow: It acts for a person whose role is above the viewer's.
        """
        async with self._transaction() as tx:
            own_role = (await lock_company(tx, viewer)).role
            user_id = await user_of_key(tx, viewer.company_id, api_key_id)
            if user_id is None:
                raise ApiKeyNotFound
            of = await tx[CompanyRepository].find_member(viewer.company_id, user_id)
            if of is not None:
                require_reach(own_role, of.membership.role)
            revocation = await revoke_key(tx, viewer.company_id, api_key_id, self._clock())
            if revocation is None:
                raise ApiKeyNotFound
            await record_action(
                tx,
                actor_of(viewer),
                Action.API_KEY_REVOKE,
                targets={"api_key_id": api_key_id},
                before={"revoked_at": revocation.before},
                after={"revoked_at": revocation.after},
            )
