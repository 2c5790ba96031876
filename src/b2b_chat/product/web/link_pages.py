"""The pages behind the links in mails.

Loading one changes nothing, so that scanners that follow links, and even run scripts, use none up; only the click on
its button sends the token, which a script of ours takes from the part of the address that no server sees.
"""

from typing import Annotated, Any, Final

from litestar import MediaType, Response, get, head
from litestar.di import NamedDependency, Provide
from litestar.params import HeaderParameter

from b2b_chat.product.guards import anyone
from b2b_chat.product.identity.languages import language_of
from b2b_chat.product.vocabulary import Language
from b2b_chat.product.web import pages
from b2b_chat.product.web.refusals import AnyRequest


async def provide_language(
    request: AnyRequest,
    accept_language: Annotated[str, HeaderParameter(name="Accept-Language")] = "",  # noqa: ARG001 - it is described
) -> Language:
    """Return the language of the page's reader; their choice precedes their browser's."""
    return language_of(request)


_PAGE: Final[dict[str, Any]] = {
    "guards": [anyone],
    "middleware": [pages.COMPRESSED],
    "security": [{}],
    "media_type": MediaType.HTML,
    "dependencies": {"language": Provide(provide_language)},
    "sync_to_thread": False,
}


@get("/auth/verify", operation_id="getLoginPage", tags=["auth"], **_PAGE)
def login_link_page(language: NamedDependency[Language]) -> Response[bytes]:
    """Show the page that a login link leads to. It changes nothing; the button on it signs in."""
    return pages.page("login_link", language)


@get("/invites/accept", operation_id="getInvitePage", tags=["company"], **_PAGE)
def invite_link_page(language: NamedDependency[Language]) -> Response[bytes]:
    """Show the page that an invite's link leads to. It changes nothing; the button on it accepts."""
    return pages.page("invite_link", language)


@head(["/auth/verify", "/invites/accept"], guards=[anyone], include_in_schema=False, sync_to_thread=False)
def link_page_head() -> Response[None]:
    """Answer a link scanner that there is a page."""
    return Response(None, media_type=MediaType.HTML)


# Functions, since of one path Litestar takes a controller's handlers and these, but not those of two controllers.
LINK_PAGES: Final = (login_link_page, invite_link_page, link_page_head)
