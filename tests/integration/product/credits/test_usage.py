"""What was used, by day and by member."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from support.database.charges import charge
from support.database.world import Person, World
from support.processes.waiting import until
from support.product.app import Client, client_of, error_of


async def get(client: Client, path: str, **parameters: Any) -> Any:
    answer = await client.http.get(path, params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def used_days(usage: Any) -> dict[str, tuple[int, Decimal]]:
    return {
        day["day"]: (day["answers"], Decimal(day["charge_credits"])) for day in usage["days"] if day["answers"] != 0
    }


async def test_an_answer_counts_on_its_day(admin: Client) -> None:
    answer = await admin.ask()
    usage = await get(admin, "/v1/company/usage")
    assert len(usage["days"]) == 30
    assert (usage["first_day"], usage["last_day"]) == (usage["days"][0]["day"], usage["days"][-1]["day"])
    assert list(used_days(usage).values()) == [(1, Decimal(answer["charge_credits"]))]
    assert (usage["answers"], Decimal(usage["charge_credits"])) == (1, Decimal(answer["charge_credits"]))


async def test_days_begin_and_end_at_midnight_of_utc(admin: Client, world: World, owner: Person) -> None:
    midnight = datetime(2026, 3, 10, tzinfo=UTC)
    for at, amount in (
        (midnight - timedelta(microseconds=1), "1"),
        (midnight, "2"),
        (midnight + timedelta(hours=23, minutes=59), "4"),
        (midnight + timedelta(days=1), "8"),
    ):
        await charge(world, owner, at, amount)
    usage = await get(admin, "/v1/company/usage", days=1, last_day="2026-03-10")
    assert used_days(usage) == {"2026-03-10": (2, Decimal(6))}
    usage = await get(admin, "/v1/company/usage", days=3, last_day="2026-03-11")
    assert used_days(usage) == {
        "2026-03-09": (1, Decimal(1)),
        "2026-03-10": (2, Decimal(6)),
        "2026-03-11": (1, Decimal(8)),
    }
    assert [day["day"] for day in usage["days"]] == ["2026-03-09", "2026-03-10", "2026-03-11"]


@pytest.mark.parametrize("last_day", [date.min, date.max])
async def test_the_ends_of_the_calendar_are_days_too(admin: Client, last_day: date) -> None:
    usage = await get(admin, "/v1/company/usage", days=92, last_day=last_day.isoformat())
    assert usage["last_day"] == last_day.isoformat()
    assert usage["answers"] == 0


async def test_by_member_the_most_first_by_pages_of_any_size(
    product_url: str, admin: Client, world: World, owner: Person
) -> None:
    now = datetime.now(UTC)
    people = [await world.person(company_id=owner.company_id) for _ in range(5)]
    for person, amount in zip(people, ("3", "1", "3", "0.000001", "7"), strict=True):
        await charge(world, person, now, amount)
        await charge(world, person, now, "0.5")
    whole = (await get(admin, "/v1/company/usage/members"))["items"]
    assert [Decimal(each["charge_credits"]) for each in whole] == list(
        map(Decimal, ("7.5", "3.5", "3.5", "1.5", "0.500001"))
    )
    assert {each["user_id"] for each in whole} == {str(person.user_id) for person in people}
    assert {each["answers"] for each in whole} == {2}
    for limit in range(1, 7):
        items: list[Any] = []
        cursor: dict[str, str] = {}
        while True:
            page = await get(admin, "/v1/company/usage/members", limit=limit, **cursor)
            items += page["items"]
            if page["next_cursor"] is None:
                break
            cursor = {"cursor": page["next_cursor"]}
        assert items == whole
    one = await get(admin, "/v1/company/usage", user_id=str(people[0].user_id))
    assert Decimal(one["charge_credits"]) == Decimal("3.5")
    async with client_of(product_url, people[0]) as client:
        assert (await get(client, "/v1/me/usage"))["days"] == one["days"]


async def test_former_members_stay_in_the_report(admin: Client, world: World, owner: Person) -> None:
    person = await world.person(company_id=owner.company_id)
    await charge(world, person, datetime.now(UTC), "2")
    await admin.http.delete(f"/v1/company/members/{person.user_id}")
    items = (await get(admin, "/v1/company/usage/members"))["items"]
    assert str(person.user_id) in {each["user_id"] for each in items}


async def test_a_member_sees_only_their_own_usage(product_url: str, admin: Client, world: World, owner: Person) -> None:
    await admin.ask()
    member = await world.person(company_id=owner.company_id)
    async with client_of(product_url, member) as client:
        for path in ("/v1/company/usage", "/v1/company/usage/members"):
            assert error_of(await client.http.get(path)) == (403, "scope_missing")
        assert (await get(client, "/v1/me/usage"))["answers"] == 0


async def test_another_company_is_not_counted(product_url: str, admin: Client, world: World) -> None:
    await admin.ask()
    stranger = await world.person(role="owner")
    async with client_of(product_url, stranger) as client:
        mine = await client.ask()
        assert (await get(client, "/v1/company/usage"))["answers"] == 1
        (member,) = (await get(client, "/v1/company/usage/members"))["items"]
        assert member["user_id"] == str(stranger.user_id)
        (charged, _) = [json.loads(line) for line in (await client.http.get("/v1/ledger/export")).text.splitlines()]
        assert charged["message_id"] == mine["user_message_id"]
    assert (await get(admin, "/v1/company/usage", user_id=str(stranger.user_id)))["answers"] == 0


@pytest.mark.parametrize(
    "parameters",
    [{"days": "0"}, {"days": "93"}, {"days": "x"}, {"last_day": "2026-02-30"}, {"last_day": "today"}, {"last_day": ""}],
    ids=str,
)
async def test_invalid_days_are_refused(admin: Client, parameters: dict[str, str]) -> None:
    for path in ("/v1/company/usage", "/v1/company/usage/members", "/v1/me/usage"):
        assert error_of(await admin.http.get(path, params=parameters)) == (400, "invalid_request")


AN_ID = "0198a3c1-0000-7000-8000-000000000000"


@pytest.mark.parametrize("cursor", ["", "x", "1_2", "1.000000_", f"1.0_{AN_ID}", f"-1.000000_{AN_ID}", "٣", "\0"])
async def test_a_cursor_that_was_not_given_is_refused(admin: Client, cursor: str) -> None:
    answer = await admin.http.get("/v1/company/usage/members", params={"cursor": cursor})
    assert error_of(answer) == (400, "invalid_request")


async def test_entries_are_found_though_not_quite_in_the_order_of_their_times(
    admin: Client, world: World, owner: Person
) -> None:
    midnight = datetime(2026, 3, 10, tzinfo=UTC)
    for seconds in (1, -1, 2, -2):
        await charge(world, owner, midnight + timedelta(seconds=seconds), "1")
    usage = await get(admin, "/v1/company/usage", days=1, last_day="2026-03-10")
    assert used_days(usage) == {"2026-03-10": (2, Decimal(2))}


async def test_a_long_ledger_is_not_read_from_end_to_end(admin: Client, world: World, owner: Person) -> None:
    await world.rows(
        "INSERT INTO ledger (company_id, position, kind, amount_credits, balance_after_credits, created_at) "
        "SELECT $1, number + 1, 'top_up', 1, number, now() - interval '1 hour' * (20000 - number) "
        "FROM generate_series(1, 20000) AS number",
        owner.company_id,
    )
    await world.rows("ANALYZE ledger")

    async def read() -> int:
        row = await world.row(
            "SELECT seq_tup_read + idx_tup_fetch AS number FROM pg_stat_user_tables WHERE relname = 'ledger'"
        )
        return int(row["number"])

    await until_settled(read)
    before = await read()
    await get(admin, "/v1/company/usage", days=7)

    async def is_counted() -> bool:
        return await read() > before

    await until(is_counted)
    assert await until_settled(read) - before < 1000


async def until_settled(read: Callable[[], Awaitable[int]]) -> int:
    """A counter of PostgreSQL's once it stands still: its processes add to it up to a second later."""
    last = -1
    while (now := await read()) != last:
        last = now
        await asyncio.sleep(1.2)
    return now
