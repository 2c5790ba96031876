"""What a browser gets in place of a refused page: a redirect to the sign-in page, or a page with the reason."""

from typing import Any, Final

from litestar import Request, Response
from litestar.di import NamedDependency
from litestar.exceptions import HTTPException
from litestar.response import Redirect
from litestar.types import ExceptionHandlersMap

from b2b_chat.kit.errors import Refusal
from b2b_chat.product.errors import refusal_of
from b2b_chat.product.identity.languages import language_of
from b2b_chat.product.identity.schemas import Me
from b2b_chat.product.identity.sessions import Sessions
from b2b_chat.product.viewer import SecondFactorRequired, Unauthenticated, Viewer
from b2b_chat.product.web import pages
from b2b_chat.product.web.words import CONSOLE_WORDS

_SIGN_IN: Final = "/sign-in"
_SECOND_FACTOR: Final = "/second-factor"

AnyRequest = Request[Viewer, Any, Any]


async def provide_me(request: AnyRequest, viewer: NamedDependency[Viewer], sessions: NamedDependency[Sessions]) -> Me:
    """Return the person who looks at a page, and keep them with the request, so that a refusal can name the account."""
    me = await sessions.me(viewer)
    request.state.me = me
    return me


def _refused(request: AnyRequest, error: Exception) -> Response[Any]:
    """Answer any exception with a page."""
    here = request.url.path
    if isinstance(error, Unauthenticated):
        # Behind the `#` the browser keeps where to come back to.
        return Redirect(_SIGN_IN if here == "/" else f"{_SIGN_IN}#{here}")
    if isinstance(error, SecondFactorRequired):
        return Redirect(f"{_SECOND_FACTOR}#{here}")
    refusal = refusal_of(error)
    viewer: Viewer | None = request.scope.get("user")
    page = pages.page(
        "refused",
        language_of(request),
        vocabulary=CONSOLE_WORDS,
        refusal=refusal,
        here=here,
        me=request.state.get("me"),
        is_operator=viewer is not None and viewer.is_operator,
    )
    page.status_code = refusal.status
    page.headers.update(refusal.headers)
    return page


REFUSED_AS_PAGES: Final[ExceptionHandlersMap] = dict.fromkeys((Refusal, HTTPException, Exception), _refused)
"""The exception handlers of a controller whose answers are pages."""
