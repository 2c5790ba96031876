"""`MaskedRequest`: the only request that may cross the border, and it is built here alone."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, final

import msgspec

from b2b_chat.contract.schemas import ChatMessage, ChatRequest
from b2b_chat.product.masking.links import hosts_in
from b2b_chat.product.masking.masks import Mask, MasksDoNotFit, Values, masked_text
from b2b_chat.product.masking.refusals import MaskingUnavailable
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


@final
class MaskedRequest:
    """A request whose texts were masked by the policy in force, if only to find that it masks nothing.

    Built by `masked_request` and `unmasked_request`; whatever sends requests over the border takes only this type, so
    that a path which forgets masking does not pass the type checker, and fails when it is run.
    """

    __slots__ = ("_hosts", "_values", "body")

    def __init__(self, seal: _Seal, body: ChatRequest, values: Values, hosts: frozenset[str]) -> None:
        if seal is not _SEAL:
            raise TypeError
        self.body: Final = body
        """What crosses the border."""
        self._values: Final = values
        self._hosts: Final = hosts

    def restorer(self, *, json: bool = False) -> Restorer:
        """Begin restoring one text of the answer."""
        return Restorer(self._values, hosts=self._hosts, json=json)

    def __repr__(self) -> str:
        """Name nothing of what is inside: this may come into a log."""
        return "<MaskedRequest>"


def masked_request(request: ChatRequest, masks: Sequence[Sequence[Mask]]) -> MaskedRequest:
    """Derive what crosses the border from the texts of a request and their masks.

    Args:
        request: The request in the users' own words.
        masks: Each message's masks, in the order of the messages.

    Raises:
        MaskingUnavailable: The masks are not those of these texts. Nothing of the texts is in the error.
    """
    values = Values()
    try:
        messages = [_masked(message, own, values) for message, own in zip(request.messages, masks, strict=True)]
    except (MasksDoNotFit, ValueError):
        raise MaskingUnavailable from None
    if values:
        messages.insert(0, ChatMessage(role="system", content=INSTRUCTION))
    return MaskedRequest(_SEAL, msgspec.structs.replace(request, messages=messages), values, _hosts(request.messages))


def unmasked_request(request: ChatRequest) -> MaskedRequest:
    """Return a request that goes out as it is, because the policy in force says so."""
    return MaskedRequest(_SEAL, request, Values(), frozenset())


def _masked(message: ChatMessage, masks: Sequence[Mask], values: Values) -> ChatMessage:
    values.learn(message.content, masks)
    return msgspec.structs.replace(message, content=masked_text(message.content, masks)) if masks else message


def _hosts(messages: Iterable[ChatMessage]) -> frozenset[str]:
    return hosts_in(message.content for message in messages if message.role == "user")


def counted(masks: Iterable[Mask]) -> Mapping[str, int]:
    """Return how many masks there are of each kind: what logs, metrics and audit may have."""
    counts: dict[str, int] = {}
    for mask in masks:
        counts[mask.kind] = counts.get(mask.kind, 0) + 1
    return counts
