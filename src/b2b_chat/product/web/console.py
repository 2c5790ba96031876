"""What the pages for admins and operators have in common: their viewer, and what is shown to them.

Who may see a page is decided by the API's own guards. A page only hides what its viewer may not do.
"""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from litestar import Response
from litestar.di import NamedDependency, Provide

from b2b_chat.kit.clock import utc_now
from b2b_chat.product.identity.languages import language_of
from b2b_chat.product.identity.schemas import Me
from b2b_chat.product.viewer import Viewer
from b2b_chat.product.vocabulary import Scope
from b2b_chat.product.web import pages
from b2b_chat.product.web.refusals import AnyRequest, provide_me
from b2b_chat.product.web.words import CONSOLE_WORDS

PAGE_SIZE: Final = 50

COMPANY_SECTIONS: Final[Mapping[str, Scope | None]] = {
    "overview": None,
    "members": Scope.ADMIN,
    "invites": Scope.ADMIN,
    "keys": Scope.ADMIN,
    "masking": Scope.ADMIN,
    "usage": Scope.READ,
    "ledger": Scope.READ,
    "audit": Scope.ADMIN,
    "sessions": None,
}
"""The pages of a company, and the scope that each takes."""
OPERATOR_SECTIONS: Final = ("companies", "users", "keys", "audit", "health")


class Frame:
    """The frame of every page: its viewer, and links to the other pages that they may see."""

    def __init__(self, request: AnyRequest, viewer: Viewer, me: Me) -> None:
        self._request = request
        self._viewer = viewer
        self._me = me
        self._query = dict(request.query_params.multi_items())

    def may(self, scope: Scope) -> bool:
        """Return whether the viewer may do this in the company that they are acting in."""
        return self._viewer.obstacle is None and scope in self._viewer.scopes

    def page(self, name: str, **context: Any) -> Response[bytes]:
        """Return a page, `area/section`, for its viewer."""
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
        """Return the address of this page with these changes to its query; a None removes a parameter."""
        query = {name: value for name, value in {**self._query, **changes}.items() if value is not None}
        return f"{self._request.url.path}?{urlencode(query)}"


def by_text(addresses: Mapping[UUID, str]) -> dict[str, str]:
    """Return addresses by ids in text form, as templates have them."""
    return {str(user_id): address for user_id, address in addresses.items()}


async def provide_frame(request: AnyRequest, viewer: NamedDependency[Viewer], me: NamedDependency[Me]) -> Frame:
    """Return the frame of a request's page."""
    return Frame(request, viewer, me)


FRAMED: Final = {"me": Provide(provide_me), "frame": Provide(provide_frame)}
"""The dependencies of a controller whose pages have a frame."""
