"""What would cross the border of a text, shown before it is sent. Nothing is stored, held, sent or logged."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from b2b_chat.product.chat.prompts import TextTooLong
from b2b_chat.product.masking.kinds import Kind, MaskingAction
from b2b_chat.product.masking.masks import Values, masked_text
from b2b_chat.product.masking.requests import counted
from b2b_chat.product.masking.service import Masking
from b2b_chat.product.masking_policies.rulebook import Rulebook
from b2b_chat.product.settings import ProductSettings
from b2b_chat.product.viewer import Viewer


class PreviewRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """A text to be looked through."""

    text: Annotated[str, Meta(description="At most MAX_MESSAGE_CHARS characters.")]


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

    def __init__(self, masking: Masking, rulebook: Rulebook, settings: ProductSettings) -> None:
        self._masking = masking
        self._rulebook = rulebook
        self._max_message_chars = settings.max_message_chars

    async def preview(self, viewer: Viewer, wanted: PreviewRequest) -> MaskingPreview:
        """Return what would become of a text, were it sent now as a new conversation.

        Raises:
            TextTooLong: No message may be so long.
            MaskingUnavailable: The detector failed.
        """
        text, values = wanted.text, Values()
        if len(text) > self._max_message_chars:
            raise TextTooLong(f"The text is longer than {self._max_message_chars} characters.")
        rules = await self._rulebook.rules_of(viewer)
        spans = await self._masking.examine(
            text, values, rules.policy, terms=rules.terms, allowed=rules.allowed, floor=rules.floor
        )
        masks = values.mask(text, spans)
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
