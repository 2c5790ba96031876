"""`POST /v1/responses`, as OpenAI's newer clients call it."""

from functools import partial
from typing import Any

from litestar import Controller, Request, Response, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, SkipValidation

from b2b_chat.product.chat.entrance import Entrance
from b2b_chat.product.completions.calling import sent, streamed, whole
from b2b_chat.product.completions.catalog import require_known
from b2b_chat.product.completions.routes import CALL_FAILURES
from b2b_chat.product.errors import documents_for_openai
from b2b_chat.product.guards import by_api_key
from b2b_chat.product.responses.answers import response_of
from b2b_chat.product.responses.events import Events
from b2b_chat.product.responses.openapi import RespondingOperation
from b2b_chat.product.responses.requests import call_of
from b2b_chat.product.responses.schemas import ResponseCreate, ResponseObject
from b2b_chat.product.viewer import Viewer
from b2b_chat.product.vocabulary import Scope


class ResponseRoutes(Controller):
    """Answers to items that bring their own context, as OpenAI's newer clients ask for them."""

    path = "/v1/responses"
    tags = ("openai",)
    guards = (by_api_key,)

    @post(
        "/",
        operation_id="createResponse",
        operation_class=RespondingOperation,
        status_code=200,
        opt={"scope": Scope.CHAT},
        responses=documents_for_openai(*CALL_FAILURES),
    )
    async def create(
        self,
        request: Request[Viewer, Any, Any],
        data: JSONBody[ResponseCreate],
        entrance: NamedDependency[SkipValidation[Entrance]],
    ) -> Response[ResponseObject]:
        """Answer an input as OpenAI's `POST /v1/responses` does, without state: whole or as typed events."""
        require_known(data.model, entrance.settings.chat_model_names)
        stream = bool(data.stream)
        accepted = await sent(request, entrance, call_of(data), stream=stream, is_kept=False)
        if not stream:
            return await whole(request, accepted, partial(response_of, data))
        events = Events(accepted.log, data)
        return streamed(entrance, accepted, events)
