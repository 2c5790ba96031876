"""What the pages for admins and operators have in common: who looks, what is shown to him, and how a refusal looks.

Who may see a page is decided by the API's own guards. A page only hides what its viewer may not do.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from litestar import Request, Response
from litestar.di import NamedDependency
from litestar.exceptions import HTTPException
from litestar.response import Redirect
from litestar.types import ExceptionHandlersMap

from b2b_chat.kit.clock import utc_now
from b2b_chat.kit.errors import Refusal
from b2b_chat.product.errors import refuse
from b2b_chat.product.identity.languages import language_of
from b2b_chat.product.identity.schemas import Me
from b2b_chat.product.identity.sessions import Sessions
from b2b_chat.product.viewer import Unauthenticated, Viewer
from b2b_chat.product.vocabulary import Scope
from b2b_chat.product.web import pages
from b2b_chat.product.web.words import CONSOLE_WORDS

PAGE_SIZE: Final = 50
SIGN_IN: Final = "/sign-in"

COMPANY_SECTIONS: Final[Mapping[str, Scope | None]] = {
    "overview": None,
    "members": Scope.ADMIN,
    "invites": Scope.ADMIN,
    "keys": Scope.ADMIN,
    "usage": Scope.READ,
    "ledger": Scope.READ,
    "audit": Scope.ADMIN,
    "sessions": None,
}
"""The pages of a company, and the scope that each takes."""
OPERATOR_SECTIONS: Final = ("companies", "users", "audit", "health")

AnyRequest = Request[Viewer, Any, Any]


class Frame:
    """What is around every page: its viewer, and the ways to the other pages that he may see."""

    def __init__(self, request: AnyRequest, viewer: Viewer, me: Me) -> None:
        self._request = request
        self._viewer = viewer
        self._me = me
        self._query = dict(request.query_params.multi_items())

    def may(self, scope: Scope) -> bool:
        """Whether the viewer may do this in the company that he is acting in."""
        return self._viewer.obstacle is None and scope in self._viewer.scopes

    def page(self, name: str, **context: Any) -> Response[bytes]:
        """A page, `area/section`, as its viewer is to see it."""
        area, _, section = name.partition("/")
        return pages.page(
            name,
            language_of(self._request),
            vocabulary=CONSOLE_WORDS,
            me=self._me,
            area=area,
            section=section,
            company_sections=[each for each, scope in COMPANY_SECTIONS.items() if scope is None or self.may(scope)],
            operator_sections=OPERATOR_SECTIONS if self._viewer.is_operator else (),
            here=self._here,
            asked=self._query,
            now=utc_now(),
            **context,
        )

    def _here(self, **changes: object) -> str:
        """The address of this page with a query that differs so from its own; a None takes something out of it."""
        query = {name: value for name, value in {**self._query, **changes}.items() if value is not None}
        return f"{self._request.url.path}?{urlencode(query)}"


def by_text(addresses: Mapping[UUID, str]) -> dict[str, str]:
    """Addresses by ids as templates have them."""
    return {str(user_id): address for user_id, address in addresses.items()}


async def provide_frame(
    request: AnyRequest, viewer: NamedDependency[Viewer], sessions: NamedDependency[Sessions]
) -> Frame:
    """The frame of a request's page."""
    return Frame(request, viewer, await sessions.me(viewer))


def _refused(request: AnyRequest, error: Exception) -> Response[Any]:
    """What a browser shows in place of a page."""
    if isinstance(error, Unauthenticated):
        return Redirect(SIGN_IN)
    answer = refuse(request, error)
    detail, status = answer.content.detail, answer.status_code or HTTPStatus.INTERNAL_SERVER_ERROR
    page = pages.page("denied", language_of(request), vocabulary=CONSOLE_WORDS, refusal=detail, status=status)
    page.status_code = status
    page.headers.update(answer.headers)
    return page


REFUSED_AS_PAGES: Final[ExceptionHandlersMap] = dict.fromkeys((Refusal, HTTPException, Exception), _refused)
"""The exception handlers of a controller whose answers are pages."""
