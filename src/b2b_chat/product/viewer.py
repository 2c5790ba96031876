"""Who is calling, and with what right."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from msgspec import Struct

from b2b_chat.product.masking.policy import NO_POLICIES, StoredPolicies
from b2b_chat.product.refusals import Refusal
from b2b_chat.product.vocabulary import SCOPES_OF_ROLES, Role, Scope


class Unauthenticated(Refusal):
    """The request has no valid session or API key."""

    code, status = "unauthenticated", 401
    message = "Sign in, or send a valid API key as `Authorization: Bearer b2b_…`."

    def __init__(self) -> None:
        super().__init__(headers={"WWW-Authenticate": "Bearer"})


class ScopeMissing(Refusal):
    """The caller is known, but may not do this."""

    code, status = "scope_missing", 403
    message = "This API key or role may not do that. Ask your admin for one with the right scope."


class NoCompany(Refusal):
    """The caller is signed in, but acts in no company."""

    code, status = "no_company", 403
    message = "You act in no company. Accept an invite, or choose a company with PUT /v1/me/company."


class UserBlocked(Refusal):
    """The caller was blocked, altogether or in this company."""

    code, status = "user_blocked", 403
    message = "You are blocked. Ask your admin."


class CompanyBlocked(Refusal):
    """The caller's company was blocked."""

    code, status = "company_blocked", 403
    message = "Your company is blocked. Ask the operator of this installation."


class SessionRequired(Refusal):
    """An API key where only a person will do."""

    code, status = "session_required", 403
    message = "This needs a person signed in, not an API key."


class OperatorRequired(Refusal):
    """The caller is not an operator of this installation."""

    code, status = "operator_required", 403
    message = "Only an operator of this installation may do that."


class SecondFactorRequired(Refusal):
    """The person signed in by mail, and has not proved the second factor in this session yet."""

    code, status = "second_factor_required", 403
    message = "Prove your second factor first: POST /auth/second-factor/proof, or set one up."


class StepUpRequired(Refusal):
    """The second factor was proved too long ago for what is wanted, or the caller is a key that cannot prove one."""

    code, status = "step_up_required", 403
    message = "This needs a fresh code of your second factor: POST /auth/second-factor/proof. A key cannot do it."


class Viewer(Struct, frozen=True):
    """The caller of a request: a user, who may be acting in a company."""

    user_id: UUID
    via: Literal["session", "api_key"]
    credential_id: UUID
    """The id of the session or API key."""
    acting_in: UUID | None
    """The company that the user has chosen, or that the key belongs to. Use `company_id` where one is needed."""
    obstacle: type[Refusal] | None
    """What keeps the caller from acting in a company, if anything does."""
    role: Role | None
    scopes: frozenset[Scope]
    is_operator: bool
    needs_second_factor: bool = False
    """Whether a second factor is asked of this person: of operators, and of admins whose company wants it."""
    proved_at: datetime | None = None
    """When the session last proved it."""
    made_in_shell: bool = False
    """Of an operator's key: made on the server's command line."""

    def require_second_factor(self) -> None:
        """Refuse a session that has yet to prove its second factor; a key has none.

        Raises:
            SecondFactorRequired: It has.
        """
        if self.needs_second_factor and self.via == "session" and self.proved_at is None:
            raise SecondFactorRequired

    def require_fresh_proof(self, since: datetime) -> None:
        """Refuse a caller who must prove a second factor and has not done so recently.

        An operator's key passes if it was made in a shell, and a company's key where the company asks for none.

        Raises:
            StepUpRequired: The caller has not.
        """
        if self.via == "api_key":
            passes = self.made_in_shell if self.is_operator else not self.needs_second_factor
        else:
            passes = not self.needs_second_factor or (self.proved_at is not None and self.proved_at > since)
        if not passes:
            raise StepUpRequired

    masking: StoredPolicies = NO_POLICIES
    """What is stored about masking the caller's messages."""

    @property
    def session_id(self) -> UUID | None:
        """The session, where it is one."""
        return self.credential_id if self.via == "session" else None

    @property
    def api_key_id(self) -> UUID | None:
        """The API key, where it is one."""
        return self.credential_id if self.via == "api_key" else None

    @property
    def sender_id(self) -> UUID:
        """Whose names `client_message_id`s are: the API key's own, or the user's in all sessions."""
        return self.credential_id if self.via == "api_key" else self.user_id

    @property
    def company_id(self) -> UUID:
        """The company that the caller acts in.

        Raises:
            NoCompany: The caller belongs to none, or has chosen none.
            CompanyBlocked, UserBlocked: The caller may not act in it now.
        """
        if self.obstacle is not None:
            raise self.obstacle
        if self.acting_in is None:
            raise NoCompany
        return self.acting_in

    def require(self, scope: Scope) -> None:
        """Refuse a caller who may not do this in the company that they act in.

        Raises:
            NoCompany: The caller acts in none.
            CompanyBlocked, UserBlocked: The caller may not act in it now.
            ScopeMissing: The key was made without this scope, or the role does not have it.
        """
        if self.obstacle is not None:
            raise self.obstacle
        if scope not in self.scopes:
            raise ScopeMissing


class Credential(Struct, frozen=True):
    """A live session or API key with its user and company."""

    id: UUID
    via: Literal["session", "api_key"]
    user_id: UUID
    company_id: UUID | None
    role: str | None
    """None for a user who is not, or no longer, a member of the company."""
    key_scopes: frozenset[str]
    """The scopes of an API key; a session has all scopes of the role."""
    is_operator: bool
    is_user_blocked: bool
    is_member_blocked: bool
    is_company_blocked: bool
    masking: StoredPolicies
    company_needs_second_factor: bool = False
    """Whether the company asks its admins for a second factor."""
    proved_at: datetime | None = None
    made_in_shell: bool = False

    def viewer(self, *, operators_need_second_factor: bool = False) -> Viewer:
        """The caller that presents it.

        Raises:
            UserBlocked: The user may do nothing at all.
        """
        if self.is_user_blocked:
            raise UserBlocked
        role = None if self.role is None else Role(self.role)
        scopes = SCOPES_OF_ROLES[role] if role else frozenset()
        return Viewer(
            user_id=self.user_id,
            via=self.via,
            credential_id=self.id,
            acting_in=self.company_id,
            obstacle=self._obstacle(),
            role=role,
            scopes=scopes & self.key_scopes if self.via == "api_key" else scopes,
            is_operator=self.is_operator,
            masking=self.masking,
            needs_second_factor=(operators_need_second_factor and self.is_operator)
            or (self.company_needs_second_factor and Scope.ADMIN in scopes),
            proved_at=self.proved_at,
            made_in_shell=self.made_in_shell,
        )

    def _obstacle(self) -> type[Refusal] | None:
        if self.company_id is None or self.role is None:
            return NoCompany
        if self.is_company_blocked:
            return CompanyBlocked
        return UserBlocked if self.is_member_blocked else None
