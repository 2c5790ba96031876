"""`/auth` and `/v1/me`."""

from typing import Annotated, Any
from uuid import UUID

from litestar import Controller, Request, Response, delete, get, post, put
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.openapi.spec import Schema
from litestar.params import Body, FromPath, JSONBody

from b2b_chat.kit.openapi import EmptyOperation
from b2b_chat.product.errors import documents
from b2b_chat.product.guards import anyone, by_session, counted_stranger, signed_in
from b2b_chat.product.identity.addresses import AddressNotSupported
from b2b_chat.product.identity.cookies import LoginCookies, SessionCookie
from b2b_chat.product.identity.languages import preferred_language
from b2b_chat.product.identity.logins import InvalidProof, Logins
from b2b_chat.product.identity.schemas import (
    CompanyChoice,
    LinkRequest,
    LinkRequested,
    LinkToken,
    LoginLink,
    LoginProof,
    Me,
    SessionList,
)
from b2b_chat.product.identity.sessions import Browser, NotAMember, SessionNotFound, Sessions, SignInTooOld
from b2b_chat.product.limits.client_ip import ClientIp
from b2b_chat.product.limits.service import LimitsUnavailable, RateLimited
from b2b_chat.product.viewer import StepUpRequired, Viewer

LoginProofBody = Annotated[
    LoginProof,
    Body(
        media_type=RequestEncodingType.JSON,
        schema_extra={
            "one_of": [
                Schema(required=["token"], max_properties=1),
                Schema(required=["email", "code"], properties={"token": Schema(schema_not=Schema())}),
            ]
        },
    ),
]
"""With what the Struct sees to itself: that it is one or the other."""


def _browser(
    request: Request[Any, Any, Any], client_ip: ClientIp, cookies: LoginCookies, session_cookie: SessionCookie
) -> Browser:
    return Browser(
        client_ip.of(request),
        request.headers.get("user-agent", ""),
        session_cookie.read(request),
        cookies.login.read(request),
        cookies.known_browser.read(request),
    )


class LoginRoutes(Controller):
    """Signing in by mail, and out."""

    path = "/auth"
    tags = ("auth",)

    @post(
        "/request-link",
        operation_id="requestLink",
        guards=[counted_stranger],
        security=[{}],
        status_code=202,
        responses=documents(AddressNotSupported, RateLimited, LimitsUnavailable),
    )
    async def request_link(
        self,
        request: Request[Any, Any, Any],
        data: JSONBody[LinkRequest],
        logins: NamedDependency[Logins],
        client_ip: NamedDependency[ClientIp],
        login_cookies: NamedDependency[LoginCookies],
        session_cookie: NamedDependency[SessionCookie],
    ) -> Response[LinkRequested]:
        """Ask for a mail with a link and a code to sign in with.

        The answer is of one form for every address. Only the address of a person known here gets a mail, and not more
        than three at a time; each works once.
        """
        language = data.language or preferred_language(request.headers.get("accept-language", ""))
        browser = _browser(request, client_ip, login_cookies, session_cookie)
        login_request = await logins.request_link(data.email, language, browser)
        cookies = [login_cookies.login.holding(login_request)]
        return Response(LinkRequested("accepted", login_request), status_code=202, cookies=cookies)

    @post(
        "/verify",
        operation_id="verifyLogin",
        guards=[counted_stranger],
        security=[{}],
        status_code=204,
        operation_class=EmptyOperation,
        responses=documents(AddressNotSupported, InvalidProof, RateLimited, LimitsUnavailable),
    )
    async def verify(
        self,
        request: Request[Any, Any, Any],
        data: LoginProofBody,
        logins: NamedDependency[Logins],
        client_ip: NamedDependency[ClientIp],
        login_cookies: NamedDependency[LoginCookies],
        session_cookie: NamedDependency[SessionCookie],
    ) -> Response[None]:
        """Sign in with the link's token, or with the mail address and the code. The answer sets the session cookie.

        Wrong codes invalidate codes, never links. Send `login_request`, or the cookie that came with it, so that wrong
        codes of others do not count against yours.
        """
        signed_in = await logins.redeem(data, _browser(request, client_ip, login_cookies, session_cookie))
        cookies = [
            session_cookie.holding(signed_in.session_token),
            login_cookies.known_browser.holding(signed_in.known_browser),
            login_cookies.login.cleared(),
        ]
        return Response(None, status_code=204, cookies=cookies)

    @post(
        "/link",
        operation_id="showLoginLink",
        guards=[counted_stranger],
        security=[{}],
        status_code=200,
        responses=documents(InvalidProof, RateLimited, LimitsUnavailable),
    )
    async def link(
        self,
        request: Request[Any, Any, Any],
        data: JSONBody[LinkToken],
        logins: NamedDependency[Logins],
        client_ip: NamedDependency[ClientIp],
        login_cookies: NamedDependency[LoginCookies],
        session_cookie: NamedDependency[SessionCookie],
    ) -> LoginLink:
        """Show whom a link would sign in, and whether this browser asked for it. This does not use the link up."""
        return await logins.show_link(data.token, _browser(request, client_ip, login_cookies, session_cookie))

    @post(
        "/logout",
        operation_id="logOut",
        guards=[anyone],
        status_code=204,
        operation_class=EmptyOperation,
        security=[{"SessionCookie": []}, {}],
    )
    async def logout(
        self,
        request: Request[Any, Any, Any],
        sessions: NamedDependency[Sessions],
        session_cookie: NamedDependency[SessionCookie],
    ) -> Response[None]:
        """Sign out, and forget the session cookie. Without a session this does nothing."""
        token = session_cookie.read(request)
        if token is not None:
            await sessions.end(token)
        return Response(None, status_code=204, cookies=[session_cookie.cleared()])

    @get(
        "/sessions",
        operation_id="listSessions",
        guards=[by_session],
        security=[{"SessionCookie": []}],
    )
    async def list_sessions(self, viewer: NamedDependency[Viewer], sessions: NamedDependency[Sessions]) -> SessionList:
        """List the browsers in which you are signed in, newest first."""
        return SessionList(await sessions.list_sessions(viewer))

    @delete(
        "/sessions/{session_id:uuid}",
        operation_id="revokeSession",
        guards=[by_session],
        security=[{"SessionCookie": []}],
        responses=documents(SessionNotFound, StepUpRequired, SignInTooOld),
    )
    async def revoke_session(
        self, viewer: NamedDependency[Viewer], session_id: FromPath[UUID], sessions: NamedDependency[Sessions]
    ) -> None:
        """Sign out one of your browsers.

        Another than this one takes a recent sign-in, or a fresh code where a second factor is asked of you.
        """
        await sessions.revoke(viewer, session_id)


class MeRoutes(Controller):
    """Who you are."""

    path = "/v1/me"
    tags = ("me",)

    @get("/", operation_id="getMe", guards=[signed_in], opt={"before_second_factor": True})
    async def me(self, viewer: NamedDependency[Viewer], sessions: NamedDependency[Sessions]) -> Me:
        """Show who you are, your companies, and the one in which you act."""
        return await sessions.me(viewer)

    @put(
        "/company",
        operation_id="chooseCompany",
        guards=[by_session],
        opt={"before_second_factor": True},
        security=[{"SessionCookie": []}],
        responses=documents(NotAMember),
    )
    async def choose_company(
        self, viewer: NamedDependency[Viewer], data: JSONBody[CompanyChoice], sessions: NamedDependency[Sessions]
    ) -> Me:
        """Act in another of your companies, in this session."""
        return await sessions.choose_company(viewer, data)
