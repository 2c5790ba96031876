"""A Hypothesis state machine: sends, retries, stops, crashes and top-ups, against a model of what each must come to."""

import asyncio
from collections.abc import Coroutine
from decimal import Decimal
from typing import Any, ClassVar, TypeVar
from uuid import UUID

import hypothesis
import hypothesis.strategies as st
import pytest_asyncio
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from support.database.world import Person
from support.faults.stack import FaultStack
from support.faults.witness import Sent, Witness
from support.processes.waiting import until

ResultT = TypeVar("ResultT")

SLOW = " [[simulate: tokens=30; tps=30]]"
"""A second: long enough to be stopped or crashed."""
MAX_CRASHES = 2
"""In one run of the machine: each takes the seconds of a start and of a lease."""


class Messages(RuleBasedStateMachine):
    """What clients of two companies do, and what must then be."""

    loop: ClassVar[asyncio.AbstractEventLoop]
    witness: ClassVar[Witness]

    def __init__(self) -> None:
        super().__init__()
        self.people: list[Person] = [self.do(self.witness.world.person(balance="50")) for _ in range(2)]
        self.topped_up: dict[UUID, Decimal] = {person.company_id: Decimal(50) for person in self.people}
        self.messages: list[Sent] = []
        self.crashes = 0
        self.running: list[tuple[Sent, asyncio.Task[Any]]] = []

    def do(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Run in the loop that the proxies live in."""
        return self.loop.run_until_complete(work)

    @property
    def stack(self) -> FaultStack:
        return self.witness.stack

    @rule(who=st.integers(0, 1), stream=st.booleans())
    def send(self, who: int, stream: bool) -> None:
        reply = self.do(self.witness.send(self.people[who], "Hello", stream=stream))
        assert reply.is_answered
        assert reply.sent is not None
        self.messages.append(reply.sent)

    @rule(who=st.integers(0, 1), stream=st.booleans())
    def begin(self, who: int, stream: bool) -> None:
        """Send a message that takes its time, and do not wait for its end."""
        before = set(self.witness.sent)
        task = self.loop.create_task(self.witness.send(self.people[who], "Hello" + SLOW, stream=stream))
        self.do(until(lambda: self._admitted(before)))
        (key,) = set(self.witness.sent) - before
        self.running.append((self.witness.sent[key], task))

    async def _admitted(self, before: set[tuple[UUID, str]]) -> bool:
        new = set(self.witness.sent) - before
        names = [client_message_id for _, client_message_id in new]
        found = await self.witness.world.rows("SELECT FROM messages WHERE client_message_id = ANY($1)", names)
        return bool(found)

    @precondition(lambda self: self.messages)
    @rule(data=st.data())
    def send_again(self, data: st.DataObject) -> None:
        """A message that was answered: the same answer, at no cost."""
        sent = data.draw(st.sampled_from(self.messages))
        answer = sent.answer
        assert answer is not None
        again = self.do(self.witness.send_again(sent)).answer
        assert again is not None
        same = ("status", "text", "charge_credits")
        assert [again[name] for name in same] == [answer[name] for name in same]

    @precondition(lambda self: self.messages)
    @rule(data=st.data())
    def send_another_text_under_its_id(self, data: st.DataObject) -> None:
        sent = data.draw(st.sampled_from(self.messages))
        reply = self.do(self.witness.send_again(sent, {**sent.body, "text": "something else"}))
        assert reply.code == "idempotency_conflict"

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def join(self, data: st.DataObject) -> None:
        """The same message while it is being answered: the same answer."""
        sent, task = data.draw(st.sampled_from(self.running))
        joined = self.do(self.witness.send_again(sent))
        first = self.do(_result(task))
        assert joined.is_answered
        assert joined.answer is not None
        assert not first.is_answered or joined.answer["text"] == first.answer["text"]
        self._ended(sent, task)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def stop(self, data: st.DataObject) -> None:
        sent, task = data.draw(st.sampled_from(self.running))
        if sent.ids is None:
            return  # a client without a stream does not know the answer's name yet
        reply = self.do(self.witness.stop(sent))
        assert reply.answer is not None
        assert reply.answer["status"] in {"stopped", "completed"}
        self.do(_result(task))
        self._ended(sent, task)

    @precondition(lambda self: self.crashes < MAX_CRASHES)
    @rule(part=st.sampled_from(["product", "gateway"]))
    def crash(self, part: str) -> None:
        """A process is killed and started again; what was running is sent again until it is answered."""
        self.crashes += 1
        victim = getattr(self.stack, part)
        victim.kill()
        self.do(victim.start())
        for sent, task in list(self.running):
            self.do(_result(task))
            self.do(self.witness.answer(sent))
            self._ended(sent, task)

    @rule(who=st.integers(0, 1), amount=st.decimals("0.000001", "10", places=6))
    def top_up(self, who: int, amount: Decimal) -> None:
        company_id = self.people[who].company_id
        self.do(self.witness.world.top_up(company_id, str(amount)))
        self.topped_up[company_id] += amount

    @invariant()
    def balances_are_as_modelled(self) -> None:
        """What was put in, less the costs that clients saw; running answers may have ended by now."""
        for person in self.people:
            balance = self.do(self.witness.balance(person))
            assert balance is not None
            told = [
                Decimal(sent.answer["charge_credits"])
                for sent in self.messages
                if sent.person == person and sent.answer is not None
            ]
            expected = self.topped_up[person.company_id] - sum(told)
            if any(sent.person == person for sent, _ in self.running):
                assert balance["balance_credits"] <= expected
            else:
                assert (balance["balance_credits"], balance["held_credits"]) == (expected, Decimal(0))

    def teardown(self) -> None:
        for sent, task in list(self.running):
            self.do(_result(task))
            self.do(self.witness.answer(sent))
        self.do(self.witness.check())
        self.witness.sent.clear()

    def _ended(self, sent: Sent, task: asyncio.Task[Any]) -> None:
        if sent.answer is None:
            self.do(self.witness.answer(sent))
        self.messages.append(sent)
        self.running = [(other, its) for other, its in self.running if its is not task]


async def _result(task: asyncio.Task[ResultT]) -> ResultT:
    return await task


@pytest_asyncio.fixture(loop_scope="session")
async def stack_loop() -> asyncio.AbstractEventLoop:
    """The loop that the proxies live in, which stands still while a synchronous test runs."""
    return asyncio.get_running_loop()


def test_messages_against_a_model(
    witness: Witness, stack_loop: asyncio.AbstractEventLoop, seed: int, *, is_long: bool
) -> None:
    machine = type("MessagesOfThisCase", (Messages,), {"loop": stack_loop, "witness": witness})
    run_state_machine_as_test(
        hypothesis.seed(seed)(machine),
        settings=settings(
            max_examples=60 if is_long else 3,
            stateful_step_count=20 if is_long else 8,
            deadline=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
            database=None,
            print_blob=True,
        ),
    )
