"""What is held for an answer, how many answers a user may have open, and how much of the balance is theirs."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from decimal import Decimal

import httpx
import pytest
import pytest_asyncio

from b2b_chat.contract.schemas import Usage
from b2b_chat.product.credits.invariants import verify_ledger
from support.database.world import Person, World
from support.gateway.fake import FakeGateway, Gate, answering
from support.product.app import Client, client_of, error_of, served_product

PER_TOKEN = Decimal("0.0016")
LONGEST, SHORTEST, USUAL = 4096, 256, 1024
PROMPT = Decimal("0.01")
"""More than the prompt "Hello" costs, with the margin for a miscount."""
RULES = {"chat_open_answers_per_user": 8, "chat_user_hold_percent": 50}
ENDS = """
    UPDATE accounts SET recent_completion_tokens = $2 WHERE company_id = $1
"""


@pytest_asyncio.fixture(scope="module")
async def product_url(database_url: str, module_gateway: FakeGateway) -> AsyncIterator[str]:
    """A product with the limits of a user that it has unless told otherwise."""
    async with served_product(database_url, module_gateway.url, **RULES) as url:
        yield url


async def hold_for(world: World, url: str, gateway: FakeGateway, person: Person) -> tuple[Decimal, int]:
    """Send a message: what is held for it, and how long its answer may be."""
    async with client_of(url, person) as client:
        await client.ask()
    hold = (await world.holds(person))[-1]
    return hold["amount_credits"], gateway.calls[-1].request.max_completion_tokens


async def open_answers(client: Client, gateway: FakeGateway, number: int) -> list[asyncio.Task[httpx.Response]]:
    """Send messages whose answers stay open."""
    before = len(gateway.calls)
    sending = [asyncio.create_task(client.send()) for _ in range(number)]
    if number:
        await gateway.call(before + number)
    return sending


class TestItFollowsWhatAnswersCost:
    async def test_a_company_with_few_answers_has_the_usual_held(
        self, world: World, product_url: str, gateway: FakeGateway
    ) -> None:
        held, length = await hold_for(world, product_url, gateway, await world.person(balance="6"))
        assert USUAL * PER_TOKEN < held < USUAL * PER_TOKEN + PROMPT
        assert length >= USUAL

    @pytest.mark.parametrize(
        ("lengths", "expected"),
        [
            ([40] * 100, SHORTEST),
            ([400] * 100, 800),
            ([40] * 98 + [400] * 2, 800),
            ([40] * 99 + [4000], SHORTEST),
            ([400] * 19, USUAL),
            ([400] * 20, 800),
            ([None] * 30 + [400] * 20, 800),
            ([4000] * 100, 3750),
        ],
        ids=["short", "even", "two in a hundred", "one in a hundred", "too few", "enough", "gaps", "all that is free"],
    )
    async def test_it_is_twice_the_99th_percentile_and_within_bounds(
        self, world: World, product_url: str, gateway: FakeGateway, lengths: list[int], expected: int
    ) -> None:
        person = await world.person(balance="6")
        await world.rows(ENDS, person.company_id, lengths)
        held, length = await hold_for(world, product_url, gateway, person)
        least = expected * PER_TOKEN
        if least > Decimal("5.9"):
            assert held == 6
        elif least < Decimal("1.2"):
            assert held == Decimal("1.2")  # a fifth of what is free
        else:
            assert least <= held < least + PROMPT
        assert length >= expected - 10

    @pytest.mark.parametrize("balance", ["50", "1000"])
    async def test_where_credits_are_not_scarce_an_answer_may_be_the_longest(
        self, world: World, product_url: str, gateway: FakeGateway, balance: str
    ) -> None:
        person = await world.person(balance=balance)
        await world.rows(ENDS, person.company_id, [40] * 100)
        held, length = await hold_for(world, product_url, gateway, person)
        assert length == LONGEST
        assert LONGEST * PER_TOKEN < held < LONGEST * PER_TOKEN + PROMPT

    async def test_six_credits_are_many_answers_at_once(
        self, world: World, product_url: str, gateway: FakeGateway
    ) -> None:
        person = await world.person(balance="6")
        await world.rows(ENDS, person.company_id, [60] * 100)
        colleagues = [person, *[await world.person(company_id=person.company_id) for _ in range(11)]]
        gateway.reply = gate = Gate()
        async with AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(client_of(product_url, each)) for each in colleagues]
            sending = [asyncio.create_task(client.send()) for client in clients]
            await gateway.call(9)
            await world.check_books()
            gate.open()
            codes = Counter(response.status_code for response in await asyncio.gather(*sending))
        assert codes[200] >= 9
        assert codes[200] + codes[402] == 12
        await world.check_books()

    async def test_the_last_hundred_answers_that_came_to_their_end_are_remembered(
        self, world: World, product_url: str, gateway: FakeGateway
    ) -> None:
        person = await world.person()
        await world.rows(ENDS, person.company_id, [7] * 100)
        async with client_of(product_url, person) as client:
            for tokens in (300, 400):
                gateway.reply = answering(usage=Usage(11, tokens, 11 + tokens))
                await client.ask()
            gateway.reply = Gate("Once upon")
            async with client.streaming() as events:
                answer_id = (await anext(events)).data["assistant_message_id"]
                await anext(events)
                await client.http.post(f"/v1/chat/{answer_id}/stop")
        kept = (await world.account(person))["recent_completion_tokens"]
        assert Counter(kept) == {7: 98, 300: 1, 400: 1}
        assert await verify_ledger(world.database) == []


class TestOpenAnswersOfAUser:
    async def test_one_more_is_refused_until_one_has_ended(
        self, world: World, product_url: str, gateway: FakeGateway
    ) -> None:
        person = await world.person()
        colleague = await world.person(company_id=person.company_id)
        gateway.reply = Gate()
        async with client_of(product_url, person) as client, client_of(product_url, colleague) as other:
            running = await open_answers(client, gateway, 8)
            refused = await client.send(stream=True)
            assert error_of(refused) == (429, "too_many_open_answers")
            assert refused.json()["detail"]["retryable"] is True
            assert int(refused.headers["retry-after"]) > 0
            assert len(await world.messages(person)) == 16
            theirs = await open_answers(other, gateway, 1)
            answer = (await world.messages(person))[-1]["id"]
            await client.http.post(f"/v1/chat/{answer}/stop")
            running += await open_answers(client, gateway, 1)
            assert error_of(await client.send()) == (429, "too_many_open_answers")
            await world.check_books()
            gateway.reply.open()
            await asyncio.gather(*running, *theirs)
        await world.check_books()

    async def test_a_retry_is_one_more_too(self, world: World, product_url: str, gateway: FakeGateway) -> None:
        person = await world.person()
        async with client_of(product_url, person) as client:
            gateway.reply = answering("")
            await client.send(client_message_id="same")
            gateway.reply = gate = Gate()
            running = await open_answers(client, gateway, 8)
            assert error_of(await client.send(client_message_id="same")) == (429, "too_many_open_answers")
            gate.open()
            await asyncio.gather(*running)
            assert (await client.ask(client_message_id="same"))["status"] == "completed"
        await world.check_books()

    async def test_the_number_is_exact_over_processes_that_send_at_once(
        self, world: World, database_url: str, product_url: str, gateway: FakeGateway
    ) -> None:
        person = await world.person()
        gateway.reply = gate = Gate()
        async with (
            served_product(database_url, gateway.url, **RULES) as second_url,
            client_of(product_url, person) as first,
            client_of(second_url, person) as second,
        ):
            sending = [
                asyncio.create_task(client.send(client_message_id=f"{place}-{number}"))
                for number in range(20)
                for place, client in enumerate((first, second))
            ]
            done: set[asyncio.Task[httpx.Response]] = set()
            async with asyncio.timeout(20):
                while len(done) < 32:
                    done, _ = await asyncio.wait(sending, return_when=asyncio.FIRST_COMPLETED, timeout=0.2)
            assert {error_of(task.result()) for task in done} == {(429, "too_many_open_answers")}
            assert len(done) == 32
            gate.open()
            answers = await asyncio.gather(*sending)
        assert Counter(answer.status_code for answer in answers) == {200: 8, 429: 32}
        await world.check_books()


class TestAMembersShare:
    async def test_one_members_slow_answers_leave_half_to_the_others(
        self, world: World, product_url: str, gateway: FakeGateway
    ) -> None:
        person = await world.person(balance="6")
        colleague = await world.person(company_id=person.company_id)
        gateway.reply = gate = Gate()
        async with client_of(product_url, person) as client, client_of(product_url, colleague) as other:
            running = await open_answers(client, gateway, 1)
            running += await open_answers(client, gateway, 1)  # its hold is what is left of the half
            assert error_of(await client.send()) == (402, "credits_held")
            held = (await world.account(person))["held_credits"]
            assert held <= 3
            running += await open_answers(other, gateway, 1)
            gate.open()
            assert [(await answer).status_code for answer in running] == [200] * 3
        await world.check_books()

    async def test_who_is_alone_may_use_all(self, world: World, product_url: str, gateway: FakeGateway) -> None:
        person = await world.person(balance="6")
        gateway.reply = gate = Gate()
        async with client_of(product_url, person) as client:
            running = await open_answers(client, gateway, 3)
            assert (await world.account(person))["held_credits"] > 4
            gate.open()
            await asyncio.gather(*running)
        await world.check_books()

    async def test_one_answer_may_always_use_what_is_free(
        self, world: World, product_url: str, gateway: FakeGateway
    ) -> None:
        person = await world.person(balance="0.5")
        await world.person(company_id=person.company_id)
        held, length = await hold_for(world, product_url, gateway, person)
        assert held == Decimal("0.5")
        assert length > SHORTEST
