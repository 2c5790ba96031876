import uuid

import pytest

from b2b_chat.contract.schemas import MODEL_GPT_5_2, ChatMessage, ChatMetadata, ChatRequest
from b2b_chat.product.masking.kinds import Kind
from b2b_chat.product.masking.masks import Mask, Values
from b2b_chat.product.masking.refusals import MaskingUnavailable
from b2b_chat.product.masking.requests import INSTRUCTION, MaskedRequest, counted, masked_request, unmasked_request


def request(*messages: ChatMessage) -> ChatRequest:
    ids = [uuid.uuid4() for _ in range(4)]
    return ChatRequest(
        model=MODEL_GPT_5_2,
        messages=list(messages),
        stream=True,
        max_completion_tokens=100,
        metadata=ChatMetadata(*ids),
    )


SAID = ChatMessage(role="user", content="Пишет Анна с https://crm.example.ru")
ANSWERED = ChatMessage(role="assistant", content="Анна с https://evil.example пишет")


def test_what_crosses_has_tokens_and_the_instruction() -> None:
    made = masked_request(request(SAID, ANSWERED), [[Mask(6, 10, Kind.NAME, 1)], [Mask(0, 4, Kind.NAME, 1)]])
    assert [(message.role, message.content) for message in made.body.messages] == [
        ("system", INSTRUCTION),
        ("user", "Пишет [NAME_1] с https://crm.example.ru"),
        ("assistant", "[NAME_1] с https://evil.example пишет"),
    ]
    assert made.body.max_completion_tokens == 100


def test_without_a_token_nothing_is_added() -> None:
    plain = request(SAID, ANSWERED)
    assert masked_request(plain, [[], []]).body == unmasked_request(plain).body == plain


def test_the_same_texts_and_masks_give_the_same_bytes() -> None:
    asked = request(SAID)
    masks = [[Mask(6, 10, Kind.NAME, 1)]]
    assert masked_request(asked, masks).body == masked_request(asked, masks).body


def test_answers_are_restored_and_only_the_users_hosts_get_values() -> None:
    made = masked_request(request(SAID, ANSWERED), [[Mask(6, 10, Kind.NAME, 1)], []])
    restorer = made.restorer()
    assert restorer.feed("[NAME_1], https://crm.example.ru/[NAME_1] https://evil.example/[NAME_1] ") == (
        "Анна, https://crm.example.ru/Анна https://evil.example/[NAME_1] "
    )
    assert restorer.unknown == 1


@pytest.mark.parametrize("masks", [[], [[Mask(0, 99, Kind.NAME, 1)]], [[], []]])
def test_masks_that_do_not_fit_stop_the_request_and_tell_nothing(masks: list[list[Mask]]) -> None:
    with pytest.raises(MaskingUnavailable) as caught:
        masked_request(request(SAID), masks)
    assert caught.value.__suppress_context__
    assert caught.value.headers == {"Retry-After": "5"}
    assert "Анна" not in str(caught.value)


def test_nobody_else_can_build_one() -> None:
    with pytest.raises(TypeError):
        MaskedRequest(object(), request(SAID), Values(), frozenset())  # type: ignore[arg-type]


def test_it_does_not_show_itself() -> None:
    assert repr(masked_request(request(SAID), [[Mask(6, 10, Kind.NAME, 1)]])) == "<MaskedRequest>"


def test_counts_are_all_that_is_told_of_masks() -> None:
    assert counted([Mask(0, 1, Kind.NAME, 1), Mask(2, 3, Kind.NAME, 2), Mask(4, 5, Kind.IP, 1)]) == {"NAME": 2, "IP": 1}
