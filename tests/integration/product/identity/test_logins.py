"""Signing in by mail: who gets a link, and what a link and a code allow."""

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from msgspec import structs

from b2b_chat.kit.settings import Secret
from b2b_chat.product.identity.login_mails import MAX_OPEN
from b2b_chat.product.identity.logins import InvalidProof
from b2b_chat.product.identity.schemas import LoginProof
from b2b_chat.product.services import Services, forget_old
from support.database.world import World
from support.product.login_services import BROWSER, MovableClock, make_people
from support.product.sessions import add_member, letters_to


async def ask(people: Services, email: str, times: int = 1) -> None:
    """Ask for links, and have it decided."""
    for _ in range(times):
        await people.logins.request_link(email, "en", BROWSER)
    await people.logins.decide_requested()


async def letters(world: World, email: str) -> list[tuple[LoginProof, LoginProof]]:
    """The proofs in the letters to an address: by the link, and by the code."""
    return [
        (LoginProof(token=fields["link"].partition("#")[2]), LoginProof(email=email, code=fields["code"]))
        for fields in await letters_to(world, email)
    ]


async def signs_in(people: Services, proof: LoginProof) -> bool:
    try:
        signed_in = await people.logins.redeem(proof, BROWSER)
    except InvalidProof:
        return False
    assert (await people.sessions.authenticate(signed_in.session_token)).via == "session"
    return True


async def sessions_of(world: World, email: str) -> int:
    row = await world.row("SELECT count(*) FROM sessions JOIN users ON users.id = user_id WHERE email = $1", email)
    return int(row["count"])


async def outcomes(*attempts: Awaitable[Any]) -> list[bool]:
    """Which of some attempts at once were not refused."""
    results = await asyncio.gather(*attempts, return_exceptions=True)
    assert not [result for result in results if isinstance(result, Exception) and not isinstance(result, InvalidProof)]
    return [not isinstance(result, Exception) for result in results]


@pytest.mark.parametrize("by", [0, 1], ids=["link", "code"])
async def test_each_proof_signs_in_once_and_for_both(world: World, people: Services, by: int) -> None:
    user_id, email = await add_member(world)
    await ask(people, email)
    (proofs,) = await letters(world, email)
    token = (await people.logins.redeem(proofs[by], BROWSER)).session_token
    assert (await people.sessions.authenticate(token)).user_id == user_id
    assert [await signs_in(people, proof) for proof in proofs] == [False, False]
    assert await sessions_of(world, email) == 1


@pytest.mark.parametrize("by", [0, 1], ids=["link", "code"])
async def test_a_hundred_at_once_make_one_session(world: World, people: Services, by: int) -> None:
    _, email = await add_member(world)
    await ask(people, email)
    (proofs,) = await letters(world, email)
    attempts = [people.logins.redeem(proofs[by], BROWSER) for _ in range(100 if by == 0 else 20)]
    assert sum(await outcomes(*attempts)) == 1
    assert await sessions_of(world, email) == 1


async def test_link_and_code_at_once_make_one_session(world: World, people: Services) -> None:
    _, email = await add_member(world)
    await ask(people, email)
    (proofs,) = await letters(world, email)
    assert sum(await outcomes(*[people.logins.redeem(proof, BROWSER) for proof in proofs * 5])) == 1
    assert await sessions_of(world, email) == 1


async def test_the_address_is_known_in_any_case(world: World, people: Services) -> None:
    _, email = await add_member(world)
    await ask(people, email.upper())
    ((_, by_code),) = await letters(world, email)
    assert await signs_in(people, LoginProof(email=email.upper(), code=by_code.code))


async def test_only_known_unblocked_addresses_get_letters(world: World, people: Services) -> None:
    _, blocked = await add_member(world)
    await world.rows("UPDATE users SET blocked_at = now() WHERE email = $1", blocked)
    unknown = f"{uuid4()}@example.test"
    for email in (blocked, unknown):
        await ask(people, email)
        assert await letters(world, email) == []
        challenge = await world.row("SELECT * FROM login_challenges WHERE email = $1", email)
        assert (challenge["state"], challenge["user_id"]) == ("open", None)


async def test_a_person_blocked_meanwhile_is_refused(world: World, people: Services) -> None:
    _, email = await add_member(world)
    await ask(people, email, times=2)
    (by_link, _), (_, by_code) = await letters(world, email)
    await world.rows("UPDATE users SET blocked_at = now() WHERE email = $1", email)
    assert not await signs_in(people, by_link)
    assert not await signs_in(people, by_code)
    assert await sessions_of(world, email) == 0


async def test_the_mail_holds_the_link_and_its_expiry(world: World, clock: MovableClock) -> None:
    _, email = await add_member(world)
    people = make_people(world, clock, public_url="https://chat.example.test/", login_lifetime_seconds=300)
    await ask(people, email)
    (fields,) = await letters_to(world, email)
    assert fields["link"].startswith("https://chat.example.test/auth/verify#")
    assert fields["minutes"] == "5"
    mail = await world.row("SELECT template, language, created_at, useful_until FROM mails WHERE recipient = $1", email)
    assert (mail["template"], mail["language"]) == ("login", "en")
    assert mail["useful_until"] - mail["created_at"] == timedelta(minutes=5)


async def test_resending_keeps_earlier_links_and_three_are_live_at_most(world: World, people: Services) -> None:
    _, email = await add_member(world)
    await ask(people, email, times=MAX_OPEN + 2)
    proofs = await letters(world, email)
    assert len(proofs) == MAX_OPEN
    assert [await signs_in(people, by_link) for by_link, _ in proofs] == [True] * MAX_OPEN


async def test_deciding_at_once_lets_three_live_at_most(world: World, people: Services) -> None:
    _, email = await add_member(world)
    for _ in range(10):
        await people.logins.request_link(email, "ru", BROWSER)
    await asyncio.gather(*[people.logins.decide_requested() for _ in range(5)])
    assert len(await letters(world, email)) == MAX_OPEN


async def test_one_that_is_over_makes_room(world: World, people: Services, clock: MovableClock) -> None:
    _, email = await add_member(world)
    await ask(people, email, times=MAX_OPEN)
    first, *_ = await letters(world, email)
    assert await signs_in(people, first[0])
    await ask(people, email, times=2)
    assert len(await letters(world, email)) == MAX_OPEN + 1
    clock.pass_time(minutes=10)
    await ask(people, email, times=MAX_OPEN + 1)
    assert len(await letters(world, email)) == 2 * MAX_OPEN + 1


@pytest.mark.parametrize("by", [0, 1], ids=["link", "code"])
async def test_it_works_for_ten_minutes(world: World, people: Services, clock: MovableClock, by: int) -> None:
    _, email = await add_member(world)
    await ask(people, email, times=2)
    early, late = await letters(world, email)
    clock.pass_time(minutes=9, seconds=59)
    assert await signs_in(people, early[by])
    clock.pass_time(seconds=1)
    assert not await signs_in(people, late[by])


async def test_the_ten_minutes_begin_when_it_is_decided(world: World, people: Services, clock: MovableClock) -> None:
    _, email = await add_member(world)
    await people.logins.request_link(email, "en", BROWSER)
    clock.pass_time(minutes=30)
    await people.logins.decide_requested()
    ((by_link, _),) = await letters(world, email)
    clock.pass_time(minutes=9)
    assert await signs_in(people, by_link)


async def test_a_code_is_of_its_address_alone(world: World, people: Services) -> None:
    _, email = await add_member(world)
    _, other = await add_member(world)
    await ask(people, email)
    await ask(people, other)
    ((_, by_code),) = await letters(world, email)
    ((_, others_code),) = await letters(world, other)
    if by_code.code != others_code.code:
        assert not await signs_in(people, LoginProof(email=other, code=by_code.code))
    assert await signs_in(people, by_code)


async def test_the_code_of_an_unknown_address_admits_no_one(world: World, people: Services) -> None:
    """Even one that is guessed right: there is no user behind it."""
    unknown = f"{uuid4()}@example.test"
    await ask(people, unknown)
    known_hash = people.logins._codes.hash(f"{unknown}\n12345678")
    await world.rows("UPDATE login_challenges SET code_hash = $2 WHERE email = $1", unknown, known_hash)
    assert not await signs_in(people, LoginProof(email=unknown, code="12345678"))


async def test_mails_to_an_address_are_limited_silently(world: World, clock: MovableClock) -> None:
    _, email = await add_member(world)
    people = make_people(world, clock, login_mails_per_email_ip_hour=1, login_mails_per_email_hour=2)
    for ip in ("192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.3"):
        await people.logins.request_link(email, "en", structs.replace(BROWSER, client_ip=ip))
    await people.logins.decide_requested()
    assert len(await letters(world, email)) == 2
    states = await world.rows("SELECT state FROM login_challenges WHERE email = $1 ORDER BY id", email)
    assert [row["state"] for row in states] == ["open", "declined", "open", "declined"]


async def test_proofs_are_nowhere_in_the_database(world: World, people: Services) -> None:
    _, email = await add_member(world)
    await ask(people, email)
    ((by_link, by_code),) = await letters(world, email)
    token = (await people.logins.redeem(by_link, BROWSER)).session_token
    stored = str(
        await world.rows("SELECT t::text FROM login_challenges t WHERE email = $1", email)
        + await world.rows("SELECT t::text FROM mails t WHERE recipient = $1", email)
        + await world.rows("SELECT t::text FROM sessions t")
    )
    for secret in (by_link.token or "", by_code.code or "", token):
        assert secret not in stored
        assert secret.encode().hex() not in stored


async def test_links_survive_the_rotation_of_their_secret_once(world: World, clock: MovableClock) -> None:
    _, email = await add_member(world)
    first, second, third = (Secret(letter * 40) for letter in "abc")
    await ask(make_people(world, clock, auth_token_secret=first), email, times=2)
    mails = await world.rows("SELECT sealed_fields FROM mails WHERE recipient = $1 ORDER BY id", email)
    rotated = make_people(world, clock, auth_token_secret=second, auth_token_secret_previous=first)
    opened = [rotated.seal.open(row["sealed_fields"]) for row in mails]
    proofs = [LoginProof(token=fields["link"].partition("#")[2]) for fields in opened if fields]
    assert await signs_in(rotated, proofs[0])
    rotated_twice = make_people(world, clock, auth_token_secret=third, auth_token_secret_previous=second)
    assert not await signs_in(rotated_twice, proofs[1])


async def test_old_challenges_are_deleted(world: World, people: Services, clock: MovableClock) -> None:
    _, email = await add_member(world)
    await ask(people, email)
    ((by_link, _),) = await letters(world, email)
    await people.logins.redeem(by_link, BROWSER)
    await world.rows("UPDATE mails SET state = 'sent', resolved_at = $1, sealed_fields = NULL", clock())
    for days, left in ((0, (1, 1, 1)), (2, (0, 1, 1)), (29, (0, 1, 0)), (60, (0, 0, 0))):
        clock.pass_time(days=days)
        await forget_old(people)
        challenges = await world.rows("SELECT 1 FROM login_challenges WHERE email = $1", email)
        mails = await world.rows("SELECT 1 FROM mails WHERE recipient = $1", email)
        assert (len(challenges), await sessions_of(world, email), len(mails)) == left
