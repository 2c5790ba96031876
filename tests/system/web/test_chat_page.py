"""Chatting in a browser: sending, streaming, stopping, retrying, and surviving reloads and lost connections."""

import asyncio
import re

from playwright.async_api import Page, expect

from support.browser.chat_page import check_once, say, shown_answer, stored
from support.database.world import Person, World
from support.faults.stack import FaultStack

SLOW = "[[simulate: tokens=40; tps=20]]"


async def test_a_question_is_answered_as_it_is_written(page: Page, world: World, person: Person) -> None:
    await page.goto("/")
    await say(page, f"Hello {SLOW}")
    live = page.locator("li.assistant.live .text")
    await expect(live).not_to_have_text("", timeout=10_000)
    first = len(await live.inner_text())
    await page.wait_for_function(
        "length => (document.querySelector('li.assistant .text')?.innerText.length ?? 0) > length", arg=first
    )
    await check_once(page, world, person)
    await expect(page).to_have_url(re.compile("/c/[0-9a-f-]{36}$"))
    await expect(page.locator("#conversations li")).to_have_count(1)
    await expect(page.locator("li.assistant .cost")).to_contain_text("Cost: 0.")
    balance = await page.locator("#balance").inner_text()
    account = await world.account(person)
    assert float(balance) == float(account["balance_credits"])


async def test_a_reload_mid_answer_goes_on(page: Page, world: World, person: Person) -> None:
    await page.goto("/")
    await say(page, f"Hello {SLOW}")
    await expect(page.locator("li.assistant.live .text")).not_to_have_text("", timeout=10_000)
    await page.reload()
    await check_once(page, world, person)


async def test_a_lost_connection_mid_answer_goes_on(
    page: Page, stack: FaultStack, world: World, person: Person
) -> None:
    await page.goto("/")
    await say(page, f"Hello {SLOW}")
    await expect(page.locator("li.assistant.live .text")).not_to_have_text("", timeout=10_000)
    for _ in range(3):
        stack.client_line.drop_all(reset=True)
        await asyncio.sleep(0.3)
    await check_once(page, world, person)


async def test_a_killed_server_is_waited_for_and_the_message_tried_again(
    page: Page, stack: FaultStack, world: World, person: Person
) -> None:
    await page.goto("/")
    await say(page, f"Hello {SLOW}")
    await expect(page.locator("li.assistant.live .text")).not_to_have_text("", timeout=10_000)
    stack.product.kill()
    await expect(page.locator("#status")).to_contain_text("No connection", timeout=10_000)
    await stack.product.start()
    await expect(page.locator("li.assistant .failure")).to_contain_text("restarted", timeout=30_000)
    assert [entry["kind"] for entry in await world.ledger(person)] == ["top_up"], "what failed costs nothing"
    await page.click("[data-retry]")
    await check_once(page, world, person)


async def test_stopping_by_esc_keeps_what_there_is(page: Page, world: World, person: Person) -> None:
    await page.goto("/")
    await say(page, "Hello [[simulate: tokens=400; tps=20]]")
    await expect(page.locator("li.assistant.live .text")).not_to_have_text("", timeout=10_000)
    await page.keyboard.press("Escape")
    await expect(page.locator("li.assistant .cost")).to_contain_text("Stopped", timeout=10_000)
    (_, (status, text)) = await stored(world, person)
    assert status == "stopped"
    assert text.startswith((await shown_answer(page))[:10])


async def test_pressing_twice_sends_once(page: Page, world: World, person: Person) -> None:
    await page.goto("/")
    await page.fill("#text", "Hello")
    await page.evaluate("for (let i = 0; i < 5; i += 1) document.getElementById('compose').requestSubmit()")
    await check_once(page, world, person)


async def test_a_failed_answer_is_retried_under_its_name(page: Page, world: World, person: Person) -> None:
    await page.goto("/")
    await say(page, "Hello [[simulate: key=web-retry; fail_times=3; status=500]]")
    await expect(page.locator("li.assistant .failure")).to_be_visible(timeout=30_000)
    await page.reload()  # the button works on a page that knows only what is stored, too
    await page.click("[data-retry]")
    await check_once(page, world, person)


async def test_an_answer_that_breaks_off_is_begun_anew_on_the_page(page: Page, world: World, person: Person) -> None:
    """The text before is dropped, and nobody has to press anything."""
    await page.goto("/")
    await say(page, "Hello [[simulate: key=web-restart; tokens=30; tps=60; fail_times=1; cut_after=8]]")
    await check_once(page, world, person)
    answers = await world.rows("SELECT attempt FROM messages WHERE user_id = $1 AND role = 'assistant'", person.user_id)
    assert [answer["attempt"] for answer in answers] == [2]


async def test_an_answer_that_fails_at_once_is_known_to_the_page(page: Page, world: World, person: Person) -> None:
    """The failure comes as a status, and the page finds the conversation by it all the same."""
    await page.goto("/")
    await say(page, "Hello [[simulate: status=400]]")
    await expect(page.locator("li.assistant .failure")).to_be_visible(timeout=10_000)
    (conversation,) = await world.rows("SELECT id FROM conversations WHERE user_id = $1", person.user_id)
    await expect(page).to_have_url(re.compile(f"/c/{conversation['id']}$"))
    await expect(page.locator("#conversations li")).to_have_count(1)


async def test_an_empty_account_is_explained(page: Page, world: World, person: Person) -> None:
    await world.rows("UPDATE accounts SET balance_credits = 0 WHERE company_id = $1", person.company_id)
    await page.goto("/")
    await say(page, "Hello")
    await expect(page.locator("#refused")).to_contain_text("credits do not cover an answer")
    assert await stored(world, person) == []
    await world.rows("UPDATE accounts SET balance_credits = 1000 WHERE company_id = $1", person.company_id)
    await page.press("#text", "Enter")
    await check_once(page, world, person)


async def test_conversations_are_found_renamed_and_deleted(page: Page) -> None:
    for text in ("Alpha", "Beta"):
        await page.goto("/")
        await say(page, f"{text} [[simulate: tokens=3]]")
        await shown_answer(page)
    listed = page.locator("#conversations li")
    await expect(listed).to_have_count(2)
    await page.keyboard.press("Control+k")
    await page.keyboard.type("alpha")
    await expect(listed).to_have_count(1)
    page.once("dialog", lambda dialog: asyncio.ensure_future(dialog.accept("Omega")))
    await listed.locator(".rename").click()
    await page.fill("#search", "omega")
    await expect(listed.locator("a")).to_have_text(["Omega"])
    page.once("dialog", lambda dialog: asyncio.ensure_future(dialog.accept()))
    await listed.locator(".erase").click()
    await page.fill("#search", "")
    await expect(listed).to_have_count(1)
    await expect(listed.locator("a")).to_contain_text(["Beta"])
