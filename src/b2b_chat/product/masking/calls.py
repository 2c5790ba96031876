"""Masking a whole call: every text of it, under one numbering."""

import msgspec

from b2b_chat.product.masking.call_texts import (
    Call,
    Text,
    read_json,
    rewritten,
    strings_of,
    texts_of,
    with_strings,
    without_escapes,
)
from b2b_chat.product.masking.masks import Values, masked_text
from b2b_chat.product.masking.refusals import UnmaskableContent
from b2b_chat.product.masking.requests import MaskedMessages, masked_call, unmasked_call
from b2b_chat.product.masking.rules import Rules
from b2b_chat.product.masking.service import Masking


async def mask_call(masking: Masking, rules: Rules, call: Call) -> MaskedMessages:
    """Return a call as it may cross the border.

    Raises:
        UnmaskableContent: It has images, and the rules hide what they may show; or JSON that is nested too deeply.
        PersonalDataBlocked: It has values of a kind that is blocked.
        MaskingUnavailable: The detector failed.
    """
    if not rules.allows_images and any(message.images for message in call.messages):
        raise UnmaskableContent
    if rules.is_off:
        return unmasked_call(rewritten(call, lambda text: text.text))
    values = Values()
    masked = {text: await _masked(masking, rules, text, values) for text in texts_of(call)}
    return masked_call(call, rewritten(call, masked.__getitem__), values, rules.key)


async def _masked(masking: Masking, rules: Rules, text: Text, values: Values) -> str:
    document = read_json(text.text) if text.is_json else None
    if document is None:
        plain = without_escapes(text.text) if text.is_json else text.text
        return masked_text(plain, await masking.mask(plain, values, rules))
    # Escapes hide values from the detector, so the strings are looked through as what they stand for. Then the document
    # as a whole: its keys say what a value is, and numbers and keys are values too.
    made = {each: masked_text(each, await masking.mask(each, values, rules)) for each in strings_of(document)}
    written = msgspec.json.encode(with_strings(document, made.__getitem__)).decode()
    return masked_text(written, await masking.mask(written, values, rules, has_tokens=True))
