"""Codes belong to the one who asked for them: what strangers do to an address keeps its owner out of nothing."""

import asyncio
from typing import Final
from uuid import uuid4

import pytest
from msgspec import structs

from b2b_chat.kit.settings import Secret
from b2b_chat.product.identity.login_mails import MAX_OPEN
from b2b_chat.product.identity.logins import MAX_WRONG_CODES, InvalidProof
from b2b_chat.product.identity.schemas import LoginProof
from b2b_chat.product.identity.sessions import Browser
from b2b_chat.product.limits.service import RateLimited
from b2b_chat.product.services import Services
from support.database.world import World
from support.product.login_services import BROWSER, MovableClock, make_people
from support.product.sessions import add_member, letters_to
from support.telemetry.counts import Counts

GUESSES: Final = 10
STRANGER: Final = Browser(client_ip="198.51.100.7", user_agent="Stranger/1.0")


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def people(world: World, clock: MovableClock) -> Services:
    """With the limits of mails that an installation has."""
    return make_people(
        world, clock,
        login_mails_per_email_ip_hour=10, login_mails_per_email_hour=20, login_mails_per_known_browser_hour=5,
    )  # fmt: skip


async def ask(people: Services, email: str, browser: Browser = BROWSER) -> Browser:
    """Ask for a mail, have it decided, and return the browser with what it was given."""
    login_request = await people.logins.request_link(email, "en", browser)
    await people.logins.decide_requested()
    return structs.replace(browser, login_request=login_request)


async def latest(world: World, email: str) -> tuple[LoginProof, LoginProof]:
    """The link and the code of the latest mail."""
    fields = (await letters_to(world, email))[-1]
    return LoginProof(token=fields["link"].partition("#")[2]), LoginProof(email=email, code=fields["code"])


def wrong(email: str) -> LoginProof:
    return LoginProof(email=email, code="0000 0000")


async def guess(people: Services, email: str, browser: Browser, times: int) -> None:
    for _ in range(times):
        with pytest.raises(InvalidProof):
            await people.logins.redeem(wrong(email), browser)


async def signs_in(people: Services, proof: LoginProof, browser: Browser) -> bool:
    try:
        await people.logins.redeem(proof, browser)
    except InvalidProof:
        return False
    return True


@pytest.mark.parametrize("by", [0, 1], ids=["link", "code"])
async def test_a_strangers_wrong_codes_end_nothing_of_the_owner(world: World, people: Services, by: int) -> None:
    _, email = await add_member(world)
    owner = await ask(people, email)
    await guess(people, email, STRANGER, GUESSES)
    assert await signs_in(people, (await latest(world, email))[by], owner)


async def test_a_stranger_who_asks_and_guesses_keeps_no_owner_out(world: World, people: Services) -> None:
    """As it was found: twenty requests from two addresses, then wrong codes; the owner never got in again."""
    _, email = await add_member(world)
    stranger = STRANGER
    for number in range(20):
        stranger = await ask(people, email, structs.replace(STRANGER, client_ip=f"198.51.100.{number % 2}"))
    await guess(people, email, stranger, MAX_WRONG_CODES)
    owner = await ask(people, email)
    # The mails that strangers asked for are the owner's too: their links work, in any browser.
    assert await signs_in(people, (await latest(world, email))[0], owner)


async def test_an_hour_of_strangers_requests_leaves_the_owner_a_link_at_any_time(
    world: World, people: Services, clock: MovableClock
) -> None:
    _, email = await add_member(world)
    for minute in range(180):
        await ask(people, email, structs.replace(STRANGER, client_ip=f"198.51.100.{minute}"))
        live = await world.row(
            "SELECT count(*) FROM login_challenges WHERE email = $1 AND state = 'open' AND expires_at > $2",
            email, clock(),
        )  # fmt: skip
        assert live["count"] >= 1
        clock.pass_time(minutes=1)
    assert await signs_in(people, (await latest(world, email))[0], await ask(people, email))


async def test_declined_requests_use_nothing_up(world: World, people: Services, clock: MovableClock) -> None:
    _, email = await add_member(world)
    for _ in range(100):
        await ask(people, email, STRANGER)
    assert len(await letters_to(world, email)) == MAX_OPEN
    clock.pass_time(minutes=10)
    await ask(people, email, STRANGER)
    assert len(await letters_to(world, email)) == MAX_OPEN + 1


async def test_the_askers_wrong_codes_end_the_code_and_not_the_link(world: World, people: Services) -> None:
    _, email = await add_member(world)
    owner = await ask(people, email)
    by_link, by_code = await latest(world, email)
    await guess(people, email, owner, MAX_WRONG_CODES)
    assert not await signs_in(people, by_code, owner)
    assert await signs_in(people, by_link, owner)


async def test_fewer_do_not_end_the_code(world: World, people: Services) -> None:
    _, email = await add_member(world)
    owner = await ask(people, email)
    await guess(people, email, owner, MAX_WRONG_CODES - 1)
    assert await signs_in(people, (await latest(world, email))[1], owner)


async def test_all_codes_that_one_browser_asked_for_work_there(world: World, people: Services) -> None:
    _, email = await add_member(world)
    owner = await ask(people, email)
    first = (await latest(world, email))[1]
    assert await ask(people, email, owner) == owner
    assert await signs_in(people, (await latest(world, email))[1], owner)
    assert await signs_in(people, first, owner)


@pytest.mark.parametrize("made_up", ["", "x" * 42, "x" * 44, "x" * 42 + ";", "\u0661" * 43])
async def test_only_what_was_given_out_is_given_out_again(world: World, people: Services, made_up: str) -> None:
    _, email = await add_member(world)
    asker = await ask(people, email, structs.replace(BROWSER, login_request=made_up))
    assert asker.login_request != made_up
    assert len(asker.login_request or "") == 43


async def test_a_browser_takes_no_code_that_another_one_asked_for(world: World, people: Services) -> None:
    _, email = await add_member(world)
    owner = await ask(people, email)
    _, by_code = await latest(world, email)
    stranger = await ask(people, email, STRANGER)
    assert not await signs_in(people, by_code, stranger)
    assert await signs_in(people, by_code, owner)


async def test_the_value_may_come_with_the_proof(world: World, people: Services) -> None:
    _, email = await add_member(world)
    owner = await ask(people, email)
    await guess(people, email, STRANGER, GUESSES)
    _, by_code = await latest(world, email)
    with pytest.raises(RateLimited):
        await people.logins.redeem(by_code, BROWSER)
    by_code = structs.replace(by_code, login_request=owner.login_request or "")
    assert await signs_in(people, by_code, BROWSER)


async def test_callers_who_know_nothing_of_it_sign_in_as_before(world: World, people: Services) -> None:
    _, email = await add_member(world)
    await ask(people, email)
    assert await signs_in(people, (await latest(world, email))[1], BROWSER)


@pytest.mark.parametrize("is_known", [True, False])
@pytest.mark.parametrize("asks", [True, False])
async def test_ten_wrong_codes_a_day_are_all_that_an_address_gets(
    world: World, people: Services, clock: MovableClock, is_known: bool, asks: bool
) -> None:
    """From callers that ask for mails again and again, and from others; for any address."""
    email = (await add_member(world))[1] if is_known else f"{uuid4()}@example.test"
    asker = STRANGER
    for tried in range(GUESSES):
        if tried % (MAX_WRONG_CODES - 1) == 0:
            clock.pass_time(minutes=10)
            asker = await ask(people, email, STRANGER)
        await guess(people, email, asker if asks else STRANGER, 1)
    asker = await ask(people, email, STRANGER)
    with pytest.raises(RateLimited) as refused:
        await people.logins.redeem(wrong(email), asker if asks else STRANGER)
    wait = int(refused.value.headers["Retry-After"])
    assert 82_000 < wait <= 87_000
    clock.pass_time(seconds=wait)
    asker = await ask(people, email, STRANGER)
    await guess(people, email, asker if asks else STRANGER, 1)
    if is_known:
        assert await signs_in(people, (await latest(world, email))[1], asker)


async def test_guesses_at_once_are_all_counted(world: World, people: Services) -> None:
    _, email = await add_member(world)
    owner = await ask(people, email)
    attempts = [people.logins.redeem(wrong(email), browser) for browser in (owner, STRANGER) for _ in range(15)]
    results = await asyncio.gather(*attempts, return_exceptions=True)
    assert [type(result) for result in results[:15]] == [InvalidProof] * 15
    assert sorted(type(result).__name__ for result in results[15:]) == ["InvalidProof"] * 10 + ["RateLimited"] * 5
    row = await world.row("SELECT wrong_codes, strangers_wrong_codes FROM login_challenges WHERE email = $1", email)
    assert tuple(row.values()) == (MAX_WRONG_CODES, GUESSES)


async def known_browser(world: World, people: Services, email: str, **changes: object) -> Browser:
    """A browser that has signed in with an address."""
    owner = await ask(people, email)
    signed_in = await people.logins.redeem((await latest(world, email))[0], owner)
    return structs.replace(BROWSER, known_browser=signed_in.known_browser, **changes)


async def test_a_browser_that_signed_in_before_keeps_a_share_of_mails_and_guesses(
    world: World, people: Services, clock: MovableClock
) -> None:
    _, email = await add_member(world)
    owner = await known_browser(world, people, email)
    for number in range(30):
        await ask(people, email, structs.replace(STRANGER, client_ip=f"198.51.100.{number}"))
        if number % 3 == 0:
            clock.pass_time(minutes=2)
    await guess(people, email, STRANGER, GUESSES)
    before = len(await letters_to(world, email))
    owner = await ask(people, email, owner)
    assert len(await letters_to(world, email)) == before + 1
    assert await signs_in(people, (await latest(world, email))[1], owner)


async def test_that_share_has_an_end(world: World, people: Services, clock: MovableClock) -> None:
    _, email = await add_member(world)
    owner = await known_browser(world, people, email)
    before = len(await letters_to(world, email))
    for _ in range(10):
        await ask(people, email, owner)
        clock.pass_time(minutes=5)
    assert len(await letters_to(world, email)) == before + 5


async def test_a_known_browser_is_one_for_its_address(world: World, people: Services, clock: MovableClock) -> None:
    (_, email), (_, other) = await add_member(world), await add_member(world)
    cookie = (await known_browser(world, people, email)).known_browser or ""
    recognise = people.logins._known_browsers.recognise
    assert recognise(email, cookie) is not None
    name, made_at, mac = cookie.split(".")
    forged = ("", "x", cookie[:-1], f"{name}.{int(made_at) + 1}.{mac}", f"{'A' * 22}.{made_at}.{mac}", f"{cookie}.x")
    assert [recognise(email, one) for one in forged] == [None] * len(forged)
    assert recognise(other, cookie) is None
    clock.pass_time(days=179)
    assert recognise(email, cookie) is not None
    clock.pass_time(days=2)
    assert recognise(email, cookie) is None


async def test_a_known_browser_outlasts_one_rotation(world: World, clock: MovableClock) -> None:
    _, email = await add_member(world)
    cookie = make_people(world, clock).logins._known_browsers.cookie_for(email)
    secrets = {"auth_token_secret": Secret("x" * 40)}
    assert make_people(world, clock, **secrets).logins._known_browsers.recognise(email, cookie) is None
    previous = make_people(world, clock).settings.auth_token_secret
    rotated = make_people(world, clock, **secrets, auth_token_secret_previous=previous)
    assert rotated.logins._known_browsers.recognise(email, cookie) is not None


async def test_wrong_codes_are_a_metric(world: World, people: Services) -> None:
    _, email = await add_member(world)
    owner = await ask(people, email)
    counts = Counts("product_wrong_login_codes_total")
    await guess(people, email, owner, 2)
    await guess(people, f"{uuid4()}@example.test", STRANGER, 1)
    await signs_in(people, LoginProof(token="none"), STRANGER)
    await signs_in(people, (await latest(world, email))[1], owner)
    assert counts.risen() == {"product_wrong_login_codes_total": 3}


async def test_a_link_shows_whom_it_signs_in_and_is_not_used_up(world: World, people: Services) -> None:
    _, email = await add_member(world)
    owner = await ask(people, email)
    by_link, _ = await latest(world, email)
    for browser, is_here in ((owner, True), (STRANGER, False), (structs.replace(STRANGER, login_request="x"), False)):
        shown = await people.logins.show_link(str(by_link.token), browser)
        assert (shown.email, shown.is_asked_for_here) == (email, is_here)
    assert await signs_in(people, by_link, STRANGER)
    with pytest.raises(InvalidProof):
        await people.logins.show_link(str(by_link.token), owner)
