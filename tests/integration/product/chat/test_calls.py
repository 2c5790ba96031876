"""Calls that bring their own context, options and tools: what crosses, what is answered, and what it costs."""

import asyncio
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any, Final

import msgspec
import pytest
import pytest_asyncio

from b2b_chat.contract.content import ToolCall, ToolCallPiece, joined_calls
from b2b_chat.contract.options import ChatOptions
from b2b_chat.contract.schemas import ChatMessage, ChatResult, FinishReason
from b2b_chat.contract.sse import encode
from b2b_chat.product.chat.answer_log import AnswerLog
from b2b_chat.product.chat.calls import OptionsUnsupported
from b2b_chat.product.chat.events import events_of
from b2b_chat.product.chat.failures import AnswerCut, MessageRejected
from b2b_chat.product.chat.orders import order_of_call
from b2b_chat.product.chat.refusals import IdempotencyConflict
from b2b_chat.product.chat.schemas import ChatAnswer
from b2b_chat.product.limits.service import Counted
from b2b_chat.product.masking.call_texts import Call
from b2b_chat.product.masking.policy import StoredPolicies
from b2b_chat.product.masking.refusals import UnmaskableContent
from b2b_chat.product.services import Services, opened, services_of
from b2b_chat.product.viewer import Viewer
from support.database.world import Person, World
from support.gateway import fake
from support.gateway.fake import USAGE, FakeGateway, answering, error_event, events, in_turn, whole
from support.product.app import product_settings

PERSON: Final = "Иванов Пётр Ильич"
FIRM: Final = 'ПАО "Ромашка"'
FIND: Final = {"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}}
IMAGE: Final = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
USER: Final = {"role": "user", "content": f"Найди: {PERSON}"}
ARGUMENTS: Final = '{"who":"[PERSON_1]"}'
RESTORED: Final = '{"who":"' + PERSON + '"}'


def piece(*pieces: ToolCallPiece) -> bytes:
    """`event: tool_call`."""
    return b"".join(encode(b"tool_call", msgspec.json.encode(each)) for each in pieces)


def called(arguments: str = ARGUMENTS, *, usage: Any = USAGE, reason: FinishReason = "tool_calls") -> bytes:
    """`event: final` of a call."""
    call = msgspec.convert({"id": "call_x", "function": {"name": "find", "arguments": arguments}}, ToolCall)
    return encode(b"final", msgspec.json.encode(ChatResult("", usage, reason, tool_calls=[call])))


def in_pieces(arguments: str, size: int = 5) -> list[ToolCallPiece]:
    """A call in pieces of so many characters."""
    return [
        ToolCallPiece(0, "call_x", "find"),
        *[ToolCallPiece(0, arguments=arguments[at : at + size]) for at in range(0, len(arguments), size)],
    ]


async def pong(call: fake.Call, contract: int) -> None:
    told = {"version": "0", "model": "gpt-5.2", "server_time": 1, "contract": contract}
    await call.send(whole(200, json.dumps(told).encode()))


def of_contract(contract: int, reply: fake.Reply) -> fake.Reply:
    """A gateway of this contract."""

    async def answer(call: fake.Call) -> None:
        await (reply(call) if call.body else pong(call, contract))

    return answer


@pytest_asyncio.fixture
async def services(database_url: str, gateway: FakeGateway) -> AsyncIterator[Services]:
    services = services_of(product_settings(database_url, gateway.url))
    async with opened(services):
        yield services


async def uncounted() -> Counted:
    """Admit a call that no limit counts."""

    async def take_back() -> None:
        pass

    return Counted({}, take_back)


class Caller:
    """Sends calls as one person."""

    def __init__(self, services: Services, person: Person, policy: dict[str, Any] | None = None) -> None:
        self.services = services
        self.viewer = Viewer(
            user_id=person.user_id,
            via="api_key",
            credential_id=person.user_id,
            acting_in=person.company_id,
            obstacle=None,
            role=None,
            scopes=frozenset(),
            is_operator=False,
            masking=StoredPolicies(json.dumps(policy or {}), None, None, 0),
        )

    async def send(self, *messages: Any, id_: str = "a", stream: bool = True, **options: Any) -> AnswerLog:
        """Send a call, and return the log of its answer."""
        call = Call(msgspec.convert(list(messages or [USER]), list[ChatMessage]), msgspec.convert(options, ChatOptions))
        order = order_of_call(self.viewer.company_id, id_, call)
        return (await self.services.chat.send_call(self.viewer, order, stream=stream, admit=uncounted)).log

    async def ask(self, *messages: Any, **options: Any) -> tuple[AnswerLog, ChatAnswer]:
        """Send a call that must be answered."""
        log = await self.send(*messages, **options)
        log.attach()
        answer = await log.ended()
        while log.successor is not None:
            log = log.successor
        return log, answer


@pytest.fixture
def caller(services: Services, person: Person) -> Caller:
    return Caller(services, person)


def arguments_of(calls: Any) -> list[str]:
    return [call.function.arguments for call in calls]


async def check_one_charge(world: World, person: Person) -> None:
    assert len(await world.ledger(person)) == 2  # the top-up and one charge
    assert [hold["state"] for hold in await world.holds(person)] == ["posted"]
    await world.check_books()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 40])
async def test_arguments_are_restored_however_they_are_cut(
    caller: Caller, gateway: FakeGateway, world: World, person: Person, size: int
) -> None:
    gateway.reply = of_contract(3, events(*map(piece, in_pieces(ARGUMENTS, size)), called()))
    log, answer = await caller.ask(tools=[FIND])
    assert arguments_of(joined_calls(log.call_pieces)) == arguments_of(answer.tool_calls) == [RESTORED]
    assert (answer.text, answer.finish_reason, answer.status) == ("", "tool_calls", "completed")
    assert PERSON not in gateway.calls[-1].body.decode()
    assert answer.usage.completion_tokens == USAGE.completion_tokens
    await check_one_charge(world, person)


async def test_a_value_is_restored_as_json_writes_it(caller: Caller, gateway: FakeGateway, person: Person) -> None:
    policy = {"kinds": {"COMPANY": "mask"}}
    by_firms = Caller(caller.services, person, policy)
    firm = {"firm": "[COMPANY_1]"}
    gateway.reply = of_contract(3, events(*map(piece, in_pieces(json.dumps(firm))), called(json.dumps(firm))))
    _, answer = await by_firms.ask({"role": "user", "content": f"Найди {FIRM}"}, tools=[FIND])
    assert json.loads(arguments_of(answer.tool_calls)[0]) == {"firm": FIRM}


async def test_calls_that_come_whole_or_with_the_end_are_told_too(caller: Caller, gateway: FakeGateway) -> None:
    gateway.reply = of_contract(3, events(called()))
    log, answer = await caller.ask(tools=[FIND])
    assert arguments_of(joined_calls(log.call_pieces)) == arguments_of(answer.tool_calls) == [RESTORED]
    body = msgspec.json.encode(msgspec.json.decode(called().split(b"data: ")[1], type=ChatResult))
    gateway.reply = of_contract(3, fake.sending(whole(200, body), hang_up=True))
    log, answer = await caller.ask(tools=[FIND], id_="b", stream=False)
    assert arguments_of(log.tool_calls) == arguments_of(answer.tool_calls) == [RESTORED]


@pytest.mark.parametrize("has_ended_by", [events(*map(piece, in_pieces(ARGUMENTS)[:3])), None])
async def test_a_call_that_breaks_off_is_begun_anew_and_charged_once(
    caller: Caller, gateway: FakeGateway, world: World, person: Person, has_ended_by: fake.Reply | None
) -> None:
    broken = has_ended_by or events(*map(piece, in_pieces(ARGUMENTS)[:3]), error_event("upstream_truncated", "primary"))
    good = events(*map(piece, in_pieces(ARGUMENTS)), called())
    gateway.reply = of_contract(3, in_turn(broken, good))
    log, answer = await caller.ask(tools=[FIND])
    assert log.attempt == 2
    assert arguments_of(joined_calls(log.call_pieces)) == arguments_of(answer.tool_calls) == [RESTORED]
    bodies = [json.loads(call.body) for call in gateway.calls if call.body]
    assert bodies[1].get("avoid_upstream") == (None if has_ended_by else "primary")
    assert {**bodies[1], "avoid_upstream": 0} == {**bodies[0], "avoid_upstream": 0}
    await check_one_charge(world, person)


async def test_a_stopped_call_pays_for_its_arguments(
    caller: Caller, gateway: FakeGateway, world: World, person: Person
) -> None:
    long = '{"text":"' + "word " * 400
    gateway.reply = of_contract(3, events(*map(piece, in_pieces(long, 100)), end=False))
    log = await caller.send(tools=[FIND])
    log.attach()
    while len(log.call_pieces) < 10:
        await log.changed(0, len(log.call_pieces))
    answer = await caller.services.chat.stop(caller.viewer, log.assistant_message_id)
    assert answer.status == "stopped"
    assert 100 < answer.usage.completion_tokens < 500
    assert answer.usage.estimated
    await check_one_charge(world, person)


async def test_tools_schemas_and_images_are_paid_for_in_the_estimate(
    caller: Caller, gateway: FakeGateway, person: Person
) -> None:
    gateway.reply = of_contract(3, answering("Да.", None))
    allowed = Caller(caller.services, person, {"allow_images": True})
    bare = (await allowed.ask())[1].usage.prompt_tokens
    tools = [{"type": "function", "function": {"name": "find", "description": "word " * 500}}]
    assert (await allowed.ask(id_="b", tools=tools))[1].usage.prompt_tokens > bare + 400
    schema = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"description": "word " * 500}}}
    assert (await allowed.ask(id_="c", response_format=schema))[1].usage.prompt_tokens > bare + 400
    seen = {"role": "user", "content": [{"type": "text", "text": USER["content"]}, IMAGE]}
    assert (await allowed.ask(seen, id_="d"))[1].usage.prompt_tokens == bare + 1190


async def test_images_are_refused_unless_the_policy_allows_them(
    caller: Caller, gateway: FakeGateway, world: World, person: Person
) -> None:
    gateway.reply = of_contract(3, answering("Кот."))
    seen = {"role": "user", "content": [{"type": "text", "text": "Кто это?"}, IMAGE]}
    with pytest.raises(UnmaskableContent):
        await caller.send(seen)
    assert gateway.calls == []
    assert await world.holds(person) == []
    off = {"groups": dict.fromkeys(("people", "contacts", "money", "secrets", "requisites", "terms"), "off")}
    policies: list[dict[str, Any]] = [{"allow_images": True}, off]
    for number, policy in enumerate(policies):
        _, answer = await Caller(caller.services, person, policy).ask(seen, id_=str(number))
        assert answer.text == "Кот."


@pytest.mark.parametrize("contract", [1, 2])
async def test_an_old_gateway_gets_the_old_form_or_nothing(
    caller: Caller, gateway: FakeGateway, world: World, person: Person, contract: int
) -> None:
    gateway.reply = of_contract(contract, answering("Да."))
    assert (await caller.ask())[1].text == "Да."
    [call] = gateway.calls  # not even a ping
    assert set(json.loads(call.body)) == {"model", "messages", "stream", "max_completion_tokens", "metadata"}
    with pytest.raises(OptionsUnsupported):
        await caller.send(id_="b", temperature=0.5)
    assert len(await world.holds(person)) == 1
    assert [call.body for call in gateway.calls[1:]] == [b""]
    gateway.reply = of_contract(3, answering("Да."))
    assert (await caller.ask(id_="b", temperature=0.5))[1].text == "Да."
    await world.check_books()


async def test_a_stored_call_is_replayed_as_it_was_answered(
    caller: Caller, gateway: FakeGateway, world: World, person: Person, database_url: str
) -> None:
    gateway.reply = of_contract(3, events(*map(piece, in_pieces(ARGUMENTS)), called()))
    first = (await caller.ask(tools=[FIND]))[1]
    elsewhere = services_of(product_settings(database_url, gateway.url))
    async with opened(elsewhere):
        log, again = await Caller(elsewhere, person).ask(tools=[FIND])
    assert again == first
    assert joined_calls(log.call_pieces) == first.tool_calls
    *_, final = [event async for event in events_of(log)]
    assert json.loads(final.split(b"data: ")[1].split(b"\n")[0])["tool_calls"] == msgspec.to_builtins(first.tool_calls)
    assert len([call for call in gateway.calls if call.body]) == 1
    await check_one_charge(world, person)


async def test_what_no_database_can_store_is_replaced(caller: Caller, gateway: FakeGateway) -> None:
    gateway.reply = of_contract(3, events(*map(piece, in_pieces('{"a":"\0"}')), called('{"a":"\0"}')))
    answer = (await caller.ask(tools=[FIND]))[1]
    assert arguments_of(answer.tool_calls) == ['{"a":"\N{REPLACEMENT CHARACTER}"}']
    assert (await caller.ask(tools=[FIND]))[1] == answer


async def test_a_refusal_is_named_and_stays_one(caller: Caller, gateway: FakeGateway) -> None:
    refusal = encode(b"delta", b'{"text":"No.","refusal":true}')
    end = encode(b"final", msgspec.json.encode(ChatResult("No.", USAGE, refusal=True)))
    gateway.reply = of_contract(3, events(refusal, end))
    log, answer = await caller.ask()
    assert (log.is_refusal, answer.text, answer.refusal) == (True, "No.", True)
    assert (await caller.ask())[1] == answer


async def test_another_option_under_the_same_id_is_another_call(caller: Caller, gateway: FakeGateway) -> None:
    gateway.reply = of_contract(3, answering("Да."))
    first = (await caller.ask(temperature=0.5))[1]
    assert (await caller.ask(temperature=0.5))[1] == first
    for change in ({"temperature": 0.6}, {"temperature": 0.5, "tools": [FIND]}, {}):
        with pytest.raises(IdempotencyConflict):
            await caller.send(**change)


async def test_a_rejected_option_is_named_and_costs_nothing(
    caller: Caller, gateway: FakeGateway, world: World, person: Person
) -> None:
    detail = {"type": "invalid_request_error", "code": "upstream_rejected", "message": "No.", "retryable": False}
    body = json.dumps({"error": {**detail, "param": "temperature"}}).encode()
    gateway.reply = of_contract(3, fake.sending(whole(400, body)))
    log = await caller.send(temperature=0.5)
    with pytest.raises(MessageRejected) as rejected:
        await log.ended()
    assert rejected.value.param == "temperature"
    assert [hold["state"] for hold in await world.holds(person)] == ["voided"]
    await world.check_books()


HOSTILE: Final = {
    "endless arguments": [piece(*in_pieces("a" * 300_000, 100_000)), piece(ToolCallPiece(0, arguments="b" * 900_000))],
    "endless calls": [piece(ToolCallPiece(127, "a", "b")), encode(b"tool_call", b'{"index":128,"id":"a","name":"b"}')],
    "a call without a beginning": [piece(ToolCallPiece(0, arguments="{}"))],
    "a negative index": [encode(b"tool_call", b'{"index":-1}')],
    "no call": [encode(b"tool_call", b"[]")],
}


@pytest.mark.parametrize("parts", HOSTILE.values(), ids=HOSTILE)
async def test_a_hostile_gateway_is_not_believed(
    services: Services, gateway: FakeGateway, world: World, person: Person, parts: list[bytes]
) -> None:
    gateway.reply = of_contract(3, events(*parts, called()))
    log = await Caller(services, person).send(tools=[FIND])
    log.attach()
    with pytest.raises(AnswerCut):
        await log.ended()
    assert {hold["state"] for hold in await world.holds(person)} == {"voided"}
    await world.check_books()


async def test_readers_of_text_alone_are_not_disturbed_by_calls(caller: Caller, gateway: FakeGateway) -> None:
    gateway.reply = of_contract(3, events(*map(piece, in_pieces(ARGUMENTS)), end=False))
    log = await caller.send(tools=[FIND])
    log.attach()
    await log.changed(0, 0)
    waiting = asyncio.create_task(log.changed(0))
    await caller.services.chat.stop(caller.viewer, log.assistant_message_id)
    await waiting
    assert isinstance(log.outcome, ChatAnswer)
    assert log.outcome.charge_credits > Decimal(0)
