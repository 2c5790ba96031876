"""Masking a text under a policy: what is found, numbered in its conversation, and what the policy makes of it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

import structlog

from b2b_chat.product.masking.canaries import CANARIES, CanaryMissed
from b2b_chat.product.masking.detection import Detector
from b2b_chat.product.masking.kinds import Kind, MaskingAction
from b2b_chat.product.masking.masks import Mask, Values
from b2b_chat.product.masking.refusals import MaskingUnavailable, PersonalDataBlocked
from b2b_chat.product.masking.rules import Rules
from b2b_chat.product.masking.spans import Span
from b2b_chat.product.masking.terms import Terms

log = structlog.get_logger(__name__)

_NO_TERMS: Final = Terms(())


class Finder(Protocol):
    """What finds personal data: `Detector`, or one that asks a process of its own."""

    async def detect_in_turns(self, text: str, *, named: Iterable[str] = (), terms: Terms = _NO_TERMS) -> list[Span]:
        """Return the spans of a text, in order and without overlap."""
        ...


class Masking:
    """Masks texts. It fails closed: a text that cannot be examined is refused, never passed on."""

    def __init__(self, finder: Finder | None = None) -> None:
        self._finder = finder or Detector()

    async def mask(self, text: str, values: Values, rules: Rules, *, has_tokens: bool = False) -> list[Mask]:
        """Return the masks of a new text, and take its values into the conversation's.

        Args:
            text: The text of a message.
            values: Those of the conversation so far, from its stored texts.
            rules: Those in force.
            has_tokens: Whether parts of the text are masked already: then what looks like a token is one.

        Raises:
            PersonalDataBlocked: The policy blocks kinds that the text has. No value was taken in.
            MaskingUnavailable: The detector failed.
        """
        hidden = await self.examine(text, values, rules)
        if has_tokens:
            hidden = [span for span in hidden if span.kind is not Kind.TEXT]
        blocked = Counter(str(span.kind) for span in hidden if rules.policy.action(span.kind) is MaskingAction.BLOCK)
        if blocked:
            raise PersonalDataBlocked(blocked)
        return values.mask(text, hidden)

    async def examine(self, text: str, values: Values, rules: Rules) -> list[Span]:
        """Return the spans of a text that are masked or blocked; the arguments are those of `mask`.

        Raises:
            MaskingUnavailable: The detector failed.
        """
        if rules.is_off:
            return []
        return [
            span
            for span in await self._find(text, values, rules.terms)
            if rules.policy.action(span.kind) is not MaskingAction.OFF
            and (span.kind in rules.floor or not rules.allowed.allows(span.kind, text[span.start : span.end]))
        ]

    async def _find(self, text: str, values: Values, terms: Terms) -> Sequence[Span]:
        try:
            return await self._finder.detect_in_turns(text, named=values.people(), terms=terms)
        except Exception as error:  # noqa: BLE001 - whatever failed, the text does not go out
            # The type alone: messages and tracebacks of a detector carry the text.
            log.error("masking_failed", problem=type(error).__name__)  # noqa: TRY400
            raise MaskingUnavailable.because_of("detector") from None

    async def check(self) -> None:
        """Show that a canary of every kind is found, whatever the policy.

        Raises:
            CanaryMissed: One was not. A production process does not start.
            MaskingUnavailable: The detector failed.
        """
        for canary in CANARIES:
            spans = await self._find(canary.text, Values(), canary.terms)
            if not any(
                span.kind is canary.kind and span.start <= canary.start and canary.end <= span.end for span in spans
            ):
                raise CanaryMissed(canary.kind)
