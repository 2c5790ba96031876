"""`/v1/models` and `/v1/chat/completions`, as any OpenAI client calls them."""

from typing import Any

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, SkipValidation

from b2b_chat.product.chat.answer_log import MessageInProgress
from b2b_chat.product.chat.calls import OptionsUnsupported
from b2b_chat.product.chat.entrance import Entrance
from b2b_chat.product.chat.failures import ANSWER_FAILURES
from b2b_chat.product.chat.prompts import TextTooLong
from b2b_chat.product.chat.refusals import IdempotencyConflict, ShuttingDown
from b2b_chat.product.completions.answers import completion_of
from b2b_chat.product.completions.calling import sent, streamed, whole
from b2b_chat.product.completions.catalog import ModelNotFound, list_models, model_named, require_known
from b2b_chat.product.completions.chunks import Chunks
from b2b_chat.product.completions.openapi import CompletingOperation
from b2b_chat.product.completions.refusals import RemoteImage, UnsupportedParameter
from b2b_chat.product.completions.requests import call_of
from b2b_chat.product.completions.schemas import Completion, CompletionCreate, Model, ModelList
from b2b_chat.product.credits.service import CreditsHeld, InsufficientCredits, TooManyOpenAnswers
from b2b_chat.product.errors import documents_for_openai
from b2b_chat.product.guards import by_api_key
from b2b_chat.product.limits.service import RateLimited
from b2b_chat.product.masking.refusals import MaskingUnavailable, PersonalDataBlocked, UnmaskableContent
from b2b_chat.product.settings import ProductSettings
from b2b_chat.product.viewer import Viewer
from b2b_chat.product.vocabulary import Scope

CALL_FAILURES = (
    ModelNotFound,
    UnsupportedParameter,
    RemoteImage,
    RateLimited,
    InsufficientCredits,
    CreditsHeld,
    TooManyOpenAnswers,
    IdempotencyConflict,
    MessageInProgress,
    TextTooLong,
    PersonalDataBlocked,
    UnmaskableContent,
    MaskingUnavailable,
    OptionsUnsupported,
    ShuttingDown,
    *ANSWER_FAILURES,
)
"""How a call can fail."""


class ModelRoutes(Controller):
    """The names of the one model, as OpenAI's clients list them."""

    path = "/v1/models"
    tags = ("openai",)
    guards = (by_api_key,)

    @get("/", operation_id="listModels", opt={"scope": Scope.CHAT}, responses=documents_for_openai())
    async def list(self, settings: NamedDependency[SkipValidation[ProductSettings]]) -> ModelList:
        """List the names that may be asked for. One model answers to all of them."""
        return list_models(settings.chat_model_names)

    @get(
        "/{name:str}",
        operation_id="getModel",
        opt={"scope": Scope.CHAT},
        responses=documents_for_openai(ModelNotFound),
    )
    async def get(self, name: FromPath[str], settings: NamedDependency[SkipValidation[ProductSettings]]) -> Model:
        """Look up a name."""
        return model_named(name, settings.chat_model_names)


class CompletionRoutes(Controller):
    """Answers to messages that bring their own context, as OpenAI's clients ask for them."""

    path = "/v1/chat/completions"
    tags = ("openai",)
    guards = (by_api_key,)

    @post(
        "/",
        operation_id="createCompletion",
        operation_class=CompletingOperation,
        status_code=200,
        opt={"scope": Scope.CHAT},
        responses=documents_for_openai(*CALL_FAILURES),
    )
    async def create(
        self,
        request: Request[Viewer, Any, Any],
        data: JSONBody[CompletionCreate],
        entrance: NamedDependency[SkipValidation[Entrance]],
    ) -> Response[Completion]:
        """Answer messages as OpenAI's `POST /v1/chat/completions` does, whole or as the answer is written."""
        require_known(data.model, entrance.settings.chat_model_names)
        stream = bool(data.stream)
        accepted = await sent(request, entrance, call_of(data), stream=stream, is_kept=bool(data.store))
        if not stream:
            return await whole(request, accepted, completion_of)
        with_usage = data.stream_options is not None and bool(data.stream_options.include_usage)
        return streamed(entrance, accepted, Chunks(accepted.log, with_usage=with_usage))
