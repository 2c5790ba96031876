"""`MaskedRequest`: the only request that may cross the border, and it is built here alone."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, NamedTuple, final

import msgspec
from msgspec import UnsetType

from b2b_chat.contract.options import ChatOptions, options_of
from b2b_chat.contract.schemas import ChatMessage, ChatMetadata, ChatRequest
from b2b_chat.product.masking.call_texts import Call
from b2b_chat.product.masking.links import hosts_in
from b2b_chat.product.masking.masks import Mask, MasksDoNotFit, Values, masked_text
from b2b_chat.product.masking.refusals import MaskingUnavailable
from b2b_chat.product.masking.restoration import Restoration
from b2b_chat.product.masking.restoring import Restorer

INSTRUCTION: Final = (
    "Some values in this conversation are replaced by tokens such as [PERSON_1]. A token stands for one value "
    "that you cannot see. "
    "Use it as you would use the value, exactly as written, brackets included. Never change, explain or invent "
    "tokens."
)
"""Goes along when the request has a token, and only then."""


class _Seal:
    """What a MaskedRequest cannot be built without; this module keeps it to itself."""


_SEAL: Final = _Seal()


class _Background(NamedTuple):
    """What an answer's tokens stand for, and which hosts may have it."""

    values: Values
    hosts: frozenset[str]
    key: str


_NOTHING: Final = _Background(Values(), frozenset(), "")
_NO_OPTIONS: Final = ChatOptions()
_CLIENTS_ROLES: Final = frozenset(("user", "system", "developer"))
"""Whose messages are the client's own words; results of tools can be anybody's."""


@final
class MaskedMessages:
    """What the model is asked, as it crosses the border: texts that were masked by the policy in force.

    Built by `masked_messages` and `masked_call`, and where that policy masks nothing by `unmasked_messages` and
    `unmasked_call`.
    """

    __slots__ = ("_background", "messages", "options")

    def __init__(
        self,
        seal: _Seal,
        messages: list[ChatMessage],
        background: "_Background | None",
        options: ChatOptions = _NO_OPTIONS,
    ) -> None:
        if seal is not _SEAL:
            raise TypeError
        self.messages: Final = messages
        """What is priced, and crosses the border."""
        self.options: Final = options
        """The options that go along, whose texts are masked too."""
        self._background: Final = background

    def request(
        self, *, model: Literal["gpt-5.2"], stream: bool, max_completion_tokens: int, metadata: ChatMetadata
    ) -> "MaskedRequest":
        """Return the request that has these messages."""
        body = ChatRequest(
            model=model,
            messages=self.messages,
            stream=stream,
            max_completion_tokens=max_completion_tokens,
            metadata=metadata,
            **({} if self.options is _NO_OPTIONS else options_of(self.options)),
        )
        return MaskedRequest(_SEAL, body, self._background)

    def __repr__(self) -> str:
        """Name nothing of what is inside: this may come into a log."""
        return "<MaskedMessages>"


@final
class MaskedRequest:
    """A request whose texts were masked by the policy in force, if only to find that it masks nothing.

    Only `MaskedMessages` make one; whatever sends requests over the border takes only this type, so that a path which
    forgets masking does not pass the type checker, and fails when it is run.
    """

    __slots__ = ("_background", "body")

    def __init__(self, seal: _Seal, body: ChatRequest, background: "_Background | None") -> None:
        if seal is not _SEAL:
            raise TypeError
        self.body: Final = body
        """What crosses the border."""
        self._background: Final = background

    def avoiding(self, upstream: str | UnsetType) -> "MaskedRequest":
        """Return the same request, to be answered by another upstream than this."""
        body = msgspec.structs.replace(self.body, avoid_upstream=upstream)
        return MaskedRequest(_SEAL, body, self._background)

    def restoration(self) -> Restoration | None:
        """Begin restoring an attempt at the answer; None where the policy masks nothing."""
        background = self._background
        return None if background is None else Restoration(background.values, self.restorer(), background.key)

    def restorer(self, *, json: bool = False) -> Restorer:
        """Begin restoring one text of the answer."""
        background = self._background or _NOTHING
        return Restorer(background.values, hosts=background.hosts, json=json)

    def __repr__(self) -> str:
        """Name nothing of what is inside: this may come into a log."""
        return "<MaskedRequest>"


def masked_messages(messages: Sequence[ChatMessage], masks: Sequence[Sequence[Mask]], key: str = "") -> MaskedMessages:
    """Derive what crosses the border from texts and their masks.

    Args:
        messages: In the users' own words.
        masks: Each message's masks, in the order of the messages.
        key: That of the rules by which they were made, which is stored with the answer's masks.

    Raises:
        MaskingUnavailable: The masks are not those of these texts. Nothing of the texts is in the error.
    """
    values = Values()
    try:
        masked = [_masked(message, own, values) for message, own in zip(messages, masks, strict=True)]
    except (MasksDoNotFit, ValueError):
        raise MaskingUnavailable.because_of("masks") from None
    if values:
        masked.insert(0, ChatMessage(role="system", content=INSTRUCTION))
    return MaskedMessages(_SEAL, masked, _Background(values, _hosts(messages), key))


def unmasked_messages(messages: list[ChatMessage]) -> MaskedMessages:
    """Return messages that go out as they are, because the policy in force says so."""
    return MaskedMessages(_SEAL, messages, None)


def masked_call(call: Call, masked: Call, values: Values, key: str) -> MaskedMessages:
    """Return what crosses the border of a call.

    Args:
        call: In the client's own words.
        masked: The same call with tokens.
        values: What the tokens stand for.
        key: That of the rules by which it was masked, which is stored with the answer's masks.
    """
    messages = list(masked.messages)
    if values:
        messages.insert(0, ChatMessage(role="system", content=INSTRUCTION))
    return MaskedMessages(_SEAL, messages, _Background(values, _hosts(call.messages), key), masked.options)


def unmasked_call(call: Call) -> MaskedMessages:
    """Return a call that goes out as it is, because the policy in force says so."""
    return MaskedMessages(_SEAL, list(call.messages), None, call.options)


def _masked(message: ChatMessage, masks: Sequence[Mask], values: Values) -> ChatMessage:
    if not isinstance(message.content, str):
        raise MasksDoNotFit  # stored messages are texts
    consistent = values.learn(message.content, masks)
    if not masks:
        return message
    return msgspec.structs.replace(message, content=masked_text(message.content, consistent))


def _hosts(messages: Iterable[ChatMessage]) -> frozenset[str]:
    return hosts_in(text for message in messages if message.role in _CLIENTS_ROLES for text in message.texts)


def counted(masks: Iterable[Mask]) -> Mapping[str, int]:
    """Return how many masks there are of each kind: what logs, metrics and audit may have."""
    counts: dict[str, int] = {}
    for mask in masks:
        counts[mask.kind] = counts.get(mask.kind, 0) + 1
    return counts
