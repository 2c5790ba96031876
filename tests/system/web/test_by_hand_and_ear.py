"""Keyboard, clipboard, focus, and what a screen reader announces."""

import asyncio
import re
from typing import Any, Final
from urllib.parse import quote

from playwright.async_api import Page, expect

from support.browser.chat_page import check_once, say, shown_answer, stored
from support.database.world import Person, World

SLOW: Final = "[[simulate: tokens=60; tps=20]]"
CODE: Final = "Look:\n\n```python\nprint('<b>&')\nprint(2)\n```\n\nDone."

_LISTEN: Final = """() => {
    window.told = [];
    new MutationObserver(() => told.push(document.getElementById("told").textContent)).observe(
        document.getElementById("told"), { childList: true, characterData: true, subtree: true });
}"""


def answering(text: str) -> str:
    """A question whose answer is this."""
    return f"Hello [[simulate: text={quote(text, safe='')}]]"


async def test_enter_sends_and_shift_enter_begins_a_line(page: Page, world: World, person: Person) -> None:
    await page.goto("/")
    await page.keyboard.type("One [[simulate: tokens=3]]")
    await page.keyboard.press("Shift+Enter")
    await page.keyboard.type("two")
    for _ in range(3):
        await page.keyboard.press("Enter")
    await check_once(page, world, person)
    assert (await stored(world, person))[0][1] == "One [[simulate: tokens=3]]\ntwo"
    await expect(page.locator("#text")).to_be_focused()
    await page.keyboard.press("Enter")
    await page.keyboard.type("   ")
    await page.keyboard.press("Enter")
    assert await page.locator("li.message").count() == 2, "nothing is no message"


async def test_a_double_click_and_an_impatient_retry_send_once(page: Page, world: World, person: Person) -> None:
    await page.goto("/")
    await page.fill("#text", "Hello [[simulate: key=hasty; fail_times=3; status=500]]")
    await page.dblclick("#send")
    await expect(page.locator("li.assistant .failure")).to_be_visible(timeout=30_000)
    await page.evaluate(
        "const button = document.querySelector('[data-retry]'); for (let i = 0; i < 5; i += 1) button.click()"
    )
    await check_once(page, world, person)


async def test_a_message_typed_during_an_answer_waits_for_its_end(page: Page, world: World, person: Person) -> None:
    await page.goto("/")
    await say(page, f"First {SLOW}")
    await expect(page.locator("li.live")).to_be_visible()
    await say(page, "Second [[simulate: tokens=3]]")
    await expect(page.locator("#text")).to_have_value("Second [[simulate: tokens=3]]")
    await shown_answer(page)
    await page.press("#text", "Enter")
    await shown_answer(page, 2)
    assert len(await stored(world, person)) == 4


async def test_the_focus_is_never_lost(page: Page) -> None:
    await page.goto("/")
    await page.fill("#text", f"Hello {SLOW}")
    await page.focus("#send")
    await page.keyboard.press("Enter")
    await expect(page.locator("#text")).to_be_focused()
    await page.focus("#stop")
    await page.keyboard.press("Enter")
    await expect(page.locator("li.assistant .cost")).to_contain_text("Stopped", timeout=10_000)
    await expect(page.locator("#text")).to_be_focused()

    page.once("dialog", lambda dialog: asyncio.ensure_future(dialog.accept("Another title")))
    await page.focus("#conversations .rename")
    await page.keyboard.press("Enter")
    await expect(page.locator("#conversations a")).to_have_text("Another title")
    await expect(page.locator("#conversations .rename")).to_be_focused()
    await expect(page).to_have_title("Another title · b2b-chat")

    await page.goto("/")
    await say(page, "Another [[simulate: tokens=3]]")
    await shown_answer(page)
    page.once("dialog", lambda dialog: asyncio.ensure_future(dialog.accept()))
    await page.locator("#conversations .erase").nth(1).focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("#conversations li")).to_have_count(1)
    await expect(page.locator("#conversations .erase")).to_be_focused()


async def test_esc_leaves_the_search_first_and_stops_the_answer_then(page: Page) -> None:
    await page.goto("/")
    await say(page, f"Hello {SLOW}")
    await expect(page.locator("li.live .text")).not_to_have_text("")
    await page.keyboard.press("Control+k")
    await page.keyboard.type("something")
    await page.keyboard.press("Escape")
    await expect(page.locator("#text")).to_be_focused()
    await expect(page.locator("li.live")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.locator("li.assistant .cost")).to_contain_text("Stopped", timeout=10_000)


async def test_on_a_phone_the_list_is_opened_and_closed_by_keys_and_touch(page: Page) -> None:
    await page.set_viewport_size({"width": 390, "height": 844})
    await page.goto("/")
    await expect(page.locator("#side")).to_be_hidden()
    await page.click("#menu")
    await expect(page.locator("#menu")).to_have_attribute("aria-expanded", "true")
    await expect(page.locator("#side")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.locator("#side")).to_be_hidden()
    await expect(page.locator("#menu")).to_be_focused()
    await page.keyboard.press("Control+k")
    await expect(page.locator("#search")).to_be_focused()


async def test_an_answer_and_a_block_of_code_are_copied(page: Page) -> None:
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.goto("/")
    await say(page, answering(CODE))
    await shown_answer(page)
    for _ in range(2):  # as it came, and as the server shows it again
        await page.evaluate(_LISTEN)
        await page.click("[data-copy]")
        copied = await page.evaluate("navigator.clipboard.readText()")
        assert copied.split("\n\n", 1)[0] == "Look:"
        assert [line for line in copied.split("\n") if line] == ["Look:", "print('<b>&')", "print(2)", "Done."]
        await page.click(".copy-code")
        assert await page.evaluate("navigator.clipboard.readText()") == "print('<b>&')\nprint(2)\n"
        await expect(page.locator(".copy-code")).to_have_attribute("data-said", "copied")
        assert "Copied." in await page.evaluate("told")
        await page.reload()


async def test_where_copying_is_not_possible_that_is_said(page: Page) -> None:
    await page.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    await page.goto("/")
    await say(page, answering(CODE))
    await shown_answer(page)
    await page.evaluate(_LISTEN)
    await page.click(".copy-code")
    await expect(page.locator(".copy-code")).to_have_attribute("data-said", "failed")
    assert "Copying was not possible." in await page.evaluate("told")


async def test_a_screen_reader_announces_an_answer_twice_however_many_deltas_it_has(page: Page) -> None:
    """That it begins, and what it says: no live region holds the text that grows."""
    await page.goto("/")
    await page.evaluate(_LISTEN)
    await say(page, f"Hello {SLOW}")
    await expect(page.locator("li.live .text")).not_to_have_text("")
    live = "[...document.querySelectorAll('[aria-live], [role=status], [role=alert], [role=log]')]"
    assert await page.evaluate(f"{live}.filter((each) => each.contains(document.querySelector('li.live')))") == []
    assert await page.get_attribute("li.live", "aria-busy") == "true"
    shown = await shown_answer(page)
    told: list[str] = [text for text in await page.evaluate("told") if text]
    assert told[0] == "The assistant is writing."
    assert len(told) == 2
    assert re.findall(r"\w+", told[1]) == ["Assistant", *re.findall(r"\w+", shown)]
    await expect(page.locator("#told")).to_have_text("", timeout=10_000)


async def test_only_a_new_failure_is_announced_as_an_alert(page: Page) -> None:
    await page.goto("/")
    await say(page, "Hello [[simulate: key=alarm; fail_times=3; status=500]]")
    await expect(page.locator(".failure[role=alert]")).to_be_visible(timeout=30_000)
    await page.reload()
    await expect(page.locator(".failure")).to_be_visible()
    assert await page.locator("[role=alert]").count() == 0


async def test_a_draft_survives_a_reload_and_another_conversation(page: Page) -> None:
    await page.goto("/")
    await page.fill("#text", "half a thought")
    await page.reload()
    await expect(page.locator("#text")).to_have_value("half a thought")
    await page.select_option("[name=language]", "ru")
    await expect(page.locator("#send")).to_have_text("Отправить")
    await expect(page.locator("#text")).to_have_value("half a thought")
    await page.press("#text", "Enter")
    await shown_answer(page)
    await page.reload()
    await expect(page.locator("#text")).to_have_value("")


async def test_motion_is_reduced_on_request(page: Page) -> None:
    caret: Final = "getComputedStyle(document.querySelector('.live .text > :last-child'), '::after').animationName"
    await page.goto("/")
    await say(page, f"Hello {SLOW}")
    await expect(page.locator("li.live .text")).not_to_have_text("")
    assert await page.evaluate(caret) == "blink"
    await page.emulate_media(reduced_motion="reduce")
    assert await page.evaluate(caret) == "none"
    await shown_answer(page)


async def test_on_paper_there_is_the_whole_conversation_and_nothing_else(page: Page) -> None:
    await page.goto("/")
    await say(page, answering(CODE * 30))
    await shown_answer(page)
    await page.emulate_media(media="print")
    shown: dict[str, Any] = await page.evaluate(
        """() => ({
            parts: ["nav", "header", "#compose", ".copy-code"].map(
                (each) => getComputedStyle(document.querySelector(each)).display),
            fits: document.documentElement.scrollHeight > document.querySelector("#messages").offsetHeight,
            scrolls: getComputedStyle(document.querySelector("#scroller")).overflowY,
        })"""
    )
    assert shown == {"parts": ["none"] * 4, "fits": True, "scrolls": "visible"}
