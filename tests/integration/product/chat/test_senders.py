"""A `client_message_id` is its sender's own: an API key's, or a person's in all their sessions."""

import asyncio
from uuid import UUID, uuid4

import pytest

from b2b_chat.product.identity.key_form import SHOWN_CHARACTERS, hash_api_key, new_api_key
from support.database.world import Person, World
from support.gateway.fake import FakeGateway, Gate, refusing
from support.product.app import Client, client_of, error_of
from support.product.sessions import session_client

SAME = {"client_message_id": "same"}


async def another_key(world: World, person: Person, *, company_id: UUID | None = None) -> Person:
    """The person with another key, of this or of another company that they belong to."""
    api_key = new_api_key()
    await world.rows(
        "INSERT INTO api_keys (id, company_id, user_id, name, prefix, key_hash, scopes) "
        "SELECT $1, $2, user_id, 'another', $3, $4, scopes FROM api_keys WHERE user_id = $5 LIMIT 1",
        uuid4(),
        company_id or person.company_id,
        api_key[:SHOWN_CHARACTERS],
        hash_api_key(api_key),
        person.user_id,
    )
    return person._replace(api_key=api_key, company_id=company_id or person.company_id)


async def charges(world: World, person: Person) -> int:
    await world.check_books()
    return len(await world.ledger(person)) - 1  # but for the top-up


async def forget_senders(world: World, person: Person) -> None:
    """Make the person's messages such as the release before wrote."""
    await world.rows("UPDATE messages SET sender_id = NULL WHERE user_id = $1", person.user_id)


async def test_two_keys_of_one_person_name_two_messages(
    product_url: str, client: Client, gateway: FakeGateway, world: World, person: Person
) -> None:
    first = await client.ask("One program", **SAME)
    async with client_of(product_url, await another_key(world, person)) as other:
        second = await other.ask("Another program", **SAME)
        assert await other.ask("Another program", **SAME) == second
    again = await client.ask("One program", **SAME)
    assert again == first | {"balance_credits": second["balance_credits"]}
    assert first["user_message_id"] != second["user_message_id"]
    assert len(gateway.calls) == 2
    assert await charges(world, person) == 2


async def test_a_key_and_a_session_name_two_messages_and_sessions_share_theirs(
    product_url: str, client: Client, world: World, person: Person
) -> None:
    by_key = await client.ask(**SAME)
    answers = []
    for _ in range(2):
        async with session_client(product_url, world, person) as http:
            answers.append(await Client(http).ask(**SAME))
    assert answers[0]["user_message_id"] == answers[1]["user_message_id"] != by_key["user_message_id"]
    assert await charges(world, person) == 2


async def test_keys_of_two_companies_name_two_messages(
    product_url: str, client: Client, world: World, person: Person
) -> None:
    second = await world.person()
    await world.rows(
        "INSERT INTO memberships (company_id, user_id, role) VALUES ($1, $2, 'member')",
        second.company_id,
        person.user_id,
    )
    first = await client.ask(**SAME)
    async with client_of(product_url, await another_key(world, person, company_id=second.company_id)) as other:
        assert (await other.ask(**SAME))["user_message_id"] != first["user_message_id"]
    assert (await charges(world, person), await charges(world, second)) == (1, 1)


async def test_one_key_and_one_name_is_one_message_however_many_at_once(
    product_url: str, gateway: FakeGateway, world: World, person: Person
) -> None:
    gateway.reply = gate = Gate("Once ")
    people = [person, await another_key(world, person)]
    async with client_of(product_url, people[0]) as one, client_of(product_url, people[1]) as other:
        asking = [asyncio.create_task(client.ask(**SAME)) for client in (one, other) * 5]
        await gateway.call()
        await asyncio.sleep(0)
        gate.open()
        answers = await asyncio.gather(*asking)
    assert len({answer["user_message_id"] for answer in answers[::2]}) == 1
    assert len({answer["user_message_id"] for answer in answers[1::2]}) == 1
    assert len(gateway.calls) == 2
    assert await charges(world, person) == 2


@pytest.mark.parametrize("has_failed", [False, True])
async def test_a_message_of_the_release_before_is_found_by_each_of_the_persons_keys(
    product_url: str, client: Client, gateway: FakeGateway, world: World, person: Person, *, has_failed: bool
) -> None:
    if has_failed:
        ok, gateway.reply = gateway.reply, refusing("upstream_unavailable")
        assert (await client.send(**SAME)).status_code == 503
        gateway.reply = ok
    else:
        await client.ask(**SAME)
    sent = await world.row("SELECT id FROM messages WHERE user_id = $1 AND role = 'user'", person.user_id)
    await forget_senders(world, person)

    async with client_of(product_url, await another_key(world, person)) as other:
        for sender in (client, other):
            assert (await sender.ask(**SAME))["user_message_id"] == str(sent["id"])
        assert error_of(await other.send("Another text", **SAME)) == (409, "idempotency_conflict")
    assert await charges(world, person) == 1


async def test_a_sessions_message_of_the_release_before_keeps_others_out_while_they_wait(
    world: World, person: Person, client: Client
) -> None:
    """Whatever a look-up has missed, the index lets one of the two be."""
    await client.ask(**SAME)
    await forget_senders(world, person)
    row = await world.row("SELECT * FROM messages WHERE user_id = $1 AND role = 'user'", person.user_id)
    with pytest.raises(Exception, match="uq_messages_client_message_id"):
        await world.rows(
            "INSERT INTO messages (id, company_id, user_id, conversation_id, role, status, client_message_id, "
            "sender_id) VALUES ($1, $2, $3, $4, 'user', 'completed', 'same', $3)",
            uuid4(),
            row["company_id"],
            row["user_id"],
            row["conversation_id"],
        )
