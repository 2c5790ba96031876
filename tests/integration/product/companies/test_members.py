"""Members of a company: roles, blocks, and the last owner, who must stay."""

import asyncio
from collections import Counter
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from support.database.world import Person, World
from support.product.app import client_of, error_of
from support.product.sessions import add_session, http_client, session_client


async def as_(url: str, person: Person, method: str, path: str, **more: Any) -> httpx.Response:
    """One request of a person's."""
    async with client_of(url, person) as client:
        return await client.http.request(method, f"/v1/company/members{path}", **more)


async def change(world: World, url: str, person: Person, user_id: UUID, role: str) -> httpx.Response:
    """Give a role as a person signed in: a key raises nobody."""
    session = await add_session(world, person.user_id, person.company_id)
    async with http_client(url, session=session) as http:
        return await http.patch(f"/v1/company/members/{user_id}", json={"role": role})


async def roles(world: World, person: Person) -> list[str]:
    rows = await world.rows("SELECT role FROM memberships WHERE company_id = $1 ORDER BY role", person.company_id)
    return [row["role"] for row in rows]


async def test_members_are_listed_by_pages_and_shown_one_by_one(world: World, product_url: str) -> None:
    owner = await world.person(role="owner")
    people = [owner, *[await world.person(company_id=owner.company_id) for _ in range(4)]]
    shown: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = (
            await as_(product_url, owner, "GET", "", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))
        ).json()
        shown += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert {item["user_id"] for item in shown} == {str(person.user_id) for person in people}
    assert Counter(item["role"] for item in shown) == {"owner": 1, "member": 4}
    one = (await as_(product_url, owner, "GET", f"/{owner.user_id}")).json()
    assert one in shown
    assert one["email"] == f"{owner.user_id}@example.test"
    assert one["blocked_at"] is None
    assert error_of(await as_(product_url, owner, "GET", f"/{uuid4()}")) == (404, "member_not_found")


async def test_the_company_is_shown_to_its_members(world: World, product_url: str) -> None:
    member = await world.person()
    async with client_of(product_url, member) as client:
        company = (await client.http.get("/v1/company")).json()
    assert company["id"] == str(member.company_id)
    assert company["name"] == "A company"


@pytest.mark.parametrize(
    ("actor", "target", "role", "code"),
    [
        ("owner", "member", "owner", None),
        ("owner", "owner", "member", None),
        ("admin", "member", "admin", None),
        ("admin", "admin", "member", None),
        ("admin", "member", "owner", "role_too_low"),
        ("admin", "owner", "member", "role_too_low"),
        ("admin", "owner", "owner", "role_too_low"),
    ],
)
async def test_admins_change_roles_up_to_their_own(
    world: World, product_url: str, actor: str, target: str, role: str, code: str | None
) -> None:
    owner = await world.person(role="owner")
    acting = await world.person(role=actor, company_id=owner.company_id)
    other = await world.person(role=target, company_id=owner.company_id)
    answer = await change(world, product_url, acting, other.user_id, role)
    if code is None:
        assert answer.json()["role"] == role
    else:
        assert error_of(answer) == (403, code)
    current = await world.row("SELECT role FROM memberships WHERE user_id = $1", other.user_id)
    assert current["role"] == (role if code is None else target)


@pytest.mark.parametrize("path", ["", "/block"])
async def test_an_admin_can_do_nothing_to_an_owner(world: World, product_url: str, path: str) -> None:
    owner = await world.person(role="owner")
    await world.person(role="owner", company_id=owner.company_id)
    admin = await world.person(role="admin", company_id=owner.company_id)
    method = "POST" if path else "DELETE"
    refused = await as_(product_url, admin, method, f"/{owner.user_id}{path}")
    assert error_of(refused) == (403, "role_too_low")


async def test_a_member_may_change_no_one(world: World, product_url: str) -> None:
    owner = await world.person(role="owner")
    member = await world.person(company_id=owner.company_id)
    assert error_of(await change(world, product_url, member, member.user_id, "admin")) == (403, "scope_missing")
    assert error_of(await as_(product_url, member, "GET", "")) == (403, "scope_missing")


async def test_the_last_owner_can_be_neither_demoted_nor_blocked_nor_removed(world: World, product_url: str) -> None:
    owner = await world.person(role="owner")
    path = f"/{owner.user_id}"
    assert error_of(await change(world, product_url, owner, owner.user_id, "admin")) == (409, "last_owner")
    assert error_of(await as_(product_url, owner, "POST", f"{path}/block")) == (409, "last_owner")
    assert error_of(await as_(product_url, owner, "DELETE", path)) == (409, "last_owner")
    assert (await change(world, product_url, owner, owner.user_id, "owner")).status_code == 200
    # A blocked owner cannot act, and does not count as one.
    second = await world.person(role="owner", company_id=owner.company_id)
    assert (await as_(product_url, owner, "POST", f"/{second.user_id}/block")).status_code == 200
    assert error_of(await as_(product_url, owner, "DELETE", path)) == (409, "last_owner")
    async with session_client(product_url, world, owner) as http:
        assert (await http.post(f"/v1/company/members/{second.user_id}/unblock")).status_code == 200
    assert (await as_(product_url, owner, "DELETE", path)).status_code == 204
    assert await roles(world, second) == ["owner"]


async def test_two_owners_demoting_each_other_at_once_leave_one(world: World, product_url: str) -> None:
    for _ in range(10):
        first = await world.person(role="owner")
        second = await world.person(role="owner", company_id=first.company_id)
        answers = await asyncio.gather(
            change(world, product_url, first, second.user_id, "member"),
            change(world, product_url, second, first.user_id, "member"),
        )
        # The one who comes second is signed out, no longer an owner, or the last one.
        assert sorted(answer.status_code for answer in answers) in ([200, 401], [200, 403], [200, 409])
        assert await roles(world, first) == ["member", "owner"]


async def test_owners_leaving_all_at_once_leave_one(world: World, product_url: str) -> None:
    first = await world.person(role="owner")
    owners = [first, *[await world.person(role="owner", company_id=first.company_id) for _ in range(9)]]
    answers = await asyncio.gather(*[as_(product_url, owner, "DELETE", f"/{owner.user_id}") for owner in owners])
    assert Counter(answer.status_code for answer in answers) == {204: 9, 409: 1}
    assert await roles(world, first) == ["owner"]


async def test_a_change_ends_the_members_sessions(world: World, product_url: str) -> None:
    owner = await world.person(role="owner")
    path = "/{user_id}"
    changes: list[tuple[str, str, dict[str, Any]]] = [
        ("PATCH", path, {"json": {"role": "member"}}),
        ("POST", f"{path}/block", {}),
        ("DELETE", path, {}),
    ]
    for method, pattern, more in changes:
        member = await world.person(company_id=owner.company_id, role="admin")
        session = await add_session(world, member.user_id, member.company_id)
        async with http_client(product_url, session=session) as browser:
            assert (await browser.get("/v1/balance")).status_code == 200
            await as_(product_url, owner, method, pattern.format(user_id=member.user_id), **more)
            assert error_of(await browser.get("/v1/balance")) == (401, "unauthenticated")


async def test_open_invites_do_not_outlast_the_right_to_make_them(world: World, product_url: str) -> None:
    owner = await world.person(role="owner")
    second = await world.person(role="owner", company_id=owner.company_id)

    async def invite(role: str) -> str:
        session = await add_session(world, second.user_id, second.company_id)
        async with http_client(product_url, session=session) as http:
            body = {"email": f"{uuid4()}@example.test", "role": role}
            invite_id: str = (await http.post("/v1/company/invites", json=body)).json()["id"]
            return invite_id

    async def pending() -> set[str]:
        async with client_of(product_url, owner) as client:
            items = (await client.http.get("/v1/company/invites")).json()["items"]
            return {item["id"] for item in items if item["state"] == "pending"}

    of_owner, of_admin, of_member = await invite("owner"), await invite("admin"), await invite("member")
    await change(world, product_url, owner, second.user_id, "owner")
    assert await pending() == {of_owner, of_admin, of_member}
    await change(world, product_url, owner, second.user_id, "admin")
    assert await pending() == {of_admin, of_member}
    await as_(product_url, owner, "POST", f"/{second.user_id}/block")
    assert await pending() == set()
    async with session_client(product_url, world, owner) as http:
        assert (await http.post(f"/v1/company/members/{second.user_id}/unblock")).status_code == 200
    last = await invite("admin")
    assert await pending() == {last}
    await as_(product_url, owner, "DELETE", f"/{second.user_id}")
    assert await pending() == set()


async def test_a_role_lost_is_lost_to_the_keys_too(world: World, product_url: str) -> None:
    owner = await world.person(role="owner")
    admin = await world.person(role="admin", company_id=owner.company_id)
    assert (await as_(product_url, admin, "GET", "")).status_code == 200
    await change(world, product_url, owner, admin.user_id, "member")
    assert error_of(await as_(product_url, admin, "GET", "")) == (403, "scope_missing")


async def test_a_blocked_member_and_the_keys_can_do_nothing_until_unblocked(world: World, product_url: str) -> None:
    owner = await world.person(role="owner")
    member = await world.person(company_id=owner.company_id)
    session = await add_session(world, member.user_id, member.company_id)
    blocked = (await as_(product_url, owner, "POST", f"/{member.user_id}/block")).json()
    assert blocked["blocked_at"] is not None
    again = (await as_(product_url, owner, "POST", f"/{member.user_id}/block")).json()
    assert again["blocked_at"] == blocked["blocked_at"]
    async with client_of(product_url, member) as client, http_client(product_url, session=session) as browser:
        assert error_of(await client.http.get("/v1/balance")) == (403, "user_blocked")
        assert error_of(await browser.get("/v1/balance")) == (401, "unauthenticated")
        anew = await add_session(world, member.user_id, member.company_id)
        async with http_client(product_url, session=anew) as signed_in_again:
            assert error_of(await signed_in_again.get("/v1/balance")) == (403, "user_blocked")
        await as_(product_url, owner, "POST", f"/{member.user_id}/unblock")
        assert (await client.http.get("/v1/balance")).status_code == 200


async def test_a_removed_member_leaves_for_good(world: World, product_url: str) -> None:
    owner = await world.person(role="owner")
    member = await world.person(company_id=owner.company_id)
    assert (await as_(product_url, owner, "DELETE", f"/{member.user_id}")).status_code == 204
    assert error_of(await as_(product_url, owner, "DELETE", f"/{member.user_id}")) == (404, "member_not_found")
    async with client_of(product_url, member) as client:
        assert error_of(await client.http.get("/v1/balance")) == (401, "unauthenticated")
    # The keys of the time before do not come back with the person.
    await world.rows(
        "INSERT INTO memberships (company_id, user_id, role) VALUES ($1, $2, 'member')",
        owner.company_id,
        member.user_id,
    )
    async with client_of(product_url, member) as client:
        assert error_of(await client.http.get("/v1/balance")) == (401, "unauthenticated")
