"""What would cross the border of a text, shown before it is sent. Nothing is stored, held, sent or logged."""

from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from b2b_chat.product.chat.masked_turns import MaskedTurns, turns_of
from b2b_chat.product.chat.prompts import TextTooLong
from b2b_chat.product.chat.repository import RunRepository
from b2b_chat.product.conversations.service import ConversationNotFound
from b2b_chat.product.masking.kinds import Kind, MaskingAction
from b2b_chat.product.masking.masks import Values, masked_text
from b2b_chat.product.masking.requests import counted
from b2b_chat.product.masking.rules import Rules
from b2b_chat.product.masking.service import Masking
from b2b_chat.product.masking_policies.rulebook import Rulebook
from b2b_chat.product.settings import ProductSettings
from b2b_chat.product.viewer import Viewer


class PreviewRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """A text to be looked through."""

    text: Annotated[str, Meta(description="At most MAX_MESSAGE_CHARS characters.")]
    conversation_id: UUID | None = None
    """Whose people and numbers are known already; without it a new conversation begins."""


class PreviewPart(Struct, frozen=True):
    """A piece of the text; one with a kind would be hidden or blocked."""

    text: str
    kind: Kind | UnsetType = UNSET
    action: MaskingAction | UnsetType = UNSET


class MaskingPreview(Struct, frozen=True):
    """What would become of a text."""

    parts: list[PreviewPart]
    """The text in pieces, in order and whole: parts and no offsets, since programs count characters differently."""
    masked_text: str
    """What would cross the border."""
    counts: dict[str, int]
    """How many values of each kind would be hidden or blocked."""
    is_blocked: bool
    """Whether the message would be refused, because a kind in it is blocked."""


class Previews:
    """Shows what masking makes of a text."""

    def __init__(
        self,
        masking: Masking,
        rulebook: Rulebook,
        masked_turns: MaskedTurns,
        repository: RunRepository,
        settings: ProductSettings,
    ) -> None:
        self._masking = masking
        self._rulebook = rulebook
        self._masked_turns = masked_turns
        self._repository = repository
        self._context_exchanges = settings.chat_context_limit // 2
        self._max_message_chars = settings.max_message_chars

    async def preview(self, viewer: Viewer, wanted: PreviewRequest) -> MaskingPreview:
        """Return what would become of a text, were it sent now.

        Raises:
            ConversationNotFound: The conversation is not the viewer's.
            TextTooLong: No message may be so long.
            MaskingUnavailable: The detector failed.
        """
        text = wanted.text
        if len(text) > self._max_message_chars:
            raise TextTooLong(f"The text is longer than {self._max_message_chars} characters.")
        rules = await self._rulebook.rules_of(viewer)
        values = await self._values(viewer, rules, wanted.conversation_id)
        masks = values.mask(text, await self._masking.examine(text, values, rules))
        parts: list[PreviewPart] = []
        position = 0
        for mask in masks:
            if position < mask.start:
                parts.append(PreviewPart(text[position : mask.start]))
            parts.append(PreviewPart(text[mask.start : mask.end], mask.kind, rules.policy.action(mask.kind)))
            position = mask.end
        if position < len(text):
            parts.append(PreviewPart(text[position:]))
        is_blocked = any(part.action is MaskingAction.BLOCK for part in parts)
        return MaskingPreview(parts, masked_text(text, masks), dict(counted(masks)), is_blocked)

    async def _values(self, viewer: Viewer, rules: Rules, conversation_id: UUID | None) -> Values:
        """Return what a conversation has named so far."""
        if conversation_id is None:
            return Values()
        context = await self._repository.find_context(
            viewer.company_id, viewer.user_id, conversation_id, before=None, limit=self._context_exchanges
        )
        if context is None:
            raise ConversationNotFound
        return Values() if rules.is_off else (await self._masked_turns.context(rules, turns_of(context)))[0]
