"""Invites into a company."""

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from b2b_chat.kit.clock import Clock, utc_now
from b2b_chat.kit.database import new_id
from b2b_chat.kit.keyed_hash import KeyedHash, new_token
from b2b_chat.kit.pagination import Page, id_from_cursor
from b2b_chat.product.audit.actions import Action
from b2b_chat.product.audit.actors import actor_of
from b2b_chat.product.audit.service import record_action
from b2b_chat.product.companies.ceiling import lock_company, require_person_to_let_in, require_reach
from b2b_chat.product.companies.models import CompanyRow, InviteRow, InviteState
from b2b_chat.product.companies.repository import CompanyRepository, InviteRepository
from b2b_chat.product.companies.schemas import Invite, InviteAcceptance, InviteCreate, Membership
from b2b_chat.product.identity import sessions, users
from b2b_chat.product.identity.addresses import canonical
from b2b_chat.product.limits.service import Limits
from b2b_chat.product.mail.letters import Letter
from b2b_chat.product.mail.service import Outbox
from b2b_chat.product.refusals import Refusal
from b2b_chat.product.settings import ProductSettings
from b2b_chat.product.transactions import Transaction, TransactionFactory
from b2b_chat.product.viewer import CompanyBlocked, Viewer
from b2b_chat.product.vocabulary import Language, Role

ACCEPT_PATH: Final = "/invites/accept"
"""The page that a mailed link leads to."""


class InviteNotFound(Refusal):
    """There is no such invite that the caller can see or use."""

    code, status = "invite_not_found", 404
    message = "No open invite matches. Ask the person who invited you for a new one."


class AlreadyMember(Refusal):
    """The person belongs to the company already."""

    code, status = "already_member", 409
    message = "This person is a member of the company already."


class AlreadyInvited(Refusal):
    """An open invite for this address exists."""

    code, status = "already_invited", 409
    message = "This address has an open invite. Resend or revoke that one."


class InviteClosed(Refusal):
    """The invite was accepted or revoked."""

    code, status = "invite_closed", 409
    message = "This invite was accepted or revoked, so it cannot be changed any more."


class TooManyInvites(Refusal):
    """The company has reached its limit of open invites."""

    code, status = "too_many_invites", 409
    message = "Your company has as many open invites as it may. Revoke some, or wait until they are accepted."


async def revoke_invites_of(tx: Transaction, user_id: UUID, now: datetime) -> None:
    """Revoke the pending invites of a user in every company, in the transaction that blocks the user."""
    await tx[InviteRepository].revoke_all_of(user_id, now)


class Invites:
    """Inviting people into a company, and letting them join.

    An invite is pending until it is accepted or revoked, or its time is over; resending gives it a new token and new
    time. A company's invites are changed under the lock of its row, so that two changes cannot pass its limit.
    """

    def __init__(
        self,
        transaction: TransactionFactory,
        outbox: Outbox,
        limits: Limits,
        settings: ProductSettings,
        *,
        clock: Clock = utc_now,
    ) -> None:
        self._transaction = transaction
        self._hashes = KeyedHash(
            settings.invite_token_secret, settings.invite_token_secret_previous, purpose="invite link"
        )
        self._outbox = outbox
        self._limits = limits
        self._settings = settings
        self._clock = clock

    async def create(self, viewer: Viewer, wanted: InviteCreate, language: Language) -> Invite:
        """Invite a person into the viewer's company, by a mail in this language with a link.

        Raises:
            RoleTooLow: The role is above the viewer's.
            RoleTooHighForKey: The viewer has an API key, and the role is above member.
            ScopeMissing: The viewer has an API key without a scope that members have.
            AddressNotSupported: No mail can be sent to the address.
            RateLimited: The company has too many invites mailed, or the mailbox or its domain gets too many.
            AlreadyMember, AlreadyInvited: There is no need.
            TooManyInvites: The company has reached its limit of open ones.
        """
        require_reach(viewer.role, wanted.role)
        require_person_to_let_in(viewer, wanted.role)
        email, now = canonical(wanted.email), self._clock()
        async with self._transaction() as tx:
            # Before it is counted: a refused invite uses up nothing of the mailbox's limit.
            await self._require_room(tx, viewer.company_id, email)
        await self._limits.admit_invite(viewer, email)
        async with self._transaction() as tx:
            company, own_role = await lock_company(tx, viewer)
            require_reach(own_role, wanted.role)
            await self._require_room(tx, company.id, email)
            # The address is known from now on: login links are mailed to invited people.
            await users.get_or_add(tx, email)
            invite = InviteRow(
                id=new_id(),
                company_id=company.id,
                email=email,
                role=wanted.role,
                language=language,
                state=InviteState.PENDING,
                invited_by=viewer.user_id,
                created_at=now,
            )
            await self._send(tx, viewer, company, invite)
            tx[InviteRepository].add(invite)
            await _record(tx, viewer, Action.INVITE_CREATE, invite, after={"role": wanted.role})
        return _shown(invite, now)

    async def list_invites(self, viewer: Viewer, *, cursor: str | None, limit: int) -> Page[Invite]:
        """Return the invites of the viewer's company, closed ones too, newest first."""
        now = self._clock()
        async with self._transaction() as tx:
            rows = await tx[InviteRepository].list_invites(
                viewer.company_id, before=id_from_cursor(cursor), limit=limit + 1
            )
        items = [_shown(row, now) for row in rows[:limit]]
        return Page(items, str(items[-1].id) if len(rows) > limit else None)

    async def resend(self, viewer: Viewer, invite_id: UUID) -> Invite:
        """Mail an invite again, with a new token and new time; the token before it no longer counts.

        Raises:
            RateLimited: The company has too many invites mailed, or the mailbox or its domain gets too many.
            InviteNotFound: The company has no such invite.
            RoleTooLow: Its role is above the viewer's.
            RoleTooHighForKey, ScopeMissing: As for `create`.
            InviteClosed: It was accepted or revoked.
            AlreadyMember, AlreadyInvited, TooManyInvites: It had expired, and a new one could not be made either.
        """
        async with self._transaction() as tx:
            email = await tx[InviteRepository].find_email(viewer.company_id, invite_id)
        if email is None:
            raise InviteNotFound
        await self._limits.admit_invite(viewer, email)
        async with self._transaction() as tx:
            company, own_role = await lock_company(tx, viewer)
            invite = await _find_pending(tx, own_role, company.id, invite_id)
            require_person_to_let_in(viewer, Role(invite.role))
            if invite.expires_at <= self._clock():
                await self._require_room(tx, company.id, invite.email)
            before = invite.expires_at
            await self._send(tx, viewer, company, invite)
            await _record(
                tx,
                viewer,
                Action.INVITE_RESEND,
                invite,
                before={"expires_at": before},
                after={"expires_at": invite.expires_at},
            )
        return _shown(invite, self._clock())

    async def revoke(self, viewer: Viewer, invite_id: UUID) -> None:
        """Take an invite back.

        Raises:
            InviteNotFound: The company has no such invite.
            RoleTooLow: Its role is above the viewer's.
            InviteClosed: It was accepted or revoked.
        """
        async with self._transaction() as tx:
            company, own_role = await lock_company(tx, viewer)
            invite = await _find_pending(tx, own_role, company.id, invite_id)
            invite.state, invite.closed_at = InviteState.REVOKED, self._clock()
            await _record(tx, viewer, Action.INVITE_REVOKE, invite, before={"state": InviteState.PENDING})

    async def accept(self, viewer: Viewer, acceptance: InviteAcceptance) -> Membership:
        """Join the company that an invite names, and let the viewer's session act in it.

        Using up the invite and joining are one transaction: however often and however concurrently a token is
        presented, it admits one person once.

        Raises:
            InviteNotFound: The token is unknown, used, revoked, expired, or was sent to another address.
            AlreadyMember: The viewer belongs to the company by other means.
            CompanyBlocked: The company is blocked now.
        """
        async with self._transaction() as tx:
            email = await users.address_of(tx, viewer.user_id)
            invite = await tx[InviteRepository].claim(self._hashes.candidates(acceptance.token), email, self._clock())
            if invite is None:
                raise InviteNotFound
            company = await tx[CompanyRepository].get(invite.company_id)
            if company.blocked_at is not None:
                raise CompanyBlocked
            if not await tx[CompanyRepository].add_member(company.id, viewer.user_id, Role(invite.role)):
                raise AlreadyMember
            await sessions.act_in(tx, viewer.credential_id, company.id)
            await _record(tx, viewer, Action.INVITE_ACCEPT, invite, after={"role": invite.role})
        return Membership(company.id, company.name, Role(invite.role))

    async def _require_room(self, tx: Transaction, company_id: UUID, email: str) -> None:
        if await tx[CompanyRepository].has_member_with_email(company_id, email):
            raise AlreadyMember
        open_to = await tx[InviteRepository].list_open_emails(company_id, self._clock())
        if email in open_to:
            raise AlreadyInvited
        if len(open_to) >= self._settings.max_open_invites:
            raise TooManyInvites

    async def _send(self, tx: Transaction, viewer: Viewer, company: CompanyRow, invite: InviteRow) -> None:
        """Give an invite a new token and new time, and mail it in the viewer's name."""
        token, now = new_token(), self._clock()
        invite.token_hash = self._hashes.hash(token)
        invite.sent_at = now
        invite.expires_at = now + timedelta(seconds=self._settings.invite_lifetime_seconds)
        fields = {
            "inviter": await users.address_of(tx, viewer.user_id),
            "company": company.name,
            # A fragment is sent to no server, and so is in no log.
            "link": f"{self._settings.public_url.rstrip('/')}{ACCEPT_PATH}#{token}",
            "until": f"{invite.expires_at:%Y-%m-%d %H:%M} UTC",
        }
        letter = Letter("invite", invite.language, invite.email, fields)
        await self._outbox.post(tx, letter, useful_until=invite.expires_at)


async def _find_pending(tx: Transaction, own_role: Role, company_id: UUID, invite_id: UUID) -> InviteRow:
    """Return an invite that is neither accepted nor revoked, and stays so until the transaction ends."""
    invite = await tx[InviteRepository].find_locked(company_id, invite_id)
    if invite is None:
        raise InviteNotFound
    require_reach(own_role, invite.role)
    if invite.state != InviteState.PENDING:
        raise InviteClosed
    return invite


async def _record(tx: Transaction, viewer: Viewer, action: Action, invite: InviteRow, **state: Any) -> None:
    targets = {"company_id": invite.company_id, "invite_id": invite.id}
    await record_action(tx, actor_of(viewer), action, targets=targets, **state)


def _shown(row: InviteRow, now: datetime) -> Invite:
    is_expired = row.state == InviteState.PENDING and row.expires_at <= now
    return Invite(
        id=row.id,
        email=row.email,
        role=Role(row.role),
        state="expired" if is_expired else InviteState(row.state).value,
        invited_by=row.invited_by,
        created_at=row.created_at,
        sent_at=row.sent_at,
        expires_at=row.expires_at,
        closed_at=row.closed_at,
    )
