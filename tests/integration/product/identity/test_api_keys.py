"""API keys: whom they act for, how far, and when they were last used."""

from datetime import UTC, datetime, timedelta

import pytest

from b2b_chat.kit.database import Database
from b2b_chat.product.identity.key_form import new_api_key
from b2b_chat.product.services import Services
from b2b_chat.product.viewer import CompanyBlocked, Unauthenticated, UserBlocked
from b2b_chat.product.vocabulary import Scope
from support.database.world import Person, World, open_world
from support.product.app import client_of, error_of
from support.product.login_services import MovableClock, make_people


@pytest.mark.parametrize(
    ("role", "scopes"),
    [("member", {"chat", "read"}), ("admin", {"chat", "read", "admin"}), ("owner", {"chat", "read", "admin"})],
)
async def test_it_goes_no_further_than_its_users_role(
    world: World, people: Services, role: str, scopes: set[str]
) -> None:
    person = await world.person(scopes=list(Scope))
    await world.rows("UPDATE memberships SET role = $2 WHERE user_id = $1", person.user_id, role)
    viewer = await people.api_keys.authenticate(person.api_key)
    assert (set(map(str, viewer.scopes)), str(viewer.role), viewer.via) == (scopes, role, "api_key")
    assert (viewer.user_id, viewer.company_id, viewer.session_id) == (person.user_id, person.company_id, None)


async def test_it_goes_no_further_than_its_scopes(world: World, people: Services) -> None:
    person = await world.person(scopes=[Scope.READ])
    assert (await people.api_keys.authenticate(person.api_key)).scopes == {Scope.READ}


@pytest.mark.parametrize(
    ("statement", "refusal"),
    [
        ("UPDATE users SET blocked_at = now() WHERE id = $1 AND $2::uuid IS NOT NULL", UserBlocked),
        ("UPDATE memberships SET blocked_at = now() WHERE user_id = $1 AND company_id = $2", UserBlocked),
        ("UPDATE companies SET blocked_at = now() WHERE $1::uuid IS NOT NULL AND id = $2", CompanyBlocked),
        ("UPDATE api_keys SET expires_at = now() WHERE user_id = $1 AND company_id = $2", Unauthenticated),
        ("UPDATE api_keys SET revoked_at = now() WHERE user_id = $1 AND company_id = $2", Unauthenticated),
        ("DELETE FROM memberships WHERE user_id = $1 AND company_id = $2", Unauthenticated),
    ],
)
async def test_what_ends_it(
    world: World, people: Services, product_url: str, person: Person, statement: str, refusal: type[Exception]
) -> None:
    await people.api_keys.authenticate(person.api_key)
    await world.rows(statement, person.user_id, person.company_id)
    with pytest.raises(refusal):
        await people.api_keys.authenticate(person.api_key)
    async with client_of(product_url, person) as client:
        assert error_of(await client.http.get("/v1/balance")) == (refusal.status, refusal.code)  # type: ignore[attr-defined] # all are refusals


async def test_one_that_expires_later_is_good(world: World, people: Services, person: Person) -> None:
    later = datetime.now(UTC) + timedelta(minutes=1)
    await world.rows("UPDATE api_keys SET expires_at = $2 WHERE user_id = $1", person.user_id, later)
    await people.api_keys.authenticate(person.api_key)


async def test_its_last_use_is_written_once_in_a_while(
    world: World, people: Services, person: Person, clock: MovableClock
) -> None:
    async def last_used() -> datetime | None:
        row = await world.row("SELECT last_used_at FROM api_keys WHERE user_id = $1", person.user_id)
        used: datetime | None = row["last_used_at"]
        return used

    for _ in range(3):
        clock.pass_time(seconds=1)
        await people.api_keys.authenticate(person.api_key)
    assert await last_used() is None
    await people.last_use.write()
    assert await last_used() == clock()
    await people.last_use.write()
    # A process that was slower to write it down does not turn it back.
    earlier = MovableClock()
    earlier.now = clock() - timedelta(minutes=5)
    slower = make_people(world, earlier)
    await slower.api_keys.authenticate(person.api_key)
    await slower.last_use.finish()
    assert await last_used() == clock()


async def test_an_unknown_one_is_refused(people: Services) -> None:
    with pytest.raises(Unauthenticated):
        await people.api_keys.authenticate(new_api_key())


async def test_a_database_that_is_away_at_the_end_keeps_no_process_from_ending(
    people: Services, person: Person, database_url: str, clock: MovableClock
) -> None:
    await people.api_keys.authenticate(person.api_key)
    busy = Database(database_url, pool_size=1, session_pool_size=1, acquire_seconds=0.1, statement_seconds=10)
    await busy.open()
    async with open_world(database_url) as world:
        world.database = busy
        last = make_people(world, clock)
        await last.api_keys.authenticate(person.api_key)
        async with busy.connection():  # the only one that there is
            await last.last_use.finish()
    await busy.close()
