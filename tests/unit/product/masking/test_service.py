import asyncio
from collections.abc import Iterable
from typing import Any

import pytest
from structlog.testing import capture_logs

from b2b_chat.product.masking.canaries import CANARIES, CanaryMissed
from b2b_chat.product.masking.detection import Detector
from b2b_chat.product.masking.kinds import Group, Kind, MaskingAction
from b2b_chat.product.masking.masks import Mask, Values, masked_text
from b2b_chat.product.masking.policy import OFF, Policy
from b2b_chat.product.masking.refusals import MaskingUnavailable, PersonalDataBlocked
from b2b_chat.product.masking.restoring import restored
from b2b_chat.product.masking.rules import Rules
from b2b_chat.product.masking.service import Masking
from b2b_chat.product.masking.spans import Span
from b2b_chat.product.masking.terms import AllowList, Terms
from support.masking.hostile_texts import PIECES, hostile

NO_TERMS = Terms(())
TEXT = "Иванов Пётр Ильич, i@example.com, пароль: Zima725@O8W3"


def under(policy: Policy, **lists: Any) -> Rules:
    return Rules(policy, policy.is_off, "a key", **lists)


class Broken(Detector):
    """A detector that fails the way detectors do: with the text in its error."""

    async def detect_in_turns(self, text: str, *, named: Iterable[str] = (), terms: Terms = NO_TERMS) -> list[Span]:  # noqa: ARG002 - as it is called
        raise ValueError(text)


class Blind(Detector):
    async def detect_in_turns(self, text: str, *, named: Iterable[str] = (), terms: Terms = NO_TERMS) -> list[Span]:  # noqa: ARG002 - as it is called
        return []


async def test_a_text_is_masked_by_the_policy_in_force() -> None:
    values = Values()
    masks = await Masking().mask(TEXT, values, under(Policy()))
    assert masked_text(TEXT, masks) == "[PERSON_1], [EMAIL_1], пароль: [SECRET_1]"
    assert restored(masked_text(TEXT, masks), values) == TEXT
    people_off = Policy(groups={Group.PEOPLE: MaskingAction.OFF})
    assert masked_text(TEXT, await Masking().mask(TEXT, Values(), under(people_off))).startswith(
        "Иванов Пётр Ильич, [EMAIL_1]"
    )
    assert await Masking().mask(TEXT, Values(), under(OFF)) == []


async def test_blocked_kinds_are_reported_with_counts_and_without_values() -> None:
    policy = Policy(kinds={Kind.SECRET: MaskingAction.BLOCK, Kind.EMAIL: MaskingAction.BLOCK})
    values = Values()
    with pytest.raises(PersonalDataBlocked) as caught:
        await Masking().mask(TEXT + " j@example.com", values, under(policy))
    assert caught.value.counts == {"SECRET": 1, "EMAIL": 2}
    assert (caught.value.status, caught.value.code) == (422, "personal_data_blocked")
    assert "EMAIL (2), SECRET (1)" in caught.value.message
    assert not any(value in caught.value.message for value in ("Zima725", "example.com"))
    assert not values


async def test_terms_and_the_allow_list_of_a_company() -> None:
    text = "Про проект Феникс пишите на info@example.com, пароль: Zima725@O8W3"
    allowed = AllowList(["INFO@example.com", "Zima725@O8W3"])
    masks = await Masking().mask(text, Values(), under(Policy(), terms=Terms(["Проект Феникс"]), allowed=allowed))
    assert masked_text(text, masks) == "Про [TERM_1] пишите на info@example.com, пароль: [SECRET_1]"


async def test_people_named_before_are_known() -> None:
    values = Values()
    first = "Договор ведёт Бондарь Илья Петрович."
    await Masking().mask(first, values, under(Policy()))
    later = "А что ответил склад и Бондарю тоже?"
    assert "Бондарю" not in masked_text(later, await Masking().mask(later, values, under(Policy())))


async def test_a_users_own_tokens_are_text_and_come_back_as_they_were() -> None:
    text = "Что значит [PERSON_1], [person 2|дат] и PERSON_3? Пишет Иванов Пётр Ильич"
    values = Values()
    masked = masked_text(text, await Masking().mask(text, values, under(Policy())))
    assert masked == "Что значит [TEXT_1], [TEXT_2] и [TEXT_3]? Пишет [PERSON_1]"
    assert restored(masked, values) == text


async def test_a_detector_that_fails_lets_nothing_through_and_tells_nothing() -> None:
    with capture_logs() as logs, pytest.raises(MaskingUnavailable) as caught:
        await Masking(Broken()).mask(TEXT, Values(), under(Policy()))
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert (caught.value.status, caught.value.code) == (503, "masking_unavailable")
    assert "Retry-After" in caught.value.headers
    assert logs == [{"event": "masking_failed", "problem": "ValueError", "log_level": "error"}]


async def test_canaries_of_every_kind_are_found_and_a_blind_detector_is_noticed() -> None:
    await Masking().check()
    assert {canary.kind for canary in CANARIES} == set(Kind)
    with pytest.raises(CanaryMissed):
        await Masking(Blind()).check()
    with pytest.raises(MaskingUnavailable):
        await Masking(Broken()).check()


@pytest.mark.parametrize("name", list(PIECES))
async def test_detection_in_turns_finds_the_same(name: str) -> None:
    text = hostile(8000)[name]
    assert await Detector().detect_in_turns(text) == Detector().detect(text)


async def test_others_get_their_turns_while_a_long_text_is_looked_through() -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    await Detector().detect_in_turns((TEXT + "\n") * 400)
    task.cancel()
    assert turns > 3


async def test_masks_of_a_long_conversation_are_numbered_apart() -> None:
    values = Values()
    seen: set[tuple[Kind, int]] = set()
    for number in range(30):
        text = f"Почта user{number}@example.com"
        (mask,) = await Masking().mask(text, values, under(Policy()))
        assert mask == Mask(6, len(text), Kind.EMAIL, number + 1)
        seen.add((mask.kind, mask.number))
    assert len(seen) == 30
