"""`/`: the pages of the web client."""

import asyncio
from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Controller, Response, get
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, FromQuery, SkipValidation

from b2b_chat.kit.pagination import Page
from b2b_chat.kit.text import LINE, text_parameter
from b2b_chat.product.chat.refusals import AnswerNotFound
from b2b_chat.product.conversations.schemas import Message
from b2b_chat.product.conversations.service import Conversations
from b2b_chat.product.credits.service import Credits
from b2b_chat.product.guards import anyone, by_session, signed_in
from b2b_chat.product.identity.languages import language_of
from b2b_chat.product.identity.schemas import Me
from b2b_chat.product.limits.turns import Turns
from b2b_chat.product.masking.policy import in_force
from b2b_chat.product.second_factor.service import SecondFactors
from b2b_chat.product.settings import ProductSettings
from b2b_chat.product.viewer import Viewer
from b2b_chat.product.vocabulary import Scope
from b2b_chat.product.web import pages
from b2b_chat.product.web.refusals import REFUSED_AS_PAGES, AnyRequest, provide_me

_CONVERSATIONS_AT_ONCE: Final = 100
_MESSAGES_AT_ONCE: Final = 40
"""A page begins with the last ones, and asks for earlier ones as its reader comes near them."""


_RENDERING: Final = Turns(max_waiting=16)


class WebRoutes(Controller):
    """Pages for people. They show what the API answers, and change nothing themselves."""

    include_in_schema = False
    middleware = (pages.COMPRESSED,)

    @get("/sign-in", guards=[anyone], sync_to_thread=False)
    def sign_in(self, request: AnyRequest) -> Response[bytes]:
        """Ask for the mail address, and then for the code."""
        return pages.page("sign_in", language_of(request))

    @get(
        "/second-factor",
        guards=[by_session],
        opt={"before_second_factor": True},
        dependencies={"me": Provide(provide_me)},
        exception_handlers=REFUSED_AS_PAGES,
    )
    async def second_factor(
        self,
        request: AnyRequest,
        viewer: NamedDependency[Viewer],
        me: NamedDependency[Me],
        second_factors: NamedDependency[SecondFactors],
    ) -> Response[bytes]:
        """Set up a second factor, or prove it after signing in by mail."""
        return pages.page("second_factor", language_of(request), me=me, factor=await second_factors.status(viewer))

    @get(
        ["/", "/c/{conversation_id:uuid}"],
        guards=[signed_in],
        dependencies={"me": Provide(provide_me)},
        exception_handlers=REFUSED_AS_PAGES,
    )
    async def chat(
        self,
        request: AnyRequest,
        viewer: NamedDependency[Viewer],
        me: NamedDependency[Me],
        conversations: NamedDependency[Conversations],
        credit: NamedDependency[Credits],
        settings: NamedDependency[SkipValidation[ProductSettings]],
    ) -> Response[bytes]:
        """A new conversation, or one of the viewer's."""
        viewer.require(Scope.CHAT)  # not by the guard, so that a refusal says who is signed in
        # Of the two paths only one has it, so that as an argument it could be in the query too.
        conversation_id: UUID | None = request.path_params.get("conversation_id")
        listed = await conversations.list_conversations(viewer, cursor=None, limit=_CONVERSATIONS_AT_ONCE)
        conversation, said = None, Page[Message]([], None)
        if conversation_id is not None:
            conversation = await conversations.get(viewer, conversation_id)
            said = await conversations.list_latest_messages(viewer, conversation_id, limit=_MESSAGES_AT_ONCE)
        return await _page(
            "chat",
            request,
            me=me,
            conversations=listed.items,
            more=listed.next_cursor,
            current_id=conversation_id,
            conversation=conversation,
            messages=said.items,
            earlier=said.next_cursor,
            balance=await credit.balance(viewer),
            keep_alive_seconds=settings.sse_keep_alive_seconds,
            max_characters=settings.max_message_chars,
            masks=not in_force(viewer.masking).is_off,
        )

    @get("/parts/conversations", guards=[by_session], opt={"scope": Scope.READ})
    async def conversation_list(
        self,
        request: AnyRequest,
        viewer: NamedDependency[Viewer],
        conversations: NamedDependency[Conversations],
        search: Annotated[str, text_parameter(LINE, min_length=0, max_length=200)] = "",
        current: FromQuery[UUID | None] = None,
        after: FromQuery[UUID | None] = None,
    ) -> Response[bytes]:
        """The list of conversations, or of those with a text in them; from its start, or after one of them."""
        found = await conversations.list_conversations(
            viewer, search=search or None, cursor=str(after) if after else None, limit=_CONVERSATIONS_AT_ONCE
        )
        return pages.page(
            "conversation_list",
            language_of(request),
            conversations=found.items,
            more=found.next_cursor,
            current_id=current,
        )

    @get(
        "/parts/conversations/{conversation_id:uuid}/before/{user_message_id:uuid}",
        guards=[by_session],
        opt={"scope": Scope.READ},
    )
    async def earlier_messages(
        self,
        request: AnyRequest,
        viewer: NamedDependency[Viewer],
        conversation_id: FromPath[UUID],
        user_message_id: FromPath[UUID],
        conversations: NamedDependency[Conversations],
    ) -> Response[bytes]:
        """The messages before one of a conversation's."""
        said = await conversations.list_latest_messages(
            viewer, conversation_id, before=user_message_id, limit=_MESSAGES_AT_ONCE
        )
        return await _page("messages", request, messages=said.items, earlier=said.next_cursor)

    @get(
        "/parts/conversations/{conversation_id:uuid}/answers/{user_message_id:uuid}",
        guards=[by_session],
        opt={"scope": Scope.READ},
    )
    async def answer(
        self,
        request: AnyRequest,
        viewer: NamedDependency[Viewer],
        conversation_id: FromPath[UUID],
        user_message_id: FromPath[UUID],
        conversations: NamedDependency[Conversations],
    ) -> Response[bytes]:
        """The answer to a message as the page shows it."""
        after = await conversations.list_messages(viewer, conversation_id, cursor=str(user_message_id), limit=1)
        if not after.items:
            raise AnswerNotFound
        return await _page("message", request, message=after.items[0], question=None)

    @get("/assets/{version:str}/{name:str}", guards=[anyone], sync_to_thread=False)
    def asset(self, version: FromPath[str], name: FromPath[str]) -> Response[bytes]:
        """A style or script of the pages."""
        return pages.asset(version, name)


async def _page(name: str, request: AnyRequest, **context: Any) -> Response[bytes]:
    """A page with messages. Their Markdown takes milliseconds each, for which other people need not wait.

    So it is rendered beside the event loop, and for one person one page after the other.
    """
    async with _RENDERING.turn(request.user.user_id):
        return await asyncio.to_thread(pages.page, name, language_of(request), **context)
