"""What goes wrong is said in words, in both languages, and costs neither what was typed nor credits."""

import asyncio
import re
import signal
import sys
import unicodedata
from typing import Final

import pytest
from playwright.async_api import Browser, Page, expect

from b2b_chat.kit.visible import is_blank
from support.browser.chat_page import chat_page, check_once, say, shown_answer, stored
from support.database.world import Person, World
from support.faults.stack import FaultStack
from support.product.sessions import add_session

LANGUAGES: Final = {"en": "en-GB", "ru": "ru-RU"}
IN_BOTH: Final = pytest.mark.parametrize("language", LANGUAGES)
NO_CREDITS: Final = {"en": "credits do not cover an answer", "ru": "Кредитов компании не хватает на ответ"}
LIMITED: Final = {
    "en": re.compile(r"Too many messages.*Try again in [1-9][0-9]? s\."),
    "ru": re.compile(r"Слишком много сообщений.*через [1-9][0-9]? с\."),  # noqa: RUF001 - Russian
}
OFFLINE: Final = {"en": "No connection", "ru": "Нет связи"}
WAITING: Final = {"en": "busy or restarting", "ru": "занят или перезапускается"}
UNKNOWN: Final = {"en": "do not know whether this message arrived", "ru": "Неизвестно, дошло ли"}
UNAVAILABLE: Final = {"en": "not possible now", "ru": "Сейчас это невозможно"}


@IN_BOTH
async def test_402_is_explained_and_what_was_typed_survives_a_reload(
    browser: Browser, stack: FaultStack, world: World, person: Person, language: str
) -> None:
    await world.spend_all(person)
    async with chat_page(browser, stack.url, world, person, language=LANGUAGES[language]) as page:
        await page.goto("/")
        await say(page, "What I typed at length")
        for edited in ("What I typed at length", "What I typed at greater length"):
            await expect(page.locator("#refused")).to_contain_text(NO_CREDITS[language])
            await expect(page.locator("#text")).to_have_value("What I typed at length")
            await expect(page.locator("li.message")).to_have_count(0)
            await page.fill("#text", edited)
            await page.reload()
            await expect(page.locator("#text")).to_have_value(edited)
            await page.fill("#text", "What I typed at length")
        await expect(page.locator("#refused")).to_contain_text(NO_CREDITS[language])
        assert await stored(world, person) == [], "it is not sent again by itself"
        await world.top_up(person.company_id, "1000")
        await page.press("#text", "Enter")
        await shown_answer(page)
        assert await stored(world, person) != []
        await expect(page.locator("li.user")).to_have_count(1)


@IN_BOTH
async def test_429_is_explained_with_its_time(
    browser: Browser, stack: FaultStack, world: World, person: Person, language: str
) -> None:
    product = stack.new_product(stack.new_port(), CHAT_RPM_PER_USER="1")
    await product.start()
    try:
        async with chat_page(browser, product.url, world, person, language=LANGUAGES[language]) as page:
            await page.goto("/")
            await say(page, "First [[simulate: tokens=3]]")
            await shown_answer(page)
            await say(page, "Second")
            await expect(page.locator("li.assistant .failure")).to_contain_text(LIMITED[language])
            assert len(await stored(world, person)) == 2
    finally:
        stack.end_others()


@IN_BOTH
async def test_being_offline_is_shown_and_the_message_is_sent_once_the_network_returns(
    browser: Browser, stack: FaultStack, world: World, person: Person, language: str
) -> None:
    async with chat_page(browser, stack.url, world, person, language=LANGUAGES[language]) as page:
        await page.goto("/")
        await page.context.set_offline(True)
        await say(page, "Hello")
        await expect(page.locator("#status")).to_contain_text(OFFLINE[language])
        assert await stored(world, person) == []
        await page.context.set_offline(False)
        await check_once(page, world, person)
        await expect(page.locator("#status")).to_have_text("")


@IN_BOTH
async def test_a_person_who_stops_waiting_sees_the_state_and_may_retry(
    browser: Browser, stack: FaultStack, world: World, person: Person, language: str
) -> None:
    async with chat_page(browser, stack.url, world, person, language=LANGUAGES[language]) as page:
        await page.goto("/")
        await page.context.set_offline(True)
        await say(page, "Hello")
        await expect(page.locator("#status")).to_contain_text(OFFLINE[language])
        await page.keyboard.press("Escape")
        await expect(page.locator("li.assistant .failure")).to_contain_text(UNKNOWN[language])
        await page.context.set_offline(False)
        await page.click("[data-retry]")
        await check_once(page, world, person)


TOO_LONG: Final = {"en": "8,001 of 8,000 characters", "ru": "8\u00a0001 из 8\u00a0000 знаков"}


@IN_BOTH
async def test_a_text_over_the_limit_is_told_before_it_is_sent_and_stays(
    browser: Browser, stack: FaultStack, world: World, person: Person, language: str
) -> None:
    async with chat_page(browser, stack.url, world, person, language=LANGUAGES[language]) as page:
        await page.goto("/")
        await page.fill("#text", "😀" * 7199)
        await expect(page.locator("#length")).to_be_hidden()
        await page.fill("#text", "😀" * 8001)
        await expect(page.locator("#length")).to_contain_text(TOO_LONG[language])
        await page.press("#text", "Enter")
        await expect(page.locator("#text")).to_have_value("😀" * 8001)
        assert await page.locator("li.message").count() == 0
        await page.fill("#text", "😀" * 8000)
        await page.press("#text", "Enter")
        await expect(page.locator("li.user")).to_have_count(1)
        await shown_answer(page)
        assert len((await stored(world, person))[0][1]) == 8000


CUT: Final = {
    "model": {"en": "cut at the model's limit", "ru": "достигнут предел модели"},
    "limit": {"en": "cut at this installation's limit", "ru": "предел, заданный для этой установки"},
    "balance": {"en": "credits cover no more", "ru": "кредитов компании не хватает"},
}


@IN_BOTH
@pytest.mark.parametrize("cut_by", CUT)
async def test_a_cut_answer_says_so_and_is_gone_on_with(
    browser: Browser, stack: FaultStack, world: World, person: Person, language: str, cut_by: str
) -> None:
    async with chat_page(browser, stack.url, world, person, language=LANGUAGES[language]) as page:
        await page.goto("/")
        await say(page, "Hello [[simulate: tokens=3]]")
        await shown_answer(page)
        await expect(page.locator(".cut")).to_have_count(0)
        await world.rows(
            "UPDATE messages SET finish_reason = 'length', cut_by = $2 WHERE user_id = $1 AND role = 'assistant'",
            person.user_id,
            cut_by,
        )
        await page.reload()
        await expect(page.locator(".cut")).to_contain_text(CUT[cut_by][language])
        if cut_by == "balance":
            await expect(page.locator("[data-continue]")).to_have_count(0)
            return
        await page.click("[data-continue]")
        await shown_answer(page, 2)
        await expect(page.locator("[data-continue]:visible")).to_have_count(0)
        assert len(await stored(world, person)) == 4


async def test_what_the_filter_ended_is_told(page: Page, world: World, person: Person) -> None:
    await page.goto("/")
    await say(page, "Hello [[simulate: tokens=3]]")
    await shown_answer(page)
    await world.rows("UPDATE messages SET finish_reason = 'content_filter' WHERE user_id = $1", person.user_id)
    await page.reload()
    await expect(page.locator(".cut")).to_contain_text("content filter")
    await expect(page.locator("[data-continue]")).to_have_count(0)


@pytest.mark.parametrize(
    ("code", "button"),
    [
        ("content_filtered", "edit"),
        ("context_length_exceeded", "edit"),
        ("message_rejected", "edit"),
        ("gateway_refused", "edit"),
        ("gateway_timeout", "retry"),
        ("answer_empty", "retry"),
        ("model_unavailable", "retry"),
        ("interrupted", "retry"),
    ],
)
async def test_again_is_offered_only_where_it_can_help(
    page: Page, world: World, person: Person, code: str, button: str
) -> None:
    await page.goto("/")
    await say(page, "Hello [[simulate: tokens=3]]")
    await shown_answer(page)
    await world.rows(
        "UPDATE messages SET status = 'error', text = '', usage_json = NULL, error_code = $2, finish_reason = NULL "
        "WHERE user_id = $1 AND role = 'assistant'",
        person.user_id,
        code,
    )
    await page.reload()
    await expect(page.locator(".failure button")).to_have_count(1)
    await page.fill("#text", "typed meanwhile")
    if button == "edit":
        await page.click("[data-edit]")
        await expect(page.locator("#text")).to_have_value("Hello [[simulate: tokens=3]]\n\ntyped meanwhile")
        await expect(page.locator("#text")).to_be_focused()
    else:
        await expect(page.locator("[data-retry]")).to_be_visible()


async def test_stop_before_the_server_has_confirmed_the_message_stops_the_answer(
    browser: Browser, stack: FaultStack, world: World, person: Person
) -> None:
    async with chat_page(browser, stack.url, world, person) as page:
        await page.goto("/")
        stack.product.signal(signal.SIGSTOP)
        await say(page, "Hello [[simulate: tokens=400; tps=20]]")
        await page.keyboard.press("Escape")
        stack.product.signal(signal.SIGCONT)
        await expect(page.locator("li.assistant .cost")).to_contain_text("Stopped", timeout=15_000)
        assert [status for status, _ in await stored(world, person)] == ["completed", "stopped"]


async def test_a_connection_that_falls_silent_mid_answer_is_replaced(
    browser: Browser, stack: FaultStack, world: World, person: Person
) -> None:
    async with chat_page(browser, stack.url, world, person) as page:
        await page.goto("/")
        await say(page, "Hello [[simulate: tokens=60; tps=20]]")
        await expect(page.locator("li.assistant.live .text")).not_to_have_text("", timeout=10_000)
        stack.client_line.replies.freeze()
        await expect(page.locator("#status")).to_contain_text("No connection", timeout=15_000)
        stack.client_line.heal()
        await check_once(page, world, person)


@IN_BOTH
async def test_a_restart_behind_a_proxy_is_waited_for(
    browser: Browser, stack: FaultStack, world: World, person: Person, language: str
) -> None:
    """What nginx answers during a restart, by deploy/nginx."""
    async with chat_page(browser, stack.url, world, person, language=LANGUAGES[language]) as page:
        await page.goto("/")
        unavailable = '{"detail":{"code":"unavailable","message":"The service is restarting."}}'
        await page.route(
            "**/v1/chat",
            lambda route: route.fulfill(status=503, headers={"Retry-After": "1"}, body=unavailable),
            times=2,
        )
        await say(page, "Hello")
        await expect(page.locator("#status")).to_contain_text(WAITING[language])
        await check_once(page, world, person)


@IN_BOTH
async def test_a_page_without_its_database_is_an_error_page(
    browser: Browser, stack: FaultStack, world: World, person: Person, language: str
) -> None:
    async with chat_page(browser, stack.url, world, person, language=LANGUAGES[language]) as page:
        stack.database_line.is_down = True
        stack.database_line.drop_all(reset=True)
        try:
            answer = await page.goto("/")
        finally:
            await stack.heal()
        assert answer is not None
        assert answer.status == 503
        await expect(page.locator("main")).to_contain_text(UNAVAILABLE[language])
        await expect(page.locator("html")).to_have_attribute("lang", language)


async def test_a_session_that_ends_in_between_leads_back_and_the_message_goes_out_once(
    browser: Browser, stack: FaultStack, world: World, person: Person
) -> None:
    async with chat_page(browser, stack.url, world, person) as page:
        await page.goto("/")
        await say(page, "First [[simulate: tokens=3]]")
        await shown_answer(page)
        conversation = page.url
        await world.rows("DELETE FROM sessions WHERE user_id = $1", person.user_id)
        await say(page, "Second [[simulate: tokens=3]]")
        await expect(page).to_have_url(re.compile("/sign-in#/c/"))
        session = await add_session(world, person.user_id, person.company_id)
        await page.context.add_cookies([{"name": "session", "value": session, "url": stack.url}])
        await page.goto(conversation)
        await shown_answer(page, 2)
        assert [text for _, text in await stored(world, person)][2] == "Second [[simulate: tokens=3]]"
        assert len(await stored(world, person)) == 4


async def test_another_person_who_signs_in_in_the_same_tab_sends_nothing_of_it(
    browser: Browser, stack: FaultStack, world: World, person: Person
) -> None:
    other = await world.person()
    async with chat_page(browser, stack.url, world, person) as page:
        await page.goto("/")
        await page.fill("#text", "a draft of hers")
        await world.rows("DELETE FROM sessions WHERE user_id = $1", person.user_id)
        await say(page, "a message of hers")
        await expect(page).to_have_url(re.compile("/sign-in"))
        session = await add_session(world, other.user_id, other.company_id)
        await page.context.add_cookies([{"name": "session", "value": session, "url": stack.url}])
        await page.goto("/")
        await expect(page.locator("#text")).to_be_focused()
        await asyncio.sleep(0.3)  # for what must not happen
        assert await page.input_value("#text") == ""
        assert await page.locator("li.message").count() == 0
        assert await stored(world, other) == []


async def test_the_page_sees_as_the_server_does_what_is_blank_and_how_long_a_text_is(page: Page) -> None:
    await page.goto("/")
    source = await page.locator("script[type=module]").get_attribute("src")
    assert source is not None
    address = source.replace("chat.js", "visible.js")
    characters = [
        chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) not in {"Cs", "Cn"}
    ]
    blank = await page.evaluate(
        "async ([address, texts]) => { const { isBlank } = await import(address); return texts.filter(isBlank); }",
        [address, characters],
    )
    assert set(blank) == {character for character in characters if is_blank(character)}
    texts = ["", "abc", "Привет", "😀", "👨\u200d👩", "e\u0301", "😀" * 5000]
    lengths = await page.evaluate(
        "async ([address, texts]) => { const { lengthOf } = await import(address); return texts.map(lengthOf); }",
        [address, texts],
    )
    assert lengths == [len(text) for text in texts]
