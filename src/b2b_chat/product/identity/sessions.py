"""Sessions: browsers that have signed in, known by an opaque token in a cookie."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from msgspec import Struct

from b2b_chat.kit.clock import Clock
from b2b_chat.kit.database import Database, new_id
from b2b_chat.kit.keyed_hash import KeyedHash, new_token
from b2b_chat.product.audit.actions import Action
from b2b_chat.product.audit.actors import actor_of, person_of
from b2b_chat.product.audit.service import record_action
from b2b_chat.product.identity import users
from b2b_chat.product.identity.last_use import LastUse
from b2b_chat.product.identity.models import SessionRow
from b2b_chat.product.identity.repository.credentials import find_session
from b2b_chat.product.identity.repository.sessions import SessionRepository, UsersCompany
from b2b_chat.product.identity.schemas import CompanyChoice, Me, MyCompany, SessionShown
from b2b_chat.product.refusals import Refusal
from b2b_chat.product.settings import ProductSettings
from b2b_chat.product.transactions import Transaction, TransactionFactory
from b2b_chat.product.viewer import Unauthenticated, Viewer
from b2b_chat.product.vocabulary import Role

_KEEP: Final = timedelta(days=30)
"""How long a session is kept after its end."""
_MAX_TOKEN_CHARACTERS = 100
_MAX_USER_AGENT_CHARACTERS = 200


class SessionNotFound(Refusal):
    """No such live session, or not the viewer's."""

    code, status = "session_not_found", 404
    param = "session_id"
    message = "You have no session with this id."


class SignInTooOld(Refusal):
    """The session began too long ago to end others."""

    code, status = "sign_in_too_old", 403
    message = "You signed in too long ago to end other sessions. Sign in again, or end this one: POST /auth/logout."


class NotAMember(Refusal):
    """No such company, or the viewer does not belong to it."""

    code, status = "company_not_found", 404
    param = "company_id"
    message = "You belong to no company with this id."


async def end_all(tx: Transaction, user_id: UUID, now: datetime) -> None:
    """End every session of a user, in the transaction that blocks the user or changes the user's role."""
    await tx[SessionRepository].revoke_all(user_id, now)


async def act_in(tx: Transaction, session_id: UUID, company_id: UUID) -> None:
    """Let a session act in a company, in the transaction in which its user joins it."""
    await tx[SessionRepository].choose_company(session_id, company_id)


async def note_proof(tx: Transaction, session_id: UUID, now: datetime) -> None:
    """Take down that a session has proved its second factor, in the transaction in which it does."""
    await tx[SessionRepository].note_proof(session_id, now)


class Browser(Struct, frozen=True):
    """What a browser states about itself when it asks to sign in, and when it does."""

    client_ip: str
    user_agent: str
    session_token: str | None = None
    """The token of the session that it has already."""
    login_request: str | None = None
    """The value of its request for a mail."""
    known_browser: str | None = None
    """The value that it got when it last signed in."""


class Sessions:
    """Sessions: begun, recognised, listed and ended."""

    def __init__(
        self,
        transaction: TransactionFactory,
        database: Database,
        settings: ProductSettings,
        last_use: LastUse,
        clock: Clock,
    ) -> None:
        self._transaction = transaction
        self._database = database
        self._hashes = KeyedHash(settings.session_secret, settings.session_secret_previous, purpose="session")
        self._idle = timedelta(seconds=settings.session_idle_seconds)
        self._absolute = timedelta(seconds=settings.session_absolute_seconds)
        self._operators_idle = timedelta(seconds=settings.operator_session_idle_seconds)
        self._operators_absolute = timedelta(seconds=settings.operator_session_absolute_seconds)
        self._fresh = timedelta(seconds=settings.step_up_seconds)
        self._operators_need_second_factor = settings.operators_need_second_factor
        self._last_use = last_use
        self._clock = clock

    async def start(self, tx: Transaction, user_id: UUID, browser: Browser) -> str:
        """Sign a browser in, acting in the company that the user joined last, and return the cookie's token.

        The token is always a new one, and a session that the browser had before is over.
        """
        now = self._clock()
        if browser.session_token:
            await self._end(tx, browser.session_token)
        companies = await tx[SessionRepository].list_companies(user_id)
        usable = (company for company in companies if not (company.is_company_blocked or company.is_member_blocked))
        company = next(usable, None)
        token, session_id = new_token(), new_id()
        await tx[SessionRepository].add(
            SessionRow(
                id=session_id,
                user_id=user_id,
                company_id=company.id if company else None,
                token_hash=self._hashes.hash(token),
                user_agent=browser.user_agent[:_MAX_USER_AGENT_CHARACTERS],
                client_ip=browser.client_ip,
                created_at=now,
                last_seen_at=now,
                expires_at=now + self._absolute,
            )
        )
        person = person_of(user_id, company.id if company else None)
        await record_action(tx, person, Action.SESSION_START, targets={"session_id": session_id})
        return token

    async def authenticate(self, token: str) -> Viewer:
        """Return whose session a cookie's token is.

        Raises:
            Unauthenticated: The session is unknown, revoked, over, or was not used for too long.
            UserBlocked: The session is good, but its user was blocked.
        """
        if len(token) > _MAX_TOKEN_CHARACTERS:
            raise Unauthenticated
        now = self._clock()
        async with self._database.connection() as connection:
            credential = await find_session(
                connection,
                self._hashes.candidates(token),
                now=now,
                idle_since=now - self._idle,
                operators_since=now - self._operators_absolute,
                operators_idle_since=now - self._operators_idle,
            )
        if credential is None:
            raise Unauthenticated
        viewer = credential.viewer(operators_need_second_factor=self._operators_need_second_factor)
        self._last_use.note(viewer)
        return viewer

    async def list_sessions(self, viewer: Viewer) -> list[SessionShown]:
        """The live sessions of the viewer, newest first."""
        now = self._clock()
        async with self._transaction() as tx:
            rows = await tx[SessionRepository].list_live(viewer.user_id, now=now, idle_since=now - self._idle)
        return [_shown(row, viewer) for row in rows]

    async def revoke(self, viewer: Viewer, session_id: UUID) -> None:
        """End one of the viewer's sessions.

        Raises:
            SessionNotFound: It is not theirs, or has ended already.
            StepUpRequired: It is another than this one, and the viewer has not proved the second factor of late.
            SignInTooOld: The same, of a viewer whom none is asked of.
        """
        async with self._transaction() as tx:
            if session_id != viewer.session_id:
                await self._require_fresh(tx, viewer)
            if await tx[SessionRepository].revoke(viewer.user_id, session_id, self._clock()) is None:
                raise SessionNotFound
            await record_action(tx, actor_of(viewer), Action.SESSION_END, targets={"session_id": session_id})

    async def _require_fresh(self, tx: Transaction, viewer: Viewer) -> None:
        """Refuse a session without a recent proof of its owner: a stranger who finds it open ends no others."""
        since = self._clock() - self._fresh
        viewer.require_fresh_proof(since)
        if not viewer.needs_second_factor and not await tx[SessionRepository].began_since(viewer.credential_id, since):
            raise SignInTooOld

    async def end(self, token: str) -> None:
        """End the session with this token, if there is one."""
        async with self._transaction() as tx:
            await self._end(tx, token)

    async def _end(self, tx: Transaction, token: str) -> None:
        ended = await tx[SessionRepository].revoke_by_token(self._hashes.candidates(token), self._clock())
        if ended is not None:
            person = person_of(ended.user_id, ended.company_id)
            await record_action(tx, person, Action.SESSION_END, targets={"session_id": ended.id})

    async def forget_old(self) -> None:
        """Delete sessions that ended long ago."""
        async with self._transaction() as tx:
            await tx[SessionRepository].forget(expired_before=self._clock() - _KEEP)

    async def me(self, viewer: Viewer) -> Me:
        """Return the viewer and their companies."""
        async with self._transaction() as tx:
            return await self._me(tx, viewer, viewer.acting_in)

    async def choose_company(self, viewer: Viewer, choice: CompanyChoice) -> Me:
        """Let the viewer's session act in another of their companies.

        Raises:
            NotAMember: They do not belong to it.
        """
        async with self._transaction() as tx:
            me = await self._me(tx, viewer, choice.company_id)
            if me.company is None:
                raise NotAMember
            await tx[SessionRepository].choose_company(viewer.credential_id, choice.company_id)
        return me

    async def _me(self, tx: Transaction, viewer: Viewer, company_id: UUID | None) -> Me:
        email = await users.address_of(tx, viewer.user_id)
        companies = [_my_company(company) for company in await tx[SessionRepository].list_companies(viewer.user_id)]
        return Me(
            user_id=viewer.user_id,
            email=email,
            via=viewer.via,
            is_operator=viewer.is_operator,
            company=next((company for company in companies if company.id == company_id), None),
            companies=companies,
        )


def _my_company(company: UsersCompany) -> MyCompany:
    blocked = company.is_company_blocked or company.is_member_blocked
    return MyCompany(company.id, company.name, Role(company.role), blocked)


def _shown(row: SessionRow, viewer: Viewer) -> SessionShown:
    return SessionShown(
        id=row.id,
        is_current=row.id == viewer.session_id,
        user_agent=row.user_agent,
        client_ip=row.client_ip,
        created_at=row.created_at,
        last_seen_at=row.last_seen_at,
        expires_at=row.expires_at,
    )
