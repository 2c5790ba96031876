"""Who was only invited gets few login mails, whatever their address is spelt like, and only while an invite is open."""

from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest
from msgspec import structs

from b2b_chat.product.services import Services
from support.database.world import World
from support.product.login_services import BROWSER, MovableClock, make_people
from support.product.sessions import add_member, add_user, letters_to

A_DAY = timedelta(days=1)


async def add_invited(world: World, until: datetime, email: str, state: str = "pending") -> UUID:
    """A user who was invited into a company and belongs to none; returns the invite's id."""
    inviter = await world.person(role="owner")
    await add_user(world, email)
    invite_id = uuid4()
    await world.rows(
        "INSERT INTO invites (id, company_id, email, role, language, token_hash, state, invited_by, created_at, "
        "sent_at, expires_at, closed_at) VALUES ($1, $2, $3, 'member', 'en', $4, $5, $6, now(), now(), $7, $8)",
        invite_id, inviter.company_id, email, invite_id.bytes, state, inviter.user_id, until,
        None if state == "pending" else until,
    )  # fmt: skip
    return invite_id


async def ask(people: Services, *emails: str) -> None:
    for email in emails:
        await people.logins.request_link(email, "en", structs.replace(BROWSER, client_ip=f"192.0.2.{len(email)}"))
    await people.logins.decide_requested()


async def mails_to(world: World, *emails: str) -> int:
    return sum([len(await letters_to(world, email)) for email in emails])


async def test_an_invited_person_gets_mails_while_the_invite_is_open(
    world: World, people: Services, clock: MovableClock
) -> None:
    email = f"{uuid4()}@example.test"
    await add_invited(world, clock() + A_DAY, email)
    await ask(people, email)
    assert await mails_to(world, email) == 1
    clock.pass_time(days=1)
    await ask(people, email)
    assert await mails_to(world, email) == 1


@pytest.mark.parametrize("state", ["revoked", "accepted"])
async def test_a_closed_invite_brings_no_mails(world: World, people: Services, clock: MovableClock, state: str) -> None:
    email = f"{uuid4()}@example.test"
    await add_invited(world, clock() + A_DAY, email, state)
    await ask(people, email)
    assert await mails_to(world, email) == 0
    challenge = await world.row("SELECT state, user_id FROM login_challenges WHERE email = $1", email)
    assert challenge == {"state": "open", "user_id": None}


async def test_an_operator_gets_mails_without_a_company(world: World, people: Services) -> None:
    user_id, email = await add_user(world)
    await world.rows("INSERT INTO operators (user_id) VALUES ($1)", user_id)
    await ask(people, email)
    assert await mails_to(world, email) == 1


async def test_sub_addresses_share_what_their_mailbox_gets(world: World, people: Services, clock: MovableClock) -> None:
    """As it was found: sixty invited sub-addresses, and as many login mails to each as its own limit let through."""
    name = uuid4().hex
    emails = [f"{name}+{number}@gmail.com" for number in range(6)] + [f"{name[:9]}.{name[9:]}+x@googlemail.com"]
    for email in emails:
        await add_invited(world, clock() + A_DAY, email)
    await ask(people, *emails * 3)
    assert await mails_to(world, *emails) == 10
    clock.pass_time(minutes=61)
    await ask(people, emails[0])
    assert await mails_to(world, *emails) == 11


async def test_a_members_mails_are_not_used_up_by_invited_sub_addresses(
    world: World, people: Services, clock: MovableClock
) -> None:
    name = uuid4().hex
    _, email = await add_member(world, f"{name}@example.test")
    invited = [f"{name}+{number}@example.test" for number in range(6)]
    for each in invited:
        await add_invited(world, clock() + A_DAY, each)
    await ask(people, *invited * 3)
    await ask(people, email)
    assert await mails_to(world, email) == 1


async def test_all_invited_people_of_a_domain_share_a_limit(world: World, clock: MovableClock) -> None:
    people = make_people(world, clock, login_mails_per_invited_domain_hour=4)
    domain = f"{uuid4().hex}.example"
    emails = [f"catch-{number}@{domain}" for number in range(6)]
    for email in emails:
        await add_invited(world, clock() + A_DAY, email)
    _, member = await add_member(world, f"member@{domain}")
    await ask(people, *emails, member)
    assert (await mails_to(world, *emails), await mails_to(world, member)) == (4, 1)


async def test_people_of_a_public_provider_do_not(world: World, clock: MovableClock) -> None:
    people = make_people(world, clock, login_mails_per_invited_domain_hour=1)
    await ask(people, *[f"{uuid4()}@example.test" for _ in range(3)])  # whom nobody knows, and who count nowhere
    emails = [f"{uuid4().hex}@mail.ru" for _ in range(3)]
    for email in emails:
        await add_invited(world, clock() + A_DAY, email)
    await ask(people, *emails)
    assert await mails_to(world, *emails) == 3
