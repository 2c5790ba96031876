import uuid

import pytest

from b2b_chat.contract.schemas import MODEL_GPT_5_2, ChatMessage, ChatMetadata, ChatRequest
from b2b_chat.product.masking.kinds import Kind
from b2b_chat.product.masking.masks import Mask, MasksDoNotFit, StoredMasks, read
from b2b_chat.product.masking.refusals import MaskingUnavailable
from b2b_chat.product.masking.requests import (
    INSTRUCTION,
    MaskedMessages,
    MaskedRequest,
    counted,
    masked_messages,
    unmasked_messages,
)

IDS = ChatMetadata(*[uuid.uuid4() for _ in range(4)])


def request(*messages: ChatMessage) -> ChatRequest:
    return ChatRequest(
        model=MODEL_GPT_5_2,
        messages=list(messages),
        stream=True,
        max_completion_tokens=100,
        metadata=IDS,
    )


def sent(messages: MaskedMessages) -> MaskedRequest:
    return messages.request(model=MODEL_GPT_5_2, stream=True, max_completion_tokens=100, metadata=IDS)


def masked_request(asked: ChatRequest, masks: list[list[Mask]]) -> MaskedRequest:
    return sent(masked_messages(asked.messages, masks, "rules"))


def unmasked_request(asked: ChatRequest) -> MaskedRequest:
    return sent(unmasked_messages(asked.messages))


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
        MaskedRequest(object(), request(SAID), None)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        MaskedMessages(object(), [SAID], None)  # type: ignore[arg-type]


def test_it_does_not_show_itself() -> None:
    messages = masked_messages([SAID], [[Mask(6, 10, Kind.NAME, 1)]])
    assert (repr(messages), repr(sent(messages))) == ("<MaskedMessages>", "<MaskedRequest>")


def test_counts_are_all_that_is_told_of_masks() -> None:
    assert counted([Mask(0, 1, Kind.NAME, 1), Mask(2, 3, Kind.NAME, 2), Mask(4, 5, Kind.IP, 1)]) == {"NAME": 2, "IP": 1}


def test_stored_numbers_that_contradict_each_other_put_nobody_in_anothers_place() -> None:
    """A text that failed was numbered before another, and was tried anew and takes its place before it later."""
    later = ChatMessage(role="user", content="Пишет Олег, и Анна тоже")
    made = masked_request(
        request(SAID, later), [[Mask(6, 10, Kind.NAME, 1)], [Mask(6, 10, Kind.NAME, 1), Mask(14, 18, Kind.NAME, 2)]]
    )
    assert made.body.messages[1].content == "Пишет [NAME_1] с https://crm.example.ru"
    assert made.body.messages[2].content == "Пишет [NAME_2], и [NAME_1] тоже"
    restorer = made.restorer()
    assert restorer.feed("[NAME_2] и [NAME_1].") + restorer.end() == "Олег и Анна."


def test_another_upstream_gets_the_same_messages_and_a_new_attempt_begins_anew() -> None:
    made = masked_request(request(SAID), [[Mask(6, 10, Kind.NAME, 1)]])
    again = made.avoiding("primary")
    assert (again.body.avoid_upstream, again.body.messages) == ("primary", made.body.messages)
    first, second = made.restoration(), again.restoration()
    assert first is not None
    assert second is not None
    assert first.feed("[NAME") == ""
    assert second.feed("_1] x") == "_1] x"
    assert unmasked_request(request(SAID)).avoiding("primary").restoration() is None


def test_an_answers_masks_are_stored_with_their_rules() -> None:
    restoration = masked_request(request(SAID), [[Mask(6, 10, Kind.NAME, 1)]]).restoration()
    assert restoration is not None
    text = restoration.feed("Это [NAME_1] и [NAME_7]") + restoration.end()
    assert (text, restoration.sent) == ("Это Анна и [NAME_7]", "Это [NAME_1] и [NAME_7]")
    stored = restoration.masks(text)
    assert tuple(stored) == ('[[4,8,"NAME",1],[11,19,"TEXT",1]]', "rules")
    assert read(stored, text) == [Mask(4, 8, Kind.NAME, 1), Mask(11, 19, Kind.TEXT, 1)]


@pytest.mark.parametrize("masks", ['[[0,99,"NAME",1]]', '[[0,1,"AURA",1]]', "{}", "[1]"])
def test_stored_masks_that_are_none_are_not_believed(masks: str) -> None:
    with pytest.raises(MasksDoNotFit):
        read(StoredMasks(masks, "rules"), "Анна")


def test_without_values_nothing_is_held_back_and_what_looks_like_a_token_is_nobodys() -> None:
    restoration = masked_request(request(SAID), [[]]).restoration()
    assert restoration is not None
    assert [restoration.feed(piece) for piece in ("O", "[PERSON", "_1]")] == ["O", "[PERSON", "_1]"]
    assert restoration.end() == ""
    assert restoration.masks("O[PERSON_1]").masks == '[[1,11,"TEXT",1]]'
