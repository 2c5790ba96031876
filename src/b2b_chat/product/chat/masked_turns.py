"""The masks of the texts about to be sent: stored ones, and new ones for texts not yet masked under the rules."""

from collections.abc import Sequence
from functools import cache
from typing import Final, Literal, NamedTuple
from uuid import UUID

from prometheus_client import Counter

from b2b_chat.product.chat.repository import Exchange, RunRepository, Said
from b2b_chat.product.masking.masks import Mask, MasksDoNotFit, StoredMasks, Values, as_json, read
from b2b_chat.product.masking.requests import counted
from b2b_chat.product.masking.rules import Rules
from b2b_chat.product.masking.service import Masking

_MASKED = Counter("product_masked_values", "Values that were hidden in new messages, by their kind.", ["kind"])
_masked: Final = cache(_MASKED.labels)


class Turn(NamedTuple):
    """A text that is sent, and the masks stored with it."""

    role: Literal["user", "assistant"]
    text: str
    tokens: int | None
    """The tokens of the text as it last crossed the border, where they are known."""
    stored: StoredMasks
    message_id: UUID | None
    """None for a message that is not stored yet."""


def turns_of(exchanges: Sequence[Exchange]) -> list[Turn]:
    """Return the texts of exchanges, one after the other."""
    return [turn for exchange in exchanges for turn in _both(exchange)]


def _both(exchange: Exchange) -> tuple[Turn, Turn]:
    return _turn("user", exchange.question), _turn("assistant", exchange.answer)


def _turn(role: Literal["user", "assistant"], said: Said) -> Turn:
    return Turn(role, said.text, said.tokens, StoredMasks(said.masks, said.masked_by), said.message_id)


class MaskedTurns:
    """Finds the masks of texts under the rules in force."""

    def __init__(self, masking: Masking, repository: RunRepository) -> None:
        self._masking = masking
        self._repository = repository

    async def context(self, rules: Rules, turns: Sequence[Turn]) -> tuple[Values, list[list[Mask]]]:
        """Return the masks of the earlier texts, in order, and the values in them.

        A text that was never masked, or under other rules, is masked now, and its masks are stored. A kind that is
        blocked by now is hidden: the text has been sent already.

        Raises:
            MaskingUnavailable: The detector failed.
        """
        values = Values()
        known = [_known(turn) for turn in turns]
        for turn, masks in zip(turns, known, strict=True):
            values.learn(turn.text, masks or ())
        made: dict[UUID, str] = {}
        found: list[list[Mask]] = []
        for turn, masks in zip(turns, known, strict=True):
            if masks is None or turn.stored.by != rules.key:
                masks = await self._mask_again(rules, turn, values)  # noqa: PLW2901 - the masks under the rules in force
                if turn.message_id is not None:
                    made[turn.message_id] = as_json(masks)
            found.append(masks)
        if made:
            await self._repository.set_masks(made, rules.key)
        return values, found

    async def message(self, rules: Rules, turn: Turn, values: Values) -> list[Mask]:
        """Return the masks of the message itself.

        Raises:
            PersonalDataBlocked: It has values of a kind that is blocked.
            MaskingUnavailable: The detector failed.
        """
        known = _known(turn)
        if known is not None and turn.stored.by == rules.key:
            return known
        masks = await self._masking.mask(turn.text, values, rules)
        for kind, count in counted(masks).items():
            _masked(kind).inc(count)
        if turn.message_id is not None:
            await self._repository.set_masks({turn.message_id: as_json(masks)}, rules.key)
        return masks

    async def _mask_again(self, rules: Rules, turn: Turn, values: Values) -> list[Mask]:
        return values.mask(turn.text, await self._masking.examine(turn.text, values, rules))


def _known(turn: Turn) -> list[Mask] | None:
    """Return the masks that are stored; None where they do not fit the text, which is then masked again."""
    try:
        return read(turn.stored, turn.text)
    except MasksDoNotFit:
        return None
