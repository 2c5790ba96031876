"""Who is let in by an API key, and to what."""

from importlib.metadata import version

import pytest

from b2b_chat.product.identity.key_form import new_api_key
from b2b_chat.product.vocabulary import Scope
from support.database.world import Person, World
from support.product.app import Client, client_of, error_of

READS = [
    "/v1/balance",
    "/v1/ledger",
    "/v1/conversations",
    "/v1/conversations/0198a1b2-0000-7000-8000-000000000000/messages",
]


def wrong_headers(key: str) -> dict[str, str]:
    other_end = "0" if key[-1] != "0" else "1"
    return {
        "no scheme": key,
        "another scheme": f"Basic {key}",
        "no key": "Bearer ",
        "the scheme alone": "Bearer",
        "another form": "Bearer sk-123",
        "one character short": f"Bearer {key[:-1]}",
        "one character long": f"Bearer {key}0",
        "a wrong checksum": f"Bearer {key[:-1]}{other_end}",
        "upper case": f"Bearer {key.upper()}",
        "a space inside": f"Bearer {key[:10]} {key[10:]}",
        "two keys": f"Bearer {key}, Bearer {key}",
        "a key that nobody has": f"Bearer {new_api_key()}",
    }


@pytest.mark.parametrize("how", wrong_headers("b2b_0"))
async def test_a_wrong_key_is_refused_everywhere(product_url: str, person: Person, how: str) -> None:
    headers = {"Authorization": wrong_headers(person.api_key)[how].strip()}
    async with client_of(product_url, None) as client:
        responses = [await client.http.get(path, headers=headers) for path in READS]
        responses.append(await client.http.post("/v1/chat", json=client.message(), headers=headers))
        responses.append(await client.http.post("/v1/chat", content=b"not even JSON", headers=headers))
    for response in responses:
        assert error_of(response) == (401, "unauthenticated")
        assert response.headers["www-authenticate"].startswith("Bearer")


async def test_without_a_key(product_url: str) -> None:
    async with client_of(product_url, None) as client:
        assert error_of(await client.send()) == (401, "unauthenticated")
        assert error_of(await client.http.get("/v1/balance")) == (401, "unauthenticated")
        assert (await client.http.get("/health")).json() == {"status": "ok", "version": version("b2b-chat")}


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER  "])
async def test_the_scheme_is_read_in_any_case(product_url: str, person: Person, scheme: str) -> None:
    async with client_of(product_url, None) as client:
        response = await client.http.get("/v1/balance", headers={"Authorization": scheme + person.api_key})
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ("revoked_at = now()", 401),
        ("expires_at = now() - interval '1 second'", 401),
        ("expires_at = now()", 401),
        ("expires_at = now() + interval '1 hour'", 200),
    ],
)
async def test_a_key_lives_until_it_is_revoked_or_expires(
    client: Client, world: World, person: Person, change: str, status: int
) -> None:
    assert (await client.http.get("/v1/balance")).status_code == 200
    await world.rows(f"UPDATE api_keys SET {change} WHERE user_id = $1", person.user_id)  # noqa: S608 - our own words
    assert (await client.http.get("/v1/balance")).status_code == status


async def test_a_key_ends_with_its_owners_membership(client: Client, world: World, person: Person) -> None:
    await world.rows("DELETE FROM memberships WHERE user_id = $1", person.user_id)
    assert error_of(await client.http.get("/v1/balance")) == (401, "unauthenticated")


async def test_a_key_does_what_its_scopes_name(product_url: str, world: World) -> None:
    async with client_of(product_url, await world.person(scopes=[Scope.CHAT])) as client:
        answer = await client.ask()
        for path in [*READS[:3], f"/v1/conversations/{answer['conversation_id']}/messages"]:
            assert error_of(await client.http.get(path)) == (403, "scope_missing")
    async with client_of(product_url, await world.person(scopes=[Scope.READ])) as client:
        assert (await client.http.get("/v1/balance")).status_code == 200
        assert error_of(await client.send()) == (403, "scope_missing")
        assert error_of(await client.send(stream=True)) == (403, "scope_missing")
    async with client_of(product_url, await world.person(scopes=[])) as client:
        assert error_of(await client.http.get("/v1/balance")) == (403, "scope_missing")


async def test_the_key_itself_is_nowhere_in_the_database(world: World, person: Person) -> None:
    row = await world.row("SELECT * FROM api_keys WHERE user_id = $1", person.user_id)
    assert person.api_key not in str(row)
    assert person.api_key.startswith(row["prefix"])
    assert len(row["key_hash"]) == 32
