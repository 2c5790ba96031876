"""Limits that pass by themselves are explained in words, in both languages, with a wait and a button to try again."""

import re
from typing import Final

import pytest
from playwright.async_api import Browser, expect

from support.browser.chat_page import chat_page, check_once, say, shown_answer, stored
from support.database.world import Person, World
from support.faults.stack import FaultStack

LANGUAGES: Final = {"en": "en-GB", "ru": "ru-RU"}
IN_BOTH: Final = pytest.mark.parametrize("language", LANGUAGES)
HELD: Final = {
    "en": re.compile(r"set aside for answers.*Try again in [1-9][0-9]? s"),
    "ru": re.compile(r"зарезервированы под ответы.*через [1-9][0-9]? с"),  # noqa: RUF001 - Russian
}
TOO_MANY: Final = {
    "en": re.compile(r"limit of answers at once.*try again in [1-9][0-9]? s\."),
    "ru": re.compile(r"предельное число ваших ответов.*через [1-9][0-9]? с\."),  # noqa: RUF001 - Russian
}
COMPANY_BUSY: Final = {
    "en": "Your company has reached its limit of answers at once. Try again in a few seconds.",
    "ru": "Модель уже отвечает вашей компании на предельное число вопросов. Попробуйте через несколько секунд.",
}


@IN_BOTH
async def test_credits_that_other_answers_hold_are_explained_with_a_wait(
    browser: Browser, stack: FaultStack, world: World, person: Person, language: str
) -> None:
    await world.rows(
        "UPDATE accounts SET held_credits = balance_credits WHERE company_id = $1 RETURNING 1", person.company_id
    )
    async with chat_page(browser, stack.url, world, person, language=LANGUAGES[language]) as page:
        await page.goto("/")
        await say(page, "Hello")
        await expect(page.locator("li.assistant .failure")).to_contain_text(HELD[language])
        assert await stored(world, person) == []
        await world.rows("UPDATE accounts SET held_credits = 0 WHERE company_id = $1 RETURNING 1", person.company_id)
        await page.click("[data-retry]")
        await check_once(page, world, person)


@IN_BOTH
async def test_too_many_open_answers_are_explained_with_a_wait(
    browser: Browser, stack: FaultStack, world: World, person: Person, language: str
) -> None:
    product = stack.new_product(stack.new_port(), CHAT_OPEN_ANSWERS_PER_USER="1")
    await product.start()
    try:
        async with (
            chat_page(browser, product.url, world, person, language=LANGUAGES[language]) as page,
            chat_page(browser, product.url, world, person, language=LANGUAGES[language]) as elsewhere,
        ):
            await elsewhere.goto("/")
            await say(elsewhere, "First [[simulate: tokens=4000; tps=20]]")
            await expect(elsewhere.locator("li.assistant.live .text")).not_to_have_text("", timeout=10_000)
            await page.goto("/")
            await say(page, "Second [[simulate: tokens=3]]")
            await expect(page.locator("li.assistant .failure")).to_contain_text(TOO_MANY[language])
            await elsewhere.keyboard.press("Escape")
            await expect(elsewhere.locator("li.assistant .cost")).to_be_visible(timeout=15_000)
            await page.click("[data-retry]")
            await shown_answer(page)
            assert [status for status, _ in await stored(world, person)] == ["completed", "stopped"] + 2 * ["completed"]
    finally:
        stack.end_others()


@IN_BOTH
async def test_a_company_at_its_share_of_the_model_is_told_to_wait(
    browser: Browser, stack: FaultStack, world: World, person: Person, language: str
) -> None:
    await stack.replaced(
        stack.gateway, stack.gateway_line, UPSTREAM_MAX_CONNECTIONS="2", UPSTREAM_COMPANY_SHARE_PERCENT="50"
    )
    try:
        async with (
            chat_page(browser, stack.url, world, person, language=LANGUAGES[language]) as page,
            chat_page(browser, stack.url, world, person, language=LANGUAGES[language]) as elsewhere,
        ):
            await elsewhere.goto("/")
            await say(elsewhere, "First [[simulate: tokens=4000; tps=20]]")
            await expect(elsewhere.locator("li.assistant.live .text")).not_to_have_text("", timeout=10_000)
            await page.goto("/")
            await say(page, "Second [[simulate: tokens=3]]")
            await expect(page.locator("li.assistant .failure")).to_contain_text(COMPANY_BUSY[language], timeout=30_000)
            await elsewhere.keyboard.press("Escape")
            await expect(elsewhere.locator("li.assistant .cost")).to_be_visible(timeout=15_000)
            await page.click("[data-retry]")
            await shown_answer(page)
    finally:
        await stack.restored()
