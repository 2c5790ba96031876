"""What the model is asked: the context, its highest price, and the request that crosses the border."""

from decimal import Decimal
from uuid import UUID

from b2b_chat.contract.schemas import MODEL_GPT_5_2, ChatMessage, ChatMetadata, ChatRequest, Usage
from b2b_chat.product.chat.answer_log import AnswerLog
from b2b_chat.product.chat.repository import RunRepository
from b2b_chat.product.conversations.service import ConversationNotFound
from b2b_chat.product.credits.pricing import Prices, max_prompt_tokens
from b2b_chat.product.settings import ProductSettings
from b2b_chat.product.viewer import Viewer


class Prompts:
    """Makes requests of messages."""

    def __init__(self, repository: RunRepository, prices: Prices, settings: ProductSettings) -> None:
        self._repository = repository
        self._prices = prices
        self._settings = settings

    async def context(self, viewer: Viewer, conversation_id: UUID, *, before: UUID | None) -> list[ChatMessage]:
        """Return what goes along with a new message of a conversation, or with one that was sent before.

        Raises:
            ConversationNotFound: The conversation is not the viewer's.
        """
        context = await self._repository.find_context(
            viewer.company_id, viewer.user_id, conversation_id, before=before, limit=self._settings.chat_context_limit
        )
        if context is None:
            raise ConversationNotFound
        return context

    def max_cost(self, messages: list[ChatMessage]) -> Decimal:
        """Return the highest price of an answer to these messages."""
        prompt, completion = max_prompt_tokens(messages), self._settings.chat_max_completion_tokens
        return self._prices.cost(Usage(prompt, completion, prompt + completion))

    def request(
        self, viewer: Viewer, log: AnswerLog, messages: list[ChatMessage], held_credits: Decimal, *, stream: bool
    ) -> ChatRequest:
        """Return the request whose answer costs no more than is held, within the shortest answer granted."""
        affordable = self._prices.affordable_completion_tokens(held_credits, max_prompt_tokens(messages))
        return ChatRequest(
            model=MODEL_GPT_5_2,
            messages=messages,
            stream=stream,
            max_completion_tokens=max(
                self._settings.chat_min_completion_tokens, min(affordable, self._settings.chat_max_completion_tokens)
            ),
            metadata=ChatMetadata(viewer.company_id, viewer.user_id, log.conversation_id, log.user_message_id),
        )
