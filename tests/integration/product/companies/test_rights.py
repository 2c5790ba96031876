"""Rights are read again where they count: under the lock, before anything is changed; and keys never raise anybody."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import httpx
import pytest

from b2b_chat.product.vocabulary import Scope
from support.database.world import Person, World
from support.product.app import client_of, error_of
from support.product.sessions import add_operator, add_session, http_client, session_client

LOSSES = {
    "demoted": ("UPDATE memberships SET role = 'member' WHERE company_id = $1 AND user_id = $2", "scope_missing"),
    "blocked": ("UPDATE memberships SET blocked_at = now() WHERE company_id = $1 AND user_id = $2", "user_blocked"),
    "removed": ("DELETE FROM memberships WHERE company_id = $1 AND user_id = $2", "no_company"),
    "blocked everywhere": (
        "UPDATE users SET blocked_at = now() WHERE id = $2 AND $1::uuid IS NOT NULL",
        "user_blocked",
    ),
    "blocked with the company": (
        "UPDATE companies SET blocked_at = now() WHERE id = $1 AND $2::uuid IS NOT NULL",
        "company_blocked",
    ),
}
"""How an owner's rights end, and what the owner is then refused with."""


class Scene(NamedTuple):
    """A company with two owners and what they act on."""

    owner: Person
    friend: UUID
    invite_id: UUID
    api_key_id: UUID


COMMANDS: dict[str, Callable[[Scene], tuple[str, str, dict[str, Any] | None]]] = {
    "change a role": lambda scene: ("PATCH", f"/members/{scene.friend}", {"role": "owner"}),
    "block": lambda scene: ("POST", f"/members/{scene.friend}/block", None),
    "unblock": lambda scene: ("POST", f"/members/{scene.friend}/unblock", None),
    "remove": lambda scene: ("DELETE", f"/members/{scene.friend}", None),
    "invite": lambda _: ("POST", "/invites", {"email": f"{uuid4()}@example.test", "role": "owner"}),
    "resend": lambda scene: ("POST", f"/invites/{scene.invite_id}/resend", None),
    "revoke an invite": lambda scene: ("DELETE", f"/invites/{scene.invite_id}", None),
    "make a key": lambda _: ("POST", "/api-keys", {"name": "robot", "scopes": ["admin"]}),
    "revoke a key": lambda scene: ("DELETE", f"/api-keys/{scene.api_key_id}", None),
}


async def set_scene(world: World, http: Callable[[Person], Awaitable[Any]]) -> Scene:
    owner = await world.person(role="owner")
    await world.person(company_id=owner.company_id, role="owner")
    friend = await world.person(company_id=owner.company_id)
    made = await http(owner)
    keys = await world.rows("SELECT id FROM api_keys WHERE user_id = $1", friend.user_id)
    return Scene(owner, friend.user_id, UUID(made), keys[0]["id"])


async def invited(http: httpx.AsyncClient, role: str) -> httpx.Response:
    return await http.post("/v1/company/invites", json={"email": f"{uuid4()}@example.test", "role": role})


@pytest.mark.parametrize(
    ("command", "loss"),
    [
        *((command, "demoted") for command in COMMANDS),
        *(("change a role", loss) for loss in LOSSES if loss != "demoted"),
    ],
)
async def test_rights_that_end_while_a_command_waits_are_gone(
    world: World, product_url: str, command: str, loss: str
) -> None:
    async def make_invite(owner: Person) -> Any:
        async with session_client(product_url, world, owner) as http:
            return (await invited(http, "member")).json()["id"]

    scene = await set_scene(world, make_invite)
    sql, code = LOSSES[loss]
    method, path, body = COMMANDS[command](scene)
    async with session_client(product_url, world, scene.owner) as http, world.database.connection() as other:
        async with other.transaction():
            await other.fetch("SELECT 1 FROM companies WHERE id = $1 FOR UPDATE", scene.owner.company_id)
            asking = asyncio.create_task(http.request(method, f"/v1/company{path}", json=body))
            await until_one_waits(world)
            await other.execute(sql, scene.owner.company_id, scene.owner.user_id)
        assert error_of(await asking) == (403, code)


async def until_one_waits(world: World) -> None:
    async with asyncio.timeout(30):
        while not await world.rows(  # noqa: ASYNC110 - the database tells nobody that a statement waits
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        ):
            await asyncio.sleep(0.01)


async def test_a_key_invites_members_at_most(world: World, product_url: str) -> None:
    async with client_of(product_url, await world.person(role="owner")) as client:
        assert (await invited(client.http, "member")).status_code == 201
        for role in ("admin", "owner"):
            assert error_of(await invited(client.http, role)) == (403, "role_too_high_for_key")


async def test_a_key_does_not_mail_an_admins_invite_again(world: World, product_url: str) -> None:
    owner = await world.person(role="owner")
    async with session_client(product_url, world, owner) as http:
        invite_id = (await invited(http, "admin")).json()["id"]
    async with client_of(product_url, owner) as client:
        again = await client.http.post(f"/v1/company/invites/{invite_id}/resend")
        assert error_of(again) == (403, "role_too_high_for_key")
        assert (await client.http.delete(f"/v1/company/invites/{invite_id}")).status_code == 204


async def test_a_key_lowers_roles_and_raises_none(world: World, product_url: str) -> None:
    owner = await world.person(role="owner")
    member = await world.person(company_id=owner.company_id)
    other = await world.person(company_id=owner.company_id, role="owner")
    async with client_of(product_url, owner) as client:
        for role in ("admin", "owner"):
            raised = await client.http.patch(f"/v1/company/members/{member.user_id}", json={"role": role})
            assert error_of(raised) == (403, "role_too_high_for_key")
        for role in ("admin", "member"):
            lowered = await client.http.patch(f"/v1/company/members/{other.user_id}", json={"role": role})
            assert lowered.json()["role"] == role


async def test_an_admin_does_not_revoke_an_owners_key(world: World, product_url: str) -> None:
    owner = await world.person(role="owner")
    admin = await world.person(company_id=owner.company_id, role="admin")
    member = await world.person(company_id=owner.company_id)
    async with session_client(product_url, world, admin) as http:
        for person, expected in ((owner, 403), (member, 204), (admin, 204)):
            (key,) = await world.rows("SELECT id FROM api_keys WHERE user_id = $1", person.user_id)
            revoked = await http.delete(f"/v1/company/api-keys/{key['id']}")
            assert revoked.status_code == expected
            if expected == 403:
                assert error_of(revoked) == (403, "role_too_low")


async def test_who_is_blocked_by_an_operator_has_no_open_invites_anywhere(world: World, product_url: str) -> None:
    owner, bystander = await world.person(role="owner"), await world.person(role="owner")
    elsewhere = uuid4()
    await world.rows("INSERT INTO companies (id, name) VALUES ($1, 'Another')", elsewhere)
    await world.rows("INSERT INTO memberships VALUES ($1, $2, 'owner')", elsewhere, owner.user_id)
    for person, company_id in ((owner, owner.company_id), (owner, elsewhere), (bystander, bystander.company_id)):
        session = await add_session(world, person.user_id, company_id)
        async with http_client(product_url, session=session) as http:
            assert (await invited(http, "owner")).status_code == 201
    _, operators_key = await add_operator(world)
    async with http_client(product_url, key=operators_key) as http:
        assert (await http.post(f"/admin/users/{owner.user_id}/block")).status_code == 200
        assert (await http.post(f"/admin/users/{owner.user_id}/unblock")).status_code == 200
    rows = await world.rows(
        "SELECT invited_by, state FROM invites WHERE invited_by = ANY($1::uuid[])", [owner.user_id, bystander.user_id]
    )
    states = sorted((row["invited_by"] == owner.user_id, row["state"]) for row in rows)
    assert states == [(False, "pending"), (True, "revoked"), (True, "revoked")]


KEYS_MAY = {
    ("GET", ""): "as its scopes say",
    ("PATCH", ""): "never",
    ("DELETE", "/members/{user_id}/second-factor"): "never",
    ("GET", "/members"): "as its scopes say",
    ("GET", "/members/{user_id}"): "as its scopes say",
    ("PATCH", "/members/{user_id}"): "lower roles",
    ("POST", "/members/{user_id}/block"): "as its scopes say",
    ("POST", "/members/{user_id}/unblock"): "let in members",
    ("DELETE", "/members/{user_id}"): "as its scopes say",
    ("POST", "/invites"): "let in members",
    ("GET", "/invites"): "as its scopes say",
    ("POST", "/invites/{invite_id}/resend"): "let in members",
    ("DELETE", "/invites/{invite_id}"): "as its scopes say",
    ("POST", "/api-keys"): "never",
    ("GET", "/api-keys"): "as its scopes say",
    ("DELETE", "/api-keys/{api_key_id}"): "as its scopes say",
}
"""What a key may do in its company. Nothing here lets a key, or somebody by it, do more or longer than the key may."""


async def test_what_keys_may_do_is_decided_for_every_route(product_url: str) -> None:
    masking = ("/masking", "/masking/own", "/masking/terms", "/masking/counts")
    elsewhere = ("/usage", "/usage/members", "/audit", *masking)  # no rights
    async with http_client(product_url) as http:
        paths = (await http.get("/openapi/openapi.json")).json()["paths"]
    routes = {
        (method.upper(), path.removeprefix("/v1/company"))
        for path, methods in paths.items()
        for method in methods
        if path.startswith("/v1/company") and not path.endswith(elsewhere)
    }
    assert routes == set(KEYS_MAY)


async def test_a_key_makes_no_key(world: World, product_url: str) -> None:
    """As it was found: a key for a day made one without an end, which its own revocation left alone."""
    async with client_of(product_url, await world.person(role="owner")) as client:
        made = await client.http.post("/v1/company/api-keys", json={"name": "child", "scopes": ["admin"]})
        assert error_of(made) == (403, "session_required")


async def test_a_key_lets_in_no_one_who_may_do_more_than_itself(world: World, product_url: str) -> None:
    owner = await world.person(role="owner")
    robot = await world.person(company_id=owner.company_id, role="admin", scopes=[Scope.ADMIN])
    member = await world.person(company_id=owner.company_id)
    async with session_client(product_url, world, owner) as http:
        invite_id = (await invited(http, "member")).json()["id"]
        assert (await http.post(f"/v1/company/members/{member.user_id}/block")).status_code == 200
    async with client_of(product_url, robot) as client:
        assert error_of(await invited(client.http, "member")) == (403, "scope_missing")
        for path in (f"invites/{invite_id}/resend", f"members/{member.user_id}/unblock"):
            assert error_of(await client.http.post(f"/v1/company/{path}")) == (403, "scope_missing")


async def test_a_key_unblocks_members_alone(world: World, product_url: str) -> None:
    owner = await world.person(role="owner")
    member = await world.person(company_id=owner.company_id)
    admin = await world.person(company_id=owner.company_id, role="admin")
    async with client_of(product_url, owner) as client:
        for person, expected in ((member, 200), (admin, 403)):
            path = f"/v1/company/members/{person.user_id}"
            assert (await client.http.post(f"{path}/block")).status_code == 200
            assert (await client.http.post(f"{path}/unblock")).status_code == expected
    async with session_client(product_url, world, owner) as http:
        assert (await http.post(f"/v1/company/members/{admin.user_id}/unblock")).status_code == 200


async def test_keys_of_a_person_in_a_company_have_a_cap(world: World, product_url: str) -> None:
    owner = await world.person(role="owner")
    colleague = await world.person(company_id=owner.company_id, role="owner")
    body = {"name": "robot", "scopes": ["read"]}
    async with session_client(product_url, world, owner) as http:
        # Beside the one that the world has given the owner.
        answers = await asyncio.gather(*[http.post("/v1/company/api-keys", json=body) for _ in range(25)])
        made = [answer.json()["api_key"]["id"] for answer in answers if answer.status_code == 201]
        assert len(made) == 19
        assert {error_of(answer) for answer in answers if answer.status_code != 201} == {(409, "too_many_api_keys")}
        assert (await http.delete(f"/v1/company/api-keys/{made[0]}")).status_code == 204
        assert (await http.post("/v1/company/api-keys", json=body)).status_code == 201
        await world.rows("UPDATE api_keys SET expires_at = now() WHERE id = $1", UUID(made[1]))
        assert (await http.post("/v1/company/api-keys", json=body)).status_code == 201
        assert error_of(await http.post("/v1/company/api-keys", json=body)) == (409, "too_many_api_keys")
    async with session_client(product_url, world, colleague) as http:
        assert (await http.post("/v1/company/api-keys", json=body)).status_code == 201
