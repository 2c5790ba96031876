"""What crosses the border has no value that is to be hidden, by whatever path it goes; readers get the values back."""

import json
from collections.abc import AsyncIterator
from typing import Final

import msgspec
import pytest
import pytest_asyncio

from b2b_chat.contract.schemas import ChatMessage, ChatResult
from b2b_chat.product.masking.canaries import CANARIES
from b2b_chat.product.masking.kinds import DEFAULTS, Kind
from b2b_chat.product.masking.requests import INSTRUCTION
from support.database.world import Person, World
from support.gateway.fake import (
    EVENTS_HEAD,
    USAGE,
    Call,
    FakeGateway,
    answering,
    delta,
    error_event,
    events,
    final,
    in_turn,
    refusing,
    whole,
)
from support.product.app import Client, client_of, error_of, text_of
from support.telemetry.counts import count

PLANTED: Final = [canary for canary in CANARIES if canary.kind is not Kind.TEXT]
VALUES: Final = [canary.text[canary.start : canary.end] for canary in PLANTED]
TEXT: Final = "\n\n".join(canary.text for canary in PLANTED)
PLAIN_TEXT: Final = "\n\n".join({each.kind: each.text for each in PLANTED if "://" not in each.text}.values())
"""One of each kind: a value comes back as it was written first. And no URLs, which get values only for users' hosts."""
EVERYTHING: Final[dict[str, str]] = {group.value: "mask" for group in DEFAULTS}
NOTHING: Final[dict[str, str]] = {group.value: "off" for group in DEFAULTS}
PATH: Final = "/v1/company/masking"
PERSON: Final = "Иванов Пётр Ильич"


async def echo(call: Call) -> None:
    """Say again what the user said last, as a model does that is asked to; a stream goes a few characters at a time."""
    text = call.request.messages[-1].text
    if not call.request.stream:
        await call.send(whole(200, msgspec.json.encode(ChatResult(text, USAGE))))
        return
    await call.send(EVENTS_HEAD)
    for start in range(0, len(text), 5):
        await call.send_chunk(delta(text[start : start + 5]))
    await call.send_chunk(final(text, USAGE))
    await call.send_chunk(b"")


@pytest_asyncio.fixture
async def person(world: World) -> Person:
    return await world.person(role="admin")


@pytest_asyncio.fixture
async def client(product_url: str, person: Person, gateway: FakeGateway) -> AsyncIterator[Client]:
    gateway.reply = echo
    async with client_of(product_url, person) as client:
        await set_rules(client, EVERYTHING)
        await set_terms(client, ["проект канарейка"])
        yield client


async def set_rules(client: Client, groups: dict[str, str], **kinds: str) -> None:
    version = (await client.http.get(PATH)).json()["version"]
    answer = await client.http.put(PATH, json={"version": version, "groups": groups, "kinds": kinds})
    assert answer.status_code == 200, answer.text


async def set_terms(client: Client, terms: list[str]) -> None:
    version = (await client.http.get(PATH)).json()["terms_version"]
    answer = await client.http.put(f"{PATH}/terms", json={"version": version, "terms": terms, "allowed": []})
    assert answer.status_code == 200, answer.text


def sent(gateway: FakeGateway, number: int = -1) -> list[ChatMessage]:
    return gateway.calls[number].request.messages


def leaked(gateway: FakeGateway) -> list[str]:
    """The planted values that the gateway has got, in whatever call."""
    got = "\n".join(message.text for call in gateway.calls for message in call.request.messages)
    return [value for value in VALUES if value in got]


@pytest.mark.parametrize("stream", [False, True])
async def test_no_value_crosses_and_every_value_comes_back(
    client: Client, gateway: FakeGateway, world: World, person: Person, *, stream: bool
) -> None:
    before = count("product_masked_values_total", kind="EMAIL")
    if stream:
        read = await client.stream(PLAIN_TEXT)
        assert text_of(read) == read[-1].data["text"] == PLAIN_TEXT
    else:
        assert (await client.ask(PLAIN_TEXT))["text"] == PLAIN_TEXT
    assert leaked(gateway) == []
    assert sent(gateway)[0] == ChatMessage("system", INSTRUCTION)
    question, answer = await world.messages(person)
    assert question["text"] == answer["text"] == PLAIN_TEXT
    assert {mask[2] for mask in json.loads(question["masks"])} >= {canary.kind for canary in PLANTED}
    assert json.loads(answer["masks"]) == json.loads(question["masks"])
    assert question["masked_by"] == answer["masked_by"]
    assert count("product_masked_values_total", kind="EMAIL") > before
    await client.ask(TEXT)
    assert leaked(gateway) == []
    await world.check_books()


async def test_a_planted_leak_is_found(client: Client, gateway: FakeGateway) -> None:
    await set_rules(client, NOTHING)
    await client.ask(TEXT)
    assert leaked(gateway) == VALUES


async def test_history_crosses_by_the_masks_that_are_stored(client: Client, gateway: FakeGateway) -> None:
    conversation = (await client.ask(f"{TEXT}\n\n{PERSON}"))["conversation_id"]
    first = sent(gateway)
    again = await client.ask("Напишите Иванову и Ветрову ещё раз", conversation_id=conversation)
    assert again["text"] == "Напишите Иванову и Ветрову ещё раз"
    assert leaked(gateway) == []
    assert sent(gateway)[:2] == first
    assert sent(gateway)[2].text == first[1].text  # the answer is masked as the question was
    assert "Иванову" not in sent(gateway)[3].text
    assert "Ветрову" not in sent(gateway)[3].text


@pytest.mark.parametrize("stream", [False, True])
async def test_a_retry_sends_the_same_bytes(client: Client, gateway: FakeGateway, *, stream: bool) -> None:
    gateway.reply = refusing("upstream_failed")
    body = client.message(TEXT, stream=stream)
    await client.http.post("/v1/chat", json=body)
    gateway.reply = echo
    assert (await client.http.post("/v1/chat", json=body)).status_code == 200
    assert leaked(gateway) == []
    assert sent(gateway, 0) == sent(gateway, -1)


async def test_an_answer_that_is_begun_anew_is_restored_from_its_own_beginning(
    client: Client, gateway: FakeGateway, world: World, person: Person
) -> None:
    begun = events(delta("Вот [PERS"), error_event("upstream_truncated"))
    gateway.reply = in_turn(begun, answering("Это [PERSON_1]."))
    read = await client.stream(PERSON, restart=True)
    restarts = [place for place, event in enumerate(read) if event.name == "restart"]
    assert len(restarts) == 1
    assert text_of(read[restarts[0] :]) == read[-1].data["text"] == f"Это {PERSON}."
    (_, answer) = await world.messages(person)
    assert answer["text"] == f"Это {PERSON}."
    assert json.loads(answer["masks"]) == [[4, 4 + len(PERSON), "PERSON", 1]]


async def test_a_stopped_answer_keeps_what_was_held_back(
    client: Client, gateway: FakeGateway, world: World, person: Person
) -> None:
    gateway.reply = events(delta("Это [PERSON_1] и "), delta("[PERS"), end=False)
    async with client.streaming(PERSON) as streamed:
        start, _ = await anext(streamed), await anext(streamed)
        stopped = await client.http.post(f"/v1/chat/{start.data['assistant_message_id']}/stop")
    assert stopped.json()["text"] in {f"Это {PERSON} и ", f"Это {PERSON} и [PERS"}
    (_, answer) = await world.messages(person)
    assert answer["text"] == stopped.json()["text"]
    assert json.loads(answer["masks"]) == [[4, 4 + len(PERSON), "PERSON", 1]]
    gateway.reply = echo
    await client.ask("Дальше", conversation_id=stopped.json()["conversation_id"])
    assert PERSON not in str(sent(gateway))
    await world.check_books()


async def test_a_policy_that_is_switched_on_holds_for_what_was_said_before(
    client: Client, gateway: FakeGateway, world: World, person: Person
) -> None:
    await set_rules(client, NOTHING)
    conversation = (await client.ask(TEXT))["conversation_id"]
    assert [(row["masks"], row["masked_by"]) for row in await world.messages(person)] == [(None, None)] * 2
    await set_rules(client, EVERYTHING)
    gateway.forget()
    gateway.reply = echo
    await client.ask("Дальше", conversation_id=conversation)
    assert leaked(gateway) == []
    rows = await world.messages(person)
    assert len({row["masked_by"] for row in rows}) == 1
    assert all(json.loads(row["masks"]) for row in rows[:2])
    await set_rules(client, NOTHING)
    await client.ask("Ещё", conversation_id=conversation)
    assert leaked(gateway) == VALUES


async def test_new_words_of_the_company_hold_for_what_was_said_before(client: Client, gateway: FakeGateway) -> None:
    conversation = (await client.ask(f"Кречет и {PERSON}"))["conversation_id"]
    assert "Кречет" in sent(gateway)[-1].text
    await set_terms(client, ["кречет"])
    await client.ask("Дальше", conversation_id=conversation)
    assert [message.text for message in sent(gateway)[1:]] == ["[TERM_1] и [PERSON_1]"] * 2 + ["Дальше"]


async def test_where_the_policy_is_off_everything_is_as_without_masking(
    client: Client, gateway: FakeGateway, world: World, person: Person
) -> None:
    await set_rules(client, NOTHING)
    gateway.reply = answering("[PERSON_1] и PERSON_1")
    read = await client.stream(PERSON)
    assert text_of(read) == "[PERSON_1] и PERSON_1"
    assert sent(gateway) == [ChatMessage("user", PERSON)]
    assert {row["masks"] for row in await world.messages(person)} == {None}


async def test_a_blocked_kind_stores_holds_and_sends_nothing(
    client: Client, gateway: FakeGateway, world: World, person: Person
) -> None:
    await set_rules(client, EVERYTHING, EMAIL="block")
    refused = await client.send("Пишите на canary@example.com")
    assert error_of(refused) == (422, "personal_data_blocked")
    assert "EMAIL (1)" in refused.text
    assert "canary" not in refused.text
    assert gateway.calls == []
    assert await world.messages(person) == []
    assert await world.holds(person) == []
    await set_rules(client, EVERYTHING)
    conversation = (await client.ask("Пишите на canary@example.com"))["conversation_id"]
    await set_rules(client, EVERYTHING, EMAIL="block")
    await client.ask("Дальше", conversation_id=conversation)  # it was said before it was blocked: it is hidden
    assert leaked(gateway) == []


async def test_without_known_rules_nothing_is_stored_held_or_sent_and_the_same_id_works_later(
    client: Client, gateway: FakeGateway, world: World, person: Person
) -> None:
    body = client.message(PERSON)
    good = '{"groups": {}, "kinds": {}}'
    for policy in ('{"kinds": {"AURA": "mask"}}', good):
        await world.rows(
            "UPDATE masking_policies SET policy = $2::jsonb WHERE company_id = $1", person.company_id, policy
        )
        answer = await client.http.post("/v1/chat", json=body)
        if policy == good:
            assert answer.json()["text"] == PERSON
            return
        assert error_of(answer) == (503, "masking_unavailable")
        assert answer.headers["retry-after"]
        assert answer.json()["detail"]["retryable"] is True
        assert gateway.calls == []
        assert await world.messages(person) == []
        assert await world.holds(person) == []


async def test_masks_that_are_not_those_of_their_text_are_made_anew(
    client: Client, gateway: FakeGateway, world: World, person: Person
) -> None:
    conversation = (await client.ask(PERSON))["conversation_id"]
    await world.rows("UPDATE messages SET masks = '[[0, 999, \"PERSON\", 1]]' WHERE user_id = $1", person.user_id)
    await client.ask("Дальше", conversation_id=conversation)
    assert [message.text for message in sent(gateway)[1:]] == ["[PERSON_1]", "[PERSON_1]", "Дальше"]


async def test_a_question_that_is_tried_again_late_names_nobody_else(client: Client, gateway: FakeGateway) -> None:
    """It was numbered before the one that overtook it; sent together, each has a number of its own."""
    conversation = (await client.ask("Здравствуйте"))["conversation_id"]
    gateway.reply = refusing("upstream_failed")
    late = client.message(f"Пишет {PERSON}", conversation_id=conversation)
    await client.http.post("/v1/chat", json=late)
    gateway.reply = echo
    await client.ask("Пишет Сидорова Анна Олеговна", conversation_id=conversation)
    assert (await client.http.post("/v1/chat", json=late)).json()["text"] == f"Пишет {PERSON}"
    both = "Ответьте: Иванову Петру Ильичу и Сидоровой Анне Олеговне"
    gateway.reply = answering("[PERSON_1], [PERSON_2]")
    answer = await client.ask(both, conversation_id=conversation)
    names = {message.text for message in sent(gateway) if message.text.startswith("Пишет")}
    assert names == {"Пишет [PERSON_1]", "Пишет [PERSON_2]"}
    assert set(answer["text"].split(", ")) == {PERSON, "Сидорова Анна Олеговна"}


async def test_a_users_own_token_is_nobodys(client: Client, gateway: FakeGateway) -> None:
    answer = await client.ask(f"{PERSON} и [PERSON_1]")
    assert sent(gateway)[-1].text == "[PERSON_1] и [TEXT_1]"
    assert answer["text"] == f"{PERSON} и [PERSON_1]"


async def test_a_foreign_link_gets_no_value(client: Client, gateway: FakeGateway) -> None:
    gateway.reply = answering("[more](https://evil.example/?q=[PERSON_1]) [PERSON_1]", pieces=20)
    read = await client.stream(PERSON)
    assert text_of(read) == f"[more](https://evil.example/?q=[PERSON_1]) {PERSON}"


async def test_an_erased_conversation_keeps_no_masks(client: Client, world: World, person: Person) -> None:
    conversation = (await client.ask(PERSON))["conversation_id"]
    assert (await client.http.delete(f"/v1/conversations/{conversation}")).status_code == 204
    assert [(row["text"], row["masks"]) for row in await world.messages(person)] == [("", None)] * 2


async def test_a_preview_knows_who_was_named_before(client: Client, world: World) -> None:
    conversation = (await client.ask(PERSON))["conversation_id"]
    body = {"text": "Напишите Иванову", "conversation_id": conversation}
    shown = (await client.http.post("/v1/masking/preview", json=body)).json()
    assert shown["counts"] == {"NAME": 1}
    stranger = await world.person()
    async with client_of(str(client.http.base_url), stranger) as other:
        assert error_of(await other.http.post("/v1/masking/preview", json=body)) == (404, "conversation_not_found")


async def test_texts_masked_by_an_older_detector_are_masked_anew_under_the_same_numbers(
    client: Client, gateway: FakeGateway, world: World, person: Person
) -> None:
    """The older detector of this test has missed the address."""
    conversation = (await client.ask(f"{PERSON}, anna@example.com"))["conversation_id"]
    (question, _) = await world.messages(person)
    missed = [mask for mask in json.loads(question["masks"]) if mask[2] == "PERSON"]
    assert len(missed) == 1
    old = f"{question['masked_by'].rpartition('-')[0]}-000000"
    await world.rows("UPDATE messages SET masks = $1::jsonb, masked_by = $2", json.dumps(missed), old)
    await client.ask("Дальше", conversation_id=conversation)
    assert [message.text for message in sent(gateway)[1:]] == ["[PERSON_1], [EMAIL_1]"] * 2 + ["Дальше"]
    rows = await world.messages(person)
    assert {row["masked_by"] for row in rows} == {question["masked_by"]}
    assert json.loads(rows[0]["masks"]) == json.loads(question["masks"])
