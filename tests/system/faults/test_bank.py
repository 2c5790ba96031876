"""A bank of companies under random kills: at no moment does a reader see a wrong total."""

import asyncio
import random
import time
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import asyncpg

from support.database.world import Person
from support.faults.stack import FaultStack
from support.faults.witness import Sent, Witness

COMPANIES: Final = 8
CLIENTS_OF_EACH: Final = 2
SHORT_MESSAGES: Final = 320
LONG_MESSAGES: Final = 10_000
START_CREDITS: Final = Decimal(1000)

# One statement is one snapshot: whatever runs beside it, these agree, always.
TOTALS: Final = """
    SELECT accounts.company_id, balance_credits, held_credits,
           (SELECT COALESCE(sum(amount_credits), 0) FROM ledger WHERE company_id = accounts.company_id) AS entries,
           (SELECT COALESCE(sum(amount_credits), 0) FROM holds
            WHERE company_id = accounts.company_id AND state = 'live') AS holds
    FROM accounts WHERE company_id = ANY($1)
"""


@dataclass
class Books:
    """What readers have seen."""

    snapshots: int = 0
    balances: dict[UUID, list[Decimal]] = field(default_factory=dict)
    """As the product reported them, by company, in order."""
    wrong: list[str] = field(default_factory=list)
    kills: list[str] = field(default_factory=list)


async def _chat(witness: Witness, person: Person, messages: int) -> None:
    """One client: sends message after message, some twice, until each is answered."""
    conversation_id: str | None = None
    for _ in range(messages):
        fields: dict[str, Any] = (
            {"conversation_id": conversation_id} if conversation_id and witness.rng.random() < 0.5 else {}
        )
        text = f"Hello [[simulate: tokens={witness.rng.randint(1, 40)}]]"
        sending = [await witness.send(person, text, **fields)]
        sent = sending[0].sent
        assert sent is not None
        if witness.rng.random() < 0.1:
            await asyncio.gather(witness.send_again(sent), witness.send_again(sent))
        answer = await witness.answer(sent)
        conversation_id = answer.get("conversation_id") or conversation_id
        _forget_texts(sent)


def _forget_texts(sent: Sent) -> None:
    """Ten thousand answers need not be kept: the charge is."""
    assert sent.answer is not None
    sent.answer = {name: sent.answer[name] for name in ("status", "text", "charge_credits")}


async def _read(witness: Witness, people: list[Person], books: Books) -> None:
    """A reader: balances by the product, and totals by one snapshot of the database."""
    companies = [person.company_id for person in people]
    while True:
        for person in people:
            if balance := await witness.balance(person):
                books.balances.setdefault(person.company_id, []).append(balance["balance_credits"])
                if not 0 <= balance["held_credits"] <= balance["balance_credits"]:
                    books.wrong.append(f"{person.company_id}: {balance}")
        try:
            rows = await witness.world.rows(TOTALS, companies)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            rows = []  # PostgreSQL was stopped just now
        books.snapshots += bool(rows)
        books.wrong += [str(row) for row in rows if not _is_right(row)]
        await asyncio.sleep(0.05)


def _is_right(row: dict[str, Decimal]) -> bool:
    return row["balance_credits"] == row["entries"] and row["held_credits"] == row["holds"]


async def _sabotage(stack: FaultStack, rng: random.Random, books: Books) -> None:
    """Kill, stop and cut at random; each thing is up again soon."""
    while True:
        await asyncio.sleep(rng.uniform(0.5, 3))
        victim = rng.choice(["product", "gateway", "postgres", "client_line", "gateway_line", "database_line"])
        books.kills.append(victim)
        if victim == "postgres":
            stack.postgres.stop_immediately()
            await asyncio.sleep(rng.uniform(0, 0.5))
            stack.postgres.start()
        elif victim.endswith("_line"):
            getattr(stack, victim).drop_all(reset=True)
        else:
            part = getattr(stack, victim)
            part.kill()
            await part.start()


async def test_never_a_wrong_total(witness: Witness, stack: FaultStack, rng: random.Random, *, is_long: bool) -> None:
    messages = LONG_MESSAGES if is_long else SHORT_MESSAGES
    owners = [await witness.world.person(balance=str(START_CREDITS)) for _ in range(COMPANIES)]
    clients = [
        await witness.world.person(company_id=owner.company_id) for owner in owners for _ in range(CLIENTS_OF_EACH)
    ]
    books = Books()
    started_at = time.monotonic()
    reading = asyncio.create_task(_read(witness, owners, books))
    sabotage = asyncio.create_task(_sabotage(stack, rng, books))
    try:
        await asyncio.gather(*[_chat(witness, client, messages // len(clients)) for client in clients])
    finally:
        for task in (sabotage, reading):
            task.cancel()
        await asyncio.wait({sabotage, reading})
    assert sabotage.cancelled()
    assert reading.cancelled()
    await stack.heal()
    print(  # noqa: T201 - the figures are the point
        f"{messages} messages of {len(clients)} clients in {time.monotonic() - started_at:.0f} s, {len(books.kills)} "
        f"kills, {books.snapshots} snapshots, {sum(map(len, books.balances.values()))} balances read, "
        f"{len(books.wrong)} wrong"
    )
    assert books.wrong == []
    assert books.snapshots
    for owner in owners:
        await _check_company(witness, owner, books.balances.get(owner.company_id, []))


async def _check_company(witness: Witness, owner: Person, seen: list[Decimal]) -> None:
    """Check that every charge reached a client, and that every balance seen is one that the ledger passed through."""
    ledger = await witness.world.ledger(owner)
    told = [
        Decimal(sent.answer["charge_credits"])
        for sent in witness.sent.values()
        if sent.answer is not None and sent.person.company_id == owner.company_id
    ]
    account = await witness.world.account(owner)
    assert account["balance_credits"] == START_CREDITS - sum(told)
    assert len(ledger) == 1 + len(told)
    assert set(seen) <= {entry["balance_after_credits"] for entry in ledger}
    assert seen == sorted(seen, reverse=True), "a balance was seen to rise"
