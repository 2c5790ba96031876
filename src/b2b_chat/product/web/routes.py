"""`/`: the pages of the web client."""

from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.response import Redirect

from b2b_chat.kit.errors import Refusal
from b2b_chat.product.chat.conversations import Conversations
from b2b_chat.product.chat.schemas import Conversation, Message
from b2b_chat.product.chat.service import AnswerNotFound
from b2b_chat.product.credits.service import Credits
from b2b_chat.product.guards import Gatekeeper, anyone, by_session
from b2b_chat.product.identity.api_keys import Scope
from b2b_chat.product.identity.sessions import Sessions
from b2b_chat.product.identity.viewer import Unauthenticated, Viewer
from b2b_chat.product.web import pages
from b2b_chat.product.web.words import language_of

_MAX_CONVERSATIONS: Final = 100
_MAX_MESSAGES: Final = 1000
_SIGN_IN: Final = "/sign-in"

AnyRequest = Request[Viewer, Any, Any]


class WebRoutes(Controller):
    """Pages for people. They show what the API answers, and change nothing themselves."""

    include_in_schema = False

    @get("/sign-in", guards=[anyone], sync_to_thread=False)
    def sign_in(self, request: AnyRequest) -> Response[bytes]:
        """Ask for the mail address, and then for the code."""
        return pages.page("sign_in", language_of(request))

    @get("/", guards=[anyone])
    async def new_chat(
        self,
        request: AnyRequest,
        sessions: NamedDependency[Sessions],
        conversations: NamedDependency[Conversations],
        credit: NamedDependency[Credits],
    ) -> Response[bytes] | Redirect:
        """A new conversation."""
        return await self._chat(request, sessions, conversations, credit, None)

    @get("/c/{conversation_id:uuid}", guards=[anyone])
    async def chat(
        self,
        request: AnyRequest,
        sessions: NamedDependency[Sessions],
        conversations: NamedDependency[Conversations],
        credit: NamedDependency[Credits],
        conversation_id: FromPath[UUID],
    ) -> Response[bytes] | Redirect:
        """One of the viewer's conversations."""
        return await self._chat(request, sessions, conversations, credit, conversation_id)

    async def _chat(
        self,
        request: AnyRequest,
        sessions: Sessions,
        conversations: Conversations,
        credit: Credits,
        conversation_id: UUID | None,
    ) -> Response[bytes] | Redirect:
        gatekeeper: Gatekeeper = request.app.state.gatekeeper
        try:
            viewer = await gatekeeper.viewer_of(request)
        except Unauthenticated:
            return Redirect(_SIGN_IN)
        language = language_of(request)
        me = await sessions.me(viewer)
        try:
            viewer.require(Scope.CHAT)
            listed = await conversations.list_conversations(viewer, cursor=None, limit=_MAX_CONVERSATIONS)
            conversation, messages = await _said(conversations, viewer, conversation_id)
        except Refusal as refusal:
            answer = pages.page("refused", language, me=me, refusal=refusal)
            answer.status_code = refusal.status
            return answer
        return pages.page(
            "chat",
            language,
            me=me,
            conversations=listed.items,
            current_id=conversation_id,
            conversation=conversation,
            messages=messages,
            balance=await credit.balance(viewer),
        )

    @get("/parts/conversations", guards=[by_session], opt={"scope": Scope.READ})
    async def conversation_list(
        self,
        request: AnyRequest,
        viewer: NamedDependency[Viewer],
        conversations: NamedDependency[Conversations],
        search: Annotated[str, QueryParameter(pattern=r"^[^\x00-\x1f\x7f]{0,200}\Z")] = "",
        current: FromQuery[UUID | None] = None,
    ) -> Response[bytes]:
        """The list of conversations, or of those with a text in them."""
        found = await conversations.list_conversations(
            viewer, search=search or None, cursor=None, limit=_MAX_CONVERSATIONS
        )
        return pages.page(
            "conversation_list",
            language_of(request),
            conversations=found.items,
            current_id=current,
        )

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
        return pages.page("message", language_of(request), message=after.items[0], question=None)

    @get("/assets/{version:str}/{name:str}", guards=[anyone], sync_to_thread=False)
    def asset(self, version: FromPath[str], name: FromPath[str]) -> Response[bytes]:
        """A style or script of the pages."""
        return pages.asset(version, name)


async def _said(
    conversations: Conversations, viewer: Viewer, conversation_id: UUID | None
) -> tuple[Conversation | None, list[Message]]:
    if conversation_id is None:
        return None, []
    conversation = await conversations.get(viewer, conversation_id)
    messages = await conversations.list_messages(viewer, conversation_id, cursor=None, limit=_MAX_MESSAGES)
    return conversation, messages.items
