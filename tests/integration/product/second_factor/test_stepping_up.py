"""Keys, owners and credits take a fresh second factor; a company asks it of its admins; it can be reset."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final
from uuid import UUID, uuid4

import httpx
import pytest_asyncio
from click.testing import CliRunner

from b2b_chat.cli import main
from support.database.world import Person, World
from support.gateway.fake import FakeGateway
from support.product.app import client_of, error_of, served_product
from support.product.authenticator import set_up
from support.product.operations import list_operations
from support.product.sessions import add_operator, add_session, http_client

STEP_UP: Final = (403, "step_up_required")
STEPS: Final = {
    "addCredits", "adjustCredits", "createCompany", "createOperatorKey", "revokeOperatorKey", "resetUserSecondFactor",
    "createApiKey", "revokeApiKey", "changeMember", "removeMember", "blockMember", "unblockMember", "createInvite",
    "changeCompany", "resetMemberSecondFactor",
}  # fmt: skip


@pytest_asyncio.fixture(scope="module")
async def url(database_url: str, module_gateway: FakeGateway) -> AsyncIterator[str]:
    async with served_product(database_url, module_gateway.url, operator_second_factor=True) as url:
        yield url


@pytest_asyncio.fixture
async def owner(world: World) -> Person:
    """The owner of a company that asks a second factor of its admins."""
    owner = await world.person(role="owner")
    await world.rows("UPDATE companies SET needs_second_factor = true WHERE id = $1", owner.company_id)
    return owner


async def age_proofs(world: World, user_id: UUID) -> None:
    """Let ten minutes pass since a person proved a second factor."""
    await world.rows("UPDATE sessions SET proved_at = now() - interval '601 seconds' WHERE user_id = $1", user_id)


def some_credits() -> dict[str, Any]:
    return {"amount_credits": "5", "external_id": str(uuid4())}


def test_every_operation_with_keys_owners_and_credits_steps_up() -> None:
    assert {each.name for each in list_operations() if "step_up" in each.opt} == STEPS
    named = ("/credits", "/keys", "/api-keys", "/second-factor", "/members")
    for each in list_operations():
        if each.is_unsafe and any(part in each.path for part in named) and not each.path.startswith("/auth"):
            assert each.name in STEPS


async def test_an_operator_proves_again_before_credits_and_keys(world: World, url: str) -> None:
    operator_id, _ = await add_operator(world)
    person = await world.person()
    path = f"/admin/companies/{person.company_id}/credits"
    async with http_client(url, session=await add_session(world, operator_id)) as browser:
        app, _ = await set_up(browser)
        assert (await browser.post(path, json=some_credits())).status_code == 200
        await age_proofs(world, operator_id)
        assert (await browser.get("/admin/companies")).status_code == 200
        assert error_of(await browser.post(path, json=some_credits())) == STEP_UP
        assert error_of(await browser.post("/admin/keys", json={"name": "robot"})) == STEP_UP
        assert (await browser.post("/auth/second-factor/proof", json={"code": app.code()})).status_code == 204
        assert (await browser.post(path, json=some_credits())).status_code == 200
        made = (await browser.post("/admin/keys", json={"name": "robot"})).json()
    async with http_client(url, key=made["key"]) as program:
        assert (await program.get("/admin/companies")).status_code == 200
        assert error_of(await program.post(path, json=some_credits())) == STEP_UP
        assert error_of(await program.delete(f"/admin/keys/{made['api_key']['id']}")) == STEP_UP
        assert (await program.post(f"/admin/users/{person.user_id}/block")).status_code == 200
    reasons = await world.rows(
        "SELECT action, reason FROM audit_log WHERE actor_user_id = $1 AND reason = 'step_up_required'", operator_id
    )
    assert {row["action"] for row in reasons} == {"credits.add", "operator_key.create", "operator_key.revoke"}


async def test_a_key_from_the_shell_changes_credits(world: World, url: str) -> None:
    person = await world.person()
    async with http_client(url, key=(await add_operator(world))[1]) as program:
        answer = await program.post(f"/admin/companies/{person.company_id}/credits", json=some_credits())
        assert answer.status_code == 200


async def test_a_page_made_key_cannot_change_credits_where_none_is_asked(world: World, product_url: str) -> None:
    operator_id, _ = await add_operator(world)
    person = await world.person()
    async with http_client(product_url, session=await add_session(world, operator_id)) as browser:
        made = (await browser.post("/admin/keys", json={"name": "robot"})).json()
    async with http_client(product_url, key=made["key"]) as program:
        path = f"/admin/companies/{person.company_id}/credits"
        assert error_of(await program.post(path, json=some_credits())) == STEP_UP


async def test_an_owner_asks_it_of_all_admins(world: World, url: str) -> None:
    owner = await world.person(role="owner")
    people = {role: await world.person(company_id=owner.company_id, role=role) for role in ("admin", "member")} | {
        "owner": owner
    }
    sessions = {role: await add_session(world, person.user_id, owner.company_id) for role, person in people.items()}

    async def change(session: str, *, needed: bool) -> httpx.Response:
        async with http_client(url, session=session) as browser:
            return await browser.patch("/v1/company", json={"needs_second_factor": needed})

    assert error_of(await change(sessions["admin"], needed=True)) == (403, "role_too_low")
    assert error_of(await change(sessions["member"], needed=True)) == (403, "scope_missing")
    async with client_of(url, owner) as client:
        refused = await client.http.patch("/v1/company", json={"needs_second_factor": True})
        assert error_of(refused) == (403, "session_required")
    assert (await change(sessions["owner"], needed=True)).json()["needs_second_factor"] is True
    for role, expected in (("owner", 403), ("admin", 403), ("member", 200)):
        async with http_client(url, session=sessions[role]) as browser:
            assert (await browser.get("/v1/company")).status_code == expected
    async with http_client(url, session=sessions["owner"]) as browser:
        app, _ = await set_up(browser)
        assert (await browser.get("/v1/company")).status_code == 200
        await age_proofs(world, owner.user_id)
        assert error_of(await change(sessions["owner"], needed=False)) == STEP_UP
        await browser.post("/auth/second-factor/proof", json={"code": app.code()})
        assert (await change(sessions["owner"], needed=False)).status_code == 200
    async with http_client(url, session=sessions["admin"]) as browser:
        assert (await browser.get("/v1/company")).status_code == 200
    rows = await world.rows(
        "SELECT before, after FROM audit_log WHERE company_id = $1 AND action = 'company.ask_second_factor' "
        "AND outcome = 'ok' ORDER BY at",
        owner.company_id,
    )
    assert len(rows) == 2


async def test_a_person_acts_elsewhere_without_it(world: World, url: str, owner: Person) -> None:
    other = await world.person(role="owner")
    await world.rows(
        "INSERT INTO memberships (company_id, user_id, role) VALUES ($1, $2, 'owner')", other.company_id, owner.user_id
    )
    async with http_client(url, session=await add_session(world, owner.user_id, owner.company_id)) as browser:
        assert error_of(await browser.get("/v1/company")) == (403, "second_factor_required")
        chosen = await browser.put("/v1/me/company", json={"company_id": str(other.company_id)})
        assert chosen.status_code == 200
        assert (await browser.get("/v1/company")).status_code == 200


async def test_an_admin_proves_again_before_roles_and_keys(world: World, url: str, owner: Person) -> None:
    member = await world.person(company_id=owner.company_id)
    path = f"/v1/company/members/{member.user_id}"
    async with http_client(url, session=await add_session(world, owner.user_id, owner.company_id)) as browser:
        await set_up(browser)
        await age_proofs(world, owner.user_id)
        key = {"name": "robot", "scopes": ["read"]}
        invite = {"email": f"{uuid4()}@example.test", "role": "member"}
        assert error_of(await browser.patch(path, json={"role": "owner"})) == STEP_UP
        assert error_of(await browser.delete(path)) == STEP_UP
        assert error_of(await browser.post(f"{path}/block")) == STEP_UP
        assert error_of(await browser.post("/v1/company/api-keys", json=key)) == STEP_UP
        assert error_of(await browser.post("/v1/company/invites", json=invite)) == STEP_UP
    # A key cannot prove anything: it invites and blocks, and changes neither roles nor keys.
    async with client_of(url, owner) as program:
        assert error_of(await program.http.patch(path, json={"role": "member"})) == STEP_UP
        assert (await program.http.post("/v1/company/invites", json=invite)).status_code == 201
        assert (await program.http.post(f"{path}/block")).status_code == 200


async def test_another_owner_resets_it(world: World, url: str, owner: Person) -> None:
    admin = await world.person(company_id=owner.company_id, role="admin")
    path = f"/v1/company/members/{admin.user_id}/second-factor"
    theirs = await add_session(world, admin.user_id, owner.company_id)
    async with http_client(url, session=theirs) as browser:
        await set_up(browser)
        assert error_of(await browser.delete(path)) == (403, "role_too_low")
    async with http_client(url, session=await add_session(world, owner.user_id, owner.company_id)) as browser:
        await set_up(browser)
        own = f"/v1/company/members/{owner.user_id}/second-factor"
        assert error_of(await browser.delete(own)) == (403, "second_factor_protected")
        unknown = f"/v1/company/members/{uuid4()}/second-factor"
        assert error_of(await browser.delete(unknown)) == (404, "member_not_found")
        assert (await browser.delete(path)).status_code == 204
        # What also guards another company, or the installation, is not this owner's to reset.
        elsewhere = await world.person()
        await world.rows(
            "INSERT INTO memberships (company_id, user_id, role) VALUES ($1, $2, 'member')",
            elsewhere.company_id,
            admin.user_id,
        )
        assert error_of(await browser.delete(path)) == (403, "second_factor_protected")
        operator = await world.person(company_id=owner.company_id)
        await world.rows("INSERT INTO operators (user_id) VALUES ($1)", operator.user_id)
        protected = f"/v1/company/members/{operator.user_id}/second-factor"
        assert error_of(await browser.delete(protected)) == (403, "second_factor_protected")
    async with http_client(url, session=theirs) as browser:
        assert error_of(await browser.get("/v1/me")) == (401, "unauthenticated")
    async with http_client(url, session=await add_session(world, admin.user_id, owner.company_id)) as browser:
        assert (await browser.get("/auth/second-factor")).json()["is_set_up"] is False
        await set_up(browser)


async def test_an_operators_is_reset_in_the_shell_alone(world: World, url: str, database_url: str) -> None:
    operator_id, _ = await add_operator(world)
    person = await world.person()
    async with http_client(url, session=await add_session(world, operator_id)) as browser:
        await set_up(browser)
    async with http_client(url, key=(await add_operator(world))[1]) as http:
        refused = await http.delete(f"/admin/users/{operator_id}/second-factor")
        assert error_of(refused) == (403, "second_factor_protected")
        assert (await http.delete(f"/admin/users/{person.user_id}/second-factor")).status_code == 204
        assert error_of(await http.delete(f"/admin/users/{uuid4()}/second-factor")) == (404, "user_not_found")
    shell = CliRunner(env={"DATABASE_URL": database_url})
    done = await asyncio.to_thread(shell.invoke, main, ["factor-reset", str(operator_id)])
    assert done.exit_code == 0, done.output
    assert await world.rows("SELECT * FROM second_factors WHERE user_id = $1", operator_id) == []
    row = await world.row(
        "SELECT * FROM audit_log WHERE actor_kind = 'command_line' AND $1 = ANY(target_ids)", str(operator_id)
    )
    assert row["action"] == "second_factor.reset"
