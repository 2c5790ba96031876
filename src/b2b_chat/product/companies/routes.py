"""`/v1/company`: a company's people and invites, for its admins; and `/v1/invites/accept`."""

from typing import Annotated, Any
from uuid import UUID

from litestar import Controller, Request, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from b2b_chat.kit.openapi import named
from b2b_chat.kit.pagination import IdCursor, Limit, Page
from b2b_chat.product.audit.actions import Action
from b2b_chat.product.companies.ceiling import RoleTooHighForKey, RoleTooLow
from b2b_chat.product.companies.invites import (
    AlreadyInvited,
    AlreadyMember,
    InviteClosed,
    InviteNotFound,
    Invites,
    TooManyInvites,
)
from b2b_chat.product.companies.members import LastOwner, MemberNotFound, Members
from b2b_chat.product.companies.schemas import (
    Company,
    CompanyChange,
    Invite,
    InviteAcceptance,
    InviteCreate,
    Member,
    MemberChange,
    Membership,
)
from b2b_chat.product.companies.service import Companies
from b2b_chat.product.errors import documents
from b2b_chat.product.guards import by_session, signed_in
from b2b_chat.product.identity.addresses import AddressNotSupported
from b2b_chat.product.identity.languages import preferred_language
from b2b_chat.product.limits.service import LimitsUnavailable, RateLimited
from b2b_chat.product.second_factor.service import SecondFactorProtected
from b2b_chat.product.viewer import CompanyBlocked, Viewer
from b2b_chat.product.vocabulary import Scope


class CompanyRoutes(Controller):
    """Your company."""

    path = "/v1/company"
    tags = ("company",)
    guards = (signed_in,)

    @get("/", operation_id="getCompany", opt={"scope": Scope.READ})
    async def company(self, viewer: NamedDependency[Viewer], companies: NamedDependency[Companies]) -> Company:
        """Show the company that you are acting in."""
        return await companies.get(viewer)

    @patch(
        "/",
        operation_id="changeCompany",
        guards=[by_session],
        security=[{"SessionCookie": []}],
        opt={"scope": Scope.ADMIN, "audited": Action.COMPANY_ASK_SECOND_FACTOR, "step_up": True},
        responses=documents(RoleTooLow),
    )
    async def change(
        self,
        viewer: NamedDependency[Viewer],
        data: JSONBody[CompanyChange],
        companies: NamedDependency[Companies],
    ) -> Company:
        """Ask your company's admins and owners for a second factor, or no longer. For owners."""
        return await companies.ask_second_factor(viewer, needed=data.needs_second_factor)


class MemberRoutes(Controller):
    """Your company's people."""

    path = "/v1/company/members"
    tags = ("company",)
    guards = (signed_in,)
    opt = {"scope": Scope.ADMIN}  # noqa: RUF012 - Litestar reads it, nobody writes it

    @get("/", operation_id="listMembers")
    async def list_members(
        self,
        viewer: NamedDependency[Viewer],
        members: NamedDependency[Members],
        cursor: IdCursor = None,
        limit: Limit = 50,
    ) -> Annotated[Page[Member], named("MemberPage")]:
        """List the members of your company."""
        return await members.list_members(viewer, cursor=cursor, limit=limit)

    @get("/{user_id:uuid}", operation_id="getMember", responses=documents(MemberNotFound))
    async def get_member(
        self, viewer: NamedDependency[Viewer], user_id: FromPath[UUID], members: NamedDependency[Members]
    ) -> Member:
        """Show one member of your company."""
        return await members.get(viewer, user_id)

    @patch(
        "/{user_id:uuid}",
        operation_id="changeMember",
        opt={"audited": Action.MEMBER_CHANGE_ROLE, "step_up": True},
        responses=documents(MemberNotFound, RoleTooLow, RoleTooHighForKey, LastOwner),
    )
    async def change(
        self,
        viewer: NamedDependency[Viewer],
        user_id: FromPath[UUID],
        data: JSONBody[MemberChange],
        members: NamedDependency[Members],
    ) -> Member:
        """Give a member another role, up to your own. It ends the member's sessions."""
        return await members.change_role(viewer, user_id, data.role)

    @post(
        "/{user_id:uuid}/block",
        operation_id="blockMember",
        status_code=200,
        opt={"audited": Action.MEMBER_BLOCK, "step_up": "of_sessions"},
        responses=documents(MemberNotFound, RoleTooLow, LastOwner),
    )
    async def block(
        self, viewer: NamedDependency[Viewer], user_id: FromPath[UUID], members: NamedDependency[Members]
    ) -> Member:
        """Block a member in your company: no session or key of theirs can act in it."""
        return await members.block(viewer, user_id)

    @post(
        "/{user_id:uuid}/unblock",
        operation_id="unblockMember",
        status_code=200,
        opt={"audited": Action.MEMBER_UNBLOCK, "step_up": "of_sessions"},
        responses=documents(MemberNotFound, RoleTooLow, RoleTooHighForKey),
    )
    async def unblock(
        self, viewer: NamedDependency[Viewer], user_id: FromPath[UUID], members: NamedDependency[Members]
    ) -> Member:
        """Let a member act in your company again; with an API key, only one who is no admin or owner."""
        return await members.unblock(viewer, user_id)

    @delete(
        "/{user_id:uuid}/second-factor",
        operation_id="resetMemberSecondFactor",
        guards=[by_session],
        security=[{"SessionCookie": []}],
        opt={"audited": Action.SECOND_FACTOR_RESET, "step_up": True},
        responses=documents(MemberNotFound, RoleTooLow, SecondFactorProtected),
    )
    async def reset_second_factor(
        self, viewer: NamedDependency[Viewer], user_id: FromPath[UUID], members: NamedDependency[Members]
    ) -> None:
        """Let another person of your company, and of no other, set up a new second factor. For owners."""
        await members.reset_second_factor(viewer, user_id)

    @delete(
        "/{user_id:uuid}",
        operation_id="removeMember",
        opt={"audited": Action.MEMBER_REMOVE, "step_up": True},
        responses=documents(MemberNotFound, RoleTooLow, LastOwner),
    )
    async def remove(
        self, viewer: NamedDependency[Viewer], user_id: FromPath[UUID], members: NamedDependency[Members]
    ) -> None:
        """Remove a member from your company, and revoke the member's keys for it."""
        await members.remove(viewer, user_id)


class InviteRoutes(Controller):
    """Asking people into your company."""

    path = "/v1/company/invites"
    tags = ("company",)
    guards = (signed_in,)
    opt = {"scope": Scope.ADMIN}  # noqa: RUF012 - as above

    @post(
        "/",
        operation_id="createInvite",
        opt={"audited": Action.INVITE_CREATE, "step_up": "of_sessions"},
        responses=documents(
            AddressNotSupported,
            RateLimited,
            LimitsUnavailable,
            RoleTooLow,
            RoleTooHighForKey,
            AlreadyMember,
            AlreadyInvited,
            TooManyInvites,
        ),
    )
    async def create(
        self,
        request: Request[Any, Any, Any],
        viewer: NamedDependency[Viewer],
        data: JSONBody[InviteCreate],
        invites: NamedDependency[Invites],
    ) -> Invite:
        """Invite a person by mail, with a role up to your own; with an API key of all scopes, as a member."""
        language = data.language or preferred_language(request.headers.get("accept-language", ""))
        return await invites.create(viewer, data, language)

    @get("/", operation_id="listInvites")
    async def list_invites(
        self,
        viewer: NamedDependency[Viewer],
        invites: NamedDependency[Invites],
        cursor: IdCursor = None,
        limit: Limit = 50,
    ) -> Annotated[Page[Invite], named("InvitePage")]:
        """List the invites of your company, closed ones too, newest first."""
        return await invites.list_invites(viewer, cursor=cursor, limit=limit)

    @post(
        "/{invite_id:uuid}/resend",
        operation_id="resendInvite",
        status_code=200,
        opt={"audited": Action.INVITE_RESEND},
        responses=documents(
            RateLimited,
            LimitsUnavailable,
            InviteNotFound,
            RoleTooLow,
            RoleTooHighForKey,
            InviteClosed,
            AlreadyMember,
            AlreadyInvited,
            TooManyInvites,
        ),
    )
    async def resend(
        self, viewer: NamedDependency[Viewer], invite_id: FromPath[UUID], invites: NamedDependency[Invites]
    ) -> Invite:
        """Mail an invite again, with a new link and new time. The link before it no longer works."""
        return await invites.resend(viewer, invite_id)

    @delete(
        "/{invite_id:uuid}",
        operation_id="revokeInvite",
        opt={"audited": Action.INVITE_REVOKE},
        responses=documents(InviteNotFound, RoleTooLow, InviteClosed),
    )
    async def revoke(
        self, viewer: NamedDependency[Viewer], invite_id: FromPath[UUID], invites: NamedDependency[Invites]
    ) -> None:
        """Take an invite back."""
        await invites.revoke(viewer, invite_id)


class AcceptanceRoutes(Controller):
    """Joining a company."""

    path = "/v1/invites"
    tags = ("company",)
    guards = (by_session,)

    @post(
        "/accept",
        operation_id="acceptInvite",
        status_code=200,
        security=[{"SessionCookie": []}],
        opt={"audited": Action.INVITE_ACCEPT},
        responses=documents(InviteNotFound, AlreadyMember, CompanyBlocked),
    )
    async def accept(
        self, viewer: NamedDependency[Viewer], data: JSONBody[InviteAcceptance], invites: NamedDependency[Invites]
    ) -> Membership:
        """Accept an invite as the person signed in, who must be the one invited. Your session then acts there."""
        return await invites.accept(viewer, data)
