"""Lists, money, keys and members through both faces of the client."""

from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import uuid4

import pytest

from b2b_chat.product.vocabulary import Scope
from b2b_chat_client import ConnectionFailed, Forbidden, InvalidRequest, NotFound, Page, Unauthenticated
from support.client.faces import Face, face_of
from support.database.world import Person, World
from support.http.serving import free_port


async def test_a_list_is_read_over_its_pages(face: Face) -> None:
    sent = [(await face.send(f"Question {number}")).conversation_id for number in range(5)]
    whole = await face.listed(lambda client: client.conversations.list(page_size=2))
    assert [conversation.id for conversation in whole] == sent[::-1]
    pages: list[Page[object]] = await face.listed(lambda client: client.conversations.list(page_size=2).pages())
    assert [len(page.items) for page in pages] == [2, 2, 1]
    rest = await face.listed(lambda client: client.conversations.list(cursor=pages[0].next_cursor))
    assert rest == whole[2:]
    assert await face.listed(lambda client: client.conversations.list(search="нет такого")) == []


async def test_a_conversation_is_read_renamed_and_erased(face: Face) -> None:
    answer = await face.send("Hello")
    question, stored = await face.listed(lambda client: client.messages.list(answer.conversation_id))
    assert (question.text, question.role, stored.text) == ("Hello", "user", answer.text)
    assert stored.charge_credits == answer.charge_credits
    renamed = await face.called(lambda client: client.conversations.rename(answer.conversation_id, title="Привет"))
    assert renamed.title == "Привет"
    await face.called(lambda client: client.conversations.erase(answer.conversation_id))
    with pytest.raises(NotFound):
        await face.listed(lambda client: client.messages.list(answer.conversation_id))


async def test_money_is_exact_in_ledger_usage_and_balance(kind: str, product_url: str, world: World) -> None:
    admin = await world.person(role="admin")
    async with face_of(kind, admin.api_key, product_url) as face:
        answer = await face.send("Hello")
        today = datetime.now(UTC).date()
        charges = await face.listed(lambda client: client.ledger.list(kind="charge", first_day=date(2026, 1, 1)))
        assert [entry.amount_credits for entry in charges] == [-answer.charge_credits]
        report = await face.called(lambda client: client.usage.company(days=2, last_day=today))
        mine = await face.called(lambda client: client.usage.mine(days=2, last_day=today))
        balance = await face.called(lambda client: client.ledger.balance())
        exported = await face.called(lambda client: client.ledger.export(format="csv"))
    assert report.charge_credits == mine.charge_credits == answer.charge_credits
    assert balance.balance_credits == Decimal(1000) - answer.charge_credits
    assert str(answer.charge_credits) in exported


async def test_a_company_is_administered(kind: str, product_url: str, world: World) -> None:
    admin = await world.person(role="admin")
    colleague = await world.person(company_id=admin.company_id)
    async with face_of(kind, admin.api_key, product_url) as face:
        members = await face.listed(lambda client: client.company.members.list())
        assert {member.user_id for member in members} == {admin.user_id, colleague.user_id}
        blocked = await face.called(lambda client: client.company.members.block(colleague.user_id))
        assert blocked.blocked_at is not None
        invite = await face.called(
            lambda client: client.company.invites.create(email=f"{uuid4().hex}@example.test", role="member")
        )
        assert (invite.state, invite.role) == ("pending", "member")
        await face.called(lambda client: client.company.invites.revoke(invite.id))
        policy = await face.called(lambda client: client.company.masking.get())
        assert policy.in_force["PASSPORT"] in {"off", "mask", "block"}
        preview = await face.called(lambda client: client.company.masking.preview(text="Hello"))
        assert preview.masked_text == "Hello"
        keys = await face.listed(lambda client: client.company.keys.list())
        assert admin.user_id in {key.user_id for key in keys}
        with pytest.raises(Forbidden):
            await face.called(lambda client: client.company.keys.create(name="a key's key", scopes=["chat"]))


async def test_a_refusal_tells_what_it_is(face: Face, kind: str, product_url: str, world: World) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await face.listed(lambda client: client.conversations.list(page_size=1000))
    assert (caught.value.status, caught.value.code, caught.value.param) == (400, "invalid_request", "limit")
    assert caught.value.request_id
    reader = await world.person(scopes=[Scope.READ])
    async with face_of(kind, reader.api_key, product_url) as reading:
        with pytest.raises(Forbidden) as refused:
            await reading.send("Hello")
    assert refused.value.code == "scope_missing"
    async with face_of(kind, "b2b_wrong", product_url) as stranger:
        with pytest.raises(Unauthenticated):
            await stranger.send("Hello")


async def test_what_cannot_be_reached_is_an_error_with_the_messages_id(kind: str, person: Person) -> None:
    async with face_of(kind, person.api_key, f"http://127.0.0.1:{free_port()}", max_retries=1) as face:
        with pytest.raises(ConnectionFailed) as caught:
            await face.send("Hello")
    assert caught.value.client_message_id
    assert not caught.value.was_sent
