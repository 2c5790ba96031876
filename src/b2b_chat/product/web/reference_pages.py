"""`/docs`: the reference of the API, for everyone, without scripts and without anything from elsewhere."""

import json
from typing import Any, Final

from litestar import Controller, MediaType, Request, Response, get
from litestar.params import FromQuery

from b2b_chat.product.guards import anyone
from b2b_chat.product.identity.languages import language_of
from b2b_chat.product.vocabulary import Language
from b2b_chat.product.web import pages
from b2b_chat.product.web.reference import for_customers, reference_of
from b2b_chat.product.web.words import REFERENCE_WORDS

_KEPT: Final = "reference"


class ReferencePages(Controller):
    """What developers read. Both answers are made once in a process, and are the same for every caller."""

    include_in_schema = False
    middleware = (pages.COMPRESSED,)
    guards = (anyone,)

    @get("/docs", sync_to_thread=True)
    def docs(self, request: Request[Any, Any, Any], language: FromQuery[Language | None] = None) -> Response[bytes]:
        """Show the operations, the codes of errors, and what holds for all of them."""
        language = language or language_of(request)
        kept = _kept(request)
        if language not in kept:
            reference = reference_of(for_customers(request.app.openapi_schema.to_schema()))
            kept[language] = pages.page("reference", language, vocabulary=REFERENCE_WORDS, reference=reference).content
        return Response(kept[language], headers=pages.PAGE_HEADERS, media_type=MediaType.HTML)

    @get("/docs/openapi.json", sync_to_thread=True)
    def document(self, request: Request[Any, Any, Any]) -> Response[bytes]:
        """Return the OpenAPI document of what customers call, for generators."""
        kept = _kept(request)
        if "document" not in kept:
            described = for_customers(request.app.openapi_schema.to_schema())
            kept["document"] = json.dumps(described, ensure_ascii=False, separators=(",", ":")).encode()
        return Response(kept["document"], media_type=MediaType.JSON)


def _kept(request: Request[Any, Any, Any]) -> dict[str, bytes]:
    """Return what this app has made already."""
    state = request.app.state
    if _KEPT not in state:
        state[_KEPT] = {}
    kept: dict[str, bytes] = state[_KEPT]
    return kept
