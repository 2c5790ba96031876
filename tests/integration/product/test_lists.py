"""Conversations, messages and ledger: whole, and by pages of any size."""

from typing import Any
from uuid import UUID

import pytest

from support.database.world import Person, World
from support.gateway.fake import ANSWER, FakeGateway, refusing
from support.product.app import Client, client_of, error_of

BAD_CURSORS = ["", " ", "x", "-1", "1.5", "٣", "9" * 30, "zz" * 16, "0x10", "null", "\0", "1 OR 1=1", "é" * 300]


async def walk(client: Client, path: str, *, limit: int) -> list[dict[str, Any]]:
    """All items of a list, page by page."""
    items: list[dict[str, Any]] = []
    parameters: dict[str, Any] = {"limit": limit}
    while True:
        response = await client.http.get(path, params=parameters)
        assert response.status_code == 200, response.text
        page = response.json()
        assert set(page) == {"items", "next_cursor"}
        assert len(page["items"]) <= limit
        items += page["items"]
        if page["next_cursor"] is None:
            return items
        assert len(page["items"]) == limit
        parameters["cursor"] = page["next_cursor"]


async def pages_make_the_whole(client: Client, path: str, expected_items: int) -> list[dict[str, Any]]:
    """Walk a list by pages of every size; whatever the size, it is the same list."""
    whole = await walk(client, path, limit=100)
    assert len(whole) == expected_items
    for limit in range(1, expected_items + 2):
        assert await walk(client, path, limit=limit) == whole
    return whole


async def test_conversations_newest_first(client: Client) -> None:
    answers = [await client.ask(f"Thread {number}") for number in range(6)]
    items = await pages_make_the_whole(client, "/v1/conversations", 6)
    assert [item["id"] for item in items] == [answer["conversation_id"] for answer in reversed(answers)]
    assert [item["title"] for item in items] == [f"Thread {number}" for number in reversed(range(6))]
    assert set(items[0]) == {"id", "title", "created_at", "updated_at"}


async def test_messages_oldest_first(client: Client, gateway: FakeGateway) -> None:
    opening = await client.ask("one")
    thread = {"conversation_id": opening["conversation_id"]}
    gateway.reply = refusing("upstream_failed")
    await client.send("two", **thread)
    items = await pages_make_the_whole(client, f"/v1/conversations/{opening['conversation_id']}/messages", 4)
    assert [(item["role"], item["status"], item["text"]) for item in items] == [
        ("user", "completed", "one"),
        ("assistant", "completed", ANSWER),
        ("user", "completed", "two"),
        ("assistant", "error", ""),
    ]
    assert [item["error_code"] for item in items] == [None, None, None, "gateway_unavailable"]
    assert [item["usage"] for item in items] == [None, opening["usage"], None, None]
    assert [items[0]["id"], items[1]["id"]] == [opening["user_message_id"], opening["assistant_message_id"]]
    assert set(items[0]) == {
        "id",
        "role",
        "status",
        "text",
        "client_message_id",
        "usage",
        "charge_credits",
        "cut_by",
        "error_code",
        "finish_reason",
        "created_at",
    }


async def test_ledger_newest_first(client: Client) -> None:
    for _ in range(5):
        await client.ask()
    items = await pages_make_the_whole(client, "/v1/ledger", 6)
    assert [item["position"] for item in items] == [6, 5, 4, 3, 2, 1]
    balance = items[-1]["balance_after_credits"]
    assert balance == "1000.000000"
    assert set(items[0]) >= {
        "position",
        "kind",
        "amount_credits",
        "balance_after_credits",
        "message_id",
        "created_at",
    }


async def test_new_rows_do_not_shift_the_pages_being_read(client: Client) -> None:
    for number in range(4):
        await client.ask(f"Thread {number}")
    first = (await client.http.get("/v1/conversations", params={"limit": 2})).json()
    await client.ask("Thread 4")
    second = (await client.http.get("/v1/conversations", params={"limit": 2, "cursor": first["next_cursor"]})).json()
    titles = [item["title"] for item in first["items"] + second["items"]]
    assert titles == ["Thread 3", "Thread 2", "Thread 1", "Thread 0"]


@pytest.mark.parametrize("cursor", BAD_CURSORS)
@pytest.mark.parametrize("path", ["/v1/conversations", "/v1/ledger", "/v1/conversations/{id}/messages"])
async def test_an_invalid_cursor_is_refused(client: Client, path: str, cursor: str) -> None:
    if "{id}" in path:
        path = path.format(id=(await client.ask())["conversation_id"])
    response = await client.http.get(path, params={"cursor": cursor})
    assert error_of(response) == (400, "invalid_request")


@pytest.mark.parametrize("limit", ["0", "101", "-1", "x", "", "1.5"])
@pytest.mark.parametrize("path", ["/v1/conversations", "/v1/ledger"])
async def test_a_limit_out_of_range_is_refused(client: Client, path: str, limit: str) -> None:
    response = await client.http.get(path, params={"limit": limit})
    assert error_of(response) == (400, "invalid_request")
    assert "limit" in response.json()["detail"]["message"]


async def test_a_cursor_beyond_the_end_gives_an_empty_page(client: Client) -> None:
    assert (await client.http.get("/v1/ledger", params={"cursor": "1"})).json() == {"items": [], "next_cursor": None}
    nothing = str(UUID(int=0))
    assert (await client.http.get("/v1/conversations", params={"cursor": nothing})).json()["items"] == []


class TestTenancy:
    """A second company sees nothing of the first, and neither does a colleague of the person's own threads."""

    @pytest.mark.parametrize("same_company", [False, True])
    async def test_nothing_of_another_can_be_reached(
        self,
        client: Client,
        product_url: str,
        gateway: FakeGateway,
        world: World,
        person: Person,
        same_company: bool,
    ) -> None:
        mine = await client.ask("My secret plan", client_message_id="mine")
        stranger = await world.person(company_id=person.company_id if same_company else None)
        calls = len(gateway.calls)
        async with client_of(product_url, stranger) as other:
            assert (await other.http.get("/v1/conversations")).json()["items"] == []
            messages = await other.http.get(f"/v1/conversations/{mine['conversation_id']}/messages")
            assert error_of(messages) == (404, "conversation_not_found")
            for stream in (False, True):
                sent = await other.send(conversation_id=mine["conversation_id"], stream=stream)
                assert error_of(sent) == (404, "conversation_not_found")
            followed = await other.http.get(f"/v1/chat/{mine['assistant_message_id']}/events")
            assert followed.status_code == 404
            stopped = await other.http.post(f"/v1/chat/{mine['assistant_message_id']}/stop")
            assert stopped.status_code == 404
            assert len(gateway.calls) == calls
            if not same_company:
                ledger = (await other.http.get("/v1/ledger")).json()["items"]
                assert [entry["kind"] for entry in ledger] == ["top_up"]
                assert (await other.http.get("/v1/balance")).json()["balance_credits"] == "1000.000000"
            again = await other.ask("My secret plan", client_message_id="mine")
        assert again["user_message_id"] != mine["user_message_id"]
        assert [message.content for message in gateway.calls[-1].request.messages] == ["My secret plan"]
        await world.check_books()

    async def test_a_cursor_of_another_opens_nothing(self, client: Client, product_url: str, world: World) -> None:
        for number in range(3):
            await client.ask(f"Thread {number}")
        cursor = (await client.http.get("/v1/conversations", params={"limit": 1})).json()["next_cursor"]
        async with client_of(product_url, await world.person()) as other:
            page = (await other.http.get("/v1/conversations", params={"cursor": cursor})).json()
        assert page == {"items": [], "next_cursor": None}
