"""Setting and showing what crosses the border: by a company's admins, by its members for themselves, by operators."""

from typing import Any
from uuid import UUID

import msgspec

from b2b_chat.product.audit.actions import Action
from b2b_chat.product.audit.actors import Actor, actor_of
from b2b_chat.product.audit.service import record_action
from b2b_chat.product.companies.ceiling import lock_company
from b2b_chat.product.companies.service import require_company
from b2b_chat.product.masking.kinds import DEFAULTS, GROUPS
from b2b_chat.product.masking.policy import Policy, combined
from b2b_chat.product.masking.terms import distinct
from b2b_chat.product.masking_policies.models import MaskingPolicyRow
from b2b_chat.product.masking_policies.repository import MaskingPolicyRepository
from b2b_chat.product.masking_policies.schemas import (
    MaskingChange,
    MaskingImport,
    MaskingPolicy,
    MaskingRules,
    MaskingTerms,
    MaskingTermsChange,
    rules_of,
)
from b2b_chat.product.refusals import Refusal
from b2b_chat.product.transactions import Transaction, TransactionFactory
from b2b_chat.product.viewer import Viewer


class MaskingChanged(Refusal):
    """Another person has changed it since it was read."""

    code, status = "masking_changed", 409
    param = "version"
    message = "This was changed since you read it. Read it again, and repeat your change."


class MaskingPolicies:
    """What is done with personal data in the messages of each company."""

    def __init__(self, transaction: TransactionFactory) -> None:
        self._transaction = transaction

    async def get(self, viewer: Viewer) -> MaskingPolicy:
        """What is done with the viewer's messages."""
        async with self._transaction() as tx:
            return await _shown(tx, viewer.company_id, viewer.user_id)

    async def change(self, viewer: Viewer, wanted: MaskingChange) -> MaskingPolicy:
        """Replace the company's rules.

        Raises:
            MaskingChanged: They are not of the version that the viewer has seen.
        """
        async with self._transaction() as tx:
            await lock_company(tx, viewer)
            await _set_rules(tx, actor_of(viewer), viewer.company_id, wanted.policy(), version=wanted.version)
            return await _shown(tx, viewer.company_id, viewer.user_id)

    async def add_own(self, viewer: Viewer, wanted: MaskingRules) -> MaskingPolicy:
        """Replace what the viewer adds for their own messages. It can only make the rules stricter."""
        async with self._transaction() as tx:
            await tx[MaskingPolicyRepository].set_wish(viewer.company_id, viewer.user_id, _stored(wanted.policy()))
            return await _shown(tx, viewer.company_id, viewer.user_id)

    async def get_terms(self, viewer: Viewer) -> MaskingTerms:
        """The company's own words, and what it lets through."""
        async with self._transaction() as tx:
            return _terms(await tx[MaskingPolicyRepository].find(viewer.company_id))

    async def change_terms(self, viewer: Viewer, wanted: MaskingTermsChange) -> MaskingTerms:
        """Replace the company's own words, and what it lets through.

        Raises:
            MaskingChanged: They are not of the version that the viewer has seen.
        """
        async with self._transaction() as tx:
            await lock_company(tx, viewer)
            lists = MaskingImport(wanted.terms, wanted.allowed)
            return await _set_terms(tx, actor_of(viewer), viewer.company_id, lists, version=wanted.version)

    async def set_company(self, actor: Actor, company_id: UUID, rules: MaskingRules) -> int:
        """Replace any company's rules, whatever they were, and return their new version.

        Raises:
            CompanyNotFound: There is no such company.
        """
        async with self._transaction() as tx:
            await require_company(tx, company_id)
            return await _set_rules(tx, actor, company_id, rules.policy())

    async def set_company_terms(self, actor: Actor, company_id: UUID, wanted: MaskingImport) -> MaskingTerms:
        """Replace any company's lists, whatever they were.

        Raises:
            CompanyNotFound: There is no such company.
        """
        async with self._transaction() as tx:
            await require_company(tx, company_id)
            return await _set_terms(tx, actor, company_id, wanted)

    async def rules(self, company_id: UUID) -> MaskingRules:
        """Any company's rules.

        Raises:
            CompanyNotFound: There is no such company.
        """
        async with self._transaction() as tx:
            await require_company(tx, company_id)
            row = await tx[MaskingPolicyRepository].find(company_id)
            return rules_of(_policy(None if row is None else row.policy))

    async def floor(self) -> MaskingRules:
        """The least that is done for every company."""
        async with self._transaction() as tx:
            row = await tx[MaskingPolicyRepository].find_floor()
            return rules_of(_policy(None if row is None else row.policy))

    async def set_floor(self, actor: Actor, rules: MaskingRules) -> int:
        """Replace the least that is done for every company, and return its new version."""
        policy = _stored(rules.policy())
        async with self._transaction() as tx:
            row = await tx[MaskingPolicyRepository].get_locked_floor()
            before = {"version": row.version, **row.policy}
            row.policy, row.version = policy, row.version + 1
            await tx[MaskingPolicyRepository].save(row)
            await record_action(
                tx, actor, Action.MASKING_FLOOR, targets={}, before=before, after={"version": row.version, **policy}
            )
            return row.version


async def _set_rules(
    tx: Transaction, actor: Actor, company_id: UUID, policy: Policy, *, version: int | None = None
) -> int:
    row = await tx[MaskingPolicyRepository].get_locked(company_id)
    if version is not None and version != row.version:
        raise MaskingChanged
    before, after = row.policy, _stored(policy)
    row.policy, row.version = after, row.version + 1
    await tx[MaskingPolicyRepository].save(row)
    await record_action(
        tx,
        actor,
        Action.MASKING_POLICY,
        targets={"company_id": company_id},
        before={"version": row.version - 1, **before},
        after={"version": row.version, **after},
    )
    return row.version


async def _set_terms(
    tx: Transaction, actor: Actor, company_id: UUID, wanted: MaskingImport, *, version: int | None = None
) -> MaskingTerms:
    row = await tx[MaskingPolicyRepository].get_locked(company_id)
    if version is not None and version != row.terms_version:
        raise MaskingChanged
    before = _terms(row)
    row.terms = row.terms if wanted.terms is None else distinct(wanted.terms)
    row.allowed = row.allowed if wanted.allowed is None else distinct(wanted.allowed)
    row.terms_version += 1
    await tx[MaskingPolicyRepository].save(row)
    after = _terms(row)
    # Only their numbers: the words themselves are confidential.
    await record_action(
        tx, actor, Action.MASKING_TERMS, targets={"company_id": company_id}, before=_sizes(before), after=_sizes(after)
    )
    return after


async def _shown(tx: Transaction, company_id: UUID, user_id: UUID) -> MaskingPolicy:
    policies = tx[MaskingPolicyRepository]
    row, floor = await policies.find(company_id), await policies.find_floor()
    wish = await policies.find_wish(company_id, user_id)
    company = _policy(None if row is None else row.policy)
    lowest, own = _policy(None if floor is None else floor.policy), _policy(wish)
    together = combined(company, floor=lowest, wish=own)
    return MaskingPolicy(
        in_force={kind.value: together.action(kind) for group in DEFAULTS for kind in GROUPS[group]},
        company=rules_of(company),
        version=0 if row is None else row.version,
        floor=rules_of(lowest),
        own=rules_of(own),
        terms_version=0 if row is None else row.terms_version,
        terms=0 if row is None else len(row.terms),
        allowed=0 if row is None else len(row.allowed),
        updated_at=None if row is None else row.updated_at,
    )


def _policy(stored: dict[str, Any] | None) -> Policy:
    return msgspec.convert(stored or {}, Policy)


def _stored(policy: Policy) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(policy)
    if not policy.allow_images:  # the release before knows no such field
        del plain["allow_images"]
    return plain


def _terms(row: MaskingPolicyRow | None) -> MaskingTerms:
    return MaskingTerms(0, [], []) if row is None else MaskingTerms(row.terms_version, row.terms, row.allowed)


def _sizes(lists: MaskingTerms) -> dict[str, int]:
    return {"version": lists.version, "terms": len(lists.terms), "allowed": len(lists.allowed)}
