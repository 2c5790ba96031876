"""`/v1/company/masking`: who may set and read what, versions, the floor, the lists, and what the audit log keeps."""

import asyncio
import json
from typing import Any

import pytest

from support.database.world import Person, World
from support.product.app import Client, client_of, error_of

PATH = "/v1/company/masking"
NOTHING: dict[str, Any] = {"groups": {}, "kinds": {}}


@pytest.fixture
async def admin(world: World) -> Person:
    return await world.person(role="admin")


@pytest.fixture
async def without_floor(world: World) -> None:
    await world.rows("DELETE FROM masking_floor")


pytestmark = pytest.mark.usefixtures("without_floor")


async def set_floor(world: World, policy: dict[str, Any]) -> None:
    await world.rows(
        "INSERT INTO masking_floor (version, policy) VALUES (1, $1::jsonb) "
        "ON CONFLICT (is_only) DO UPDATE SET policy = $1::jsonb",
        json.dumps(policy),
    )


async def put(client: Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = await client.http.put(path, json=body)
    assert answer.status_code == 200, answer.text
    changed: dict[str, Any] = answer.json()
    return changed


async def test_a_company_that_has_set_nothing_has_the_defaults(client: Client) -> None:
    shown = (await client.http.get(PATH)).json()
    assert shown["in_force"]["PERSON"] == shown["in_force"]["SECRET"] == shown["in_force"]["TERM"] == "mask"
    assert shown["in_force"]["COMPANY"] == "off"
    assert shown["company"] == shown["floor"] == shown["own"] == NOTHING
    assert (shown["version"], shown["terms_version"], shown["terms"], shown["allowed"]) == (0, 0, 0, 0)
    assert shown["updated_at"] is None


async def test_an_admin_sets_the_rules_and_members_read_them(world: World, product_url: str, admin: Person) -> None:
    member = await world.person(company_id=admin.company_id)
    stranger = await world.person()
    rules = {"groups": {"people": "off", "requisites": "mask"}, "kinds": {"PASSPORT": "block"}}
    async with client_of(product_url, admin) as client:
        changed = await put(client, PATH, {"version": 0, **rules})
        assert (changed["version"], changed["company"]) == (1, rules)
    async with client_of(product_url, member) as client:
        shown = (await client.http.get(PATH)).json()
        assert shown == changed
        assert (shown["in_force"]["PERSON"], shown["in_force"]["PASSPORT"]) == ("off", "block")
        assert shown["in_force"]["COMPANY"] == "mask"
        assert error_of(await client.http.put(PATH, json={"version": 1, **NOTHING})) == (403, "scope_missing")
        assert error_of(await client.http.get(f"{PATH}/terms")) == (403, "scope_missing")
        lists = {"version": 0, "terms": [], "allowed": []}
        assert error_of(await client.http.put(f"{PATH}/terms", json=lists)) == (403, "scope_missing")
    async with client_of(product_url, stranger) as client:
        assert (await client.http.get(PATH)).json()["version"] == 0


async def test_of_many_changes_of_one_version_one_is_made(product_url: str, admin: Person) -> None:
    async with client_of(product_url, admin) as client:
        answers = await asyncio.gather(
            *[client.http.put(PATH, json={"version": 0, **NOTHING, "kinds": {"IP": "off"}}) for _ in range(8)]
        )
        assert sorted(answer.status_code for answer in answers) == [200, *[409] * 7]
        refused = next(answer for answer in answers if answer.status_code == 409)
        assert error_of(refused) == (409, "masking_changed")
        assert refused.json()["detail"]["param"] == "version"
        assert (await client.http.get(PATH)).json()["version"] == 1
        lists = {"version": 5, "terms": ["Kestrel"], "allowed": []}
        assert error_of(await client.http.put(f"{PATH}/terms", json=lists)) == (409, "masking_changed")


async def test_the_floor_and_a_members_wish_only_make_it_stricter(
    world: World, product_url: str, admin: Person
) -> None:
    member = await world.person(company_id=admin.company_id)
    everything_off = dict.fromkeys(("people", "contacts", "money", "secrets", "requisites", "terms"), "off")
    await set_floor(world, {"kinds": {"SECRET": "block", "CARD": "mask"}})
    async with client_of(product_url, admin) as client:
        changed = await put(client, PATH, {"version": 0, "groups": everything_off, "kinds": {}})
        assert {kind: action for kind, action in changed["in_force"].items() if action != "off"} == {
            "SECRET": "block",
            "CARD": "mask",
        }
        assert changed["floor"] == {"groups": {}, "kinds": {"SECRET": "block", "CARD": "mask"}}
    async with client_of(product_url, member) as client:
        wish = {"groups": {"secrets": "off", "people": "mask"}, "kinds": {"CARD": "off"}}
        stricter = await put(client, f"{PATH}/own", wish)
        assert stricter["own"] == wish
        assert (stricter["in_force"]["SECRET"], stricter["in_force"]["CARD"]) == ("block", "mask")
        assert stricter["in_force"]["PERSON"] == "mask"
    async with client_of(product_url, admin) as client:
        assert (await client.http.get(PATH)).json()["in_force"]["PERSON"] == "off"


async def test_the_lists_are_replaced_whole_and_their_words_are_in_no_log(
    world: World, product_url: str, admin: Person
) -> None:
    async with client_of(product_url, admin) as client:
        wanted = {
            "version": 0,
            "terms": ["Проект Кречет", "проект  кречет", "Ястреб"],
            "allowed": ["info@example.test"],
        }
        lists = await put(client, f"{PATH}/terms", wanted)
        assert (lists["version"], lists["allowed"]) == (1, ["info@example.test"])
        assert [term.casefold() for term in lists["terms"]] == ["проект  кречет", "ястреб"]
        assert (await client.http.get(f"{PATH}/terms")).json() == lists
        shown = (await client.http.get(PATH)).json()
        assert (shown["terms"], shown["allowed"], shown["terms_version"], shown["version"]) == (2, 1, 1, 0)
    (row,) = await world.rows("SELECT * FROM audit_log WHERE company_id = $1", admin.company_id)
    assert (row["action"], row["outcome"]) == ("masking.terms", "ok")
    assert json.loads(row["after"]) == {"version": 1, "terms": 2, "allowed": 1}
    assert "речет" not in str(dict(row))


async def test_the_audit_log_says_what_the_rules_were_and_are(world: World, product_url: str, admin: Person) -> None:
    async with client_of(product_url, admin) as client:
        await put(client, PATH, {"version": 0, "groups": {"money": "block"}, "kinds": {}})
        await put(client, PATH, {"version": 1, **NOTHING})
    first, second = await world.rows("SELECT * FROM audit_log WHERE company_id = $1 ORDER BY id", admin.company_id)
    assert json.loads(first["before"]) == {"version": 0}
    assert json.loads(first["after"]) == {"version": 1, "groups": {"money": "block"}, "kinds": {}}
    assert json.loads(second["before"]) == json.loads(first["after"])
    assert json.loads(second["after"]) == {"version": 2, **NOTHING}


@pytest.mark.parametrize(
    "body",
    [
        {"version": 0, "groups": {"literals": "off"}, "kinds": {}},
        {"version": 0, "groups": {}, "kinds": {"TEXT": "off"}},
        {"version": 0, "groups": {"people": "hide"}, "kinds": {}},
        {"version": 0, "groups": {}},
        {"version": -1, **NOTHING},
        {**NOTHING},
    ],
)
async def test_rules_with_unknown_words_are_refused(product_url: str, admin: Person, body: dict[str, Any]) -> None:
    async with client_of(product_url, admin) as client:
        assert error_of(await client.http.put(PATH, json=body)) == (400, "invalid_request")


@pytest.mark.parametrize("term", ["x", "  \u200b", "two\nlines", "x" * 201])
async def test_words_that_nobody_could_mean_are_refused(product_url: str, admin: Person, term: str) -> None:
    async with client_of(product_url, admin) as client:
        body = {"version": 0, "terms": [term], "allowed": []}
        assert error_of(await client.http.put(f"{PATH}/terms", json=body)) == (400, "invalid_request")


async def test_a_member_who_leaves_takes_the_wish_along(world: World, product_url: str, admin: Person) -> None:
    member = await world.person(company_id=admin.company_id)
    async with client_of(product_url, member) as client:
        await put(client, f"{PATH}/own", {"groups": {"people": "block"}, "kinds": {}})
    async with client_of(product_url, admin) as client:
        assert (await client.http.delete(f"/v1/company/members/{member.user_id}")).status_code == 204
    assert await world.rows("SELECT * FROM masking_wishes WHERE user_id = $1", member.user_id) == []


async def test_an_admin_allows_images_and_the_audit_log_says_so(world: World, product_url: str, admin: Person) -> None:
    async with client_of(product_url, admin) as client:
        changed = await put(client, PATH, {"version": 0, **NOTHING, "allow_images": True})
        assert changed["company"] == {**NOTHING, "allow_images": True}
        assert (await client.http.get(PATH)).json() == changed
        assert "allow_images" not in (await put(client, PATH, {"version": 1, **NOTHING}))["company"]
    first, second = await world.rows("SELECT * FROM audit_log WHERE company_id = $1 ORDER BY id", admin.company_id)
    assert json.loads(first["after"]) == {"version": 1, **NOTHING, "allow_images": True}
    assert json.loads(second["after"]) == {"version": 2, **NOTHING}
