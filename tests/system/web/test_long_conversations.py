"""What a page costs: a delta the same however long everything is, a long conversation in parts, no byte too many."""

from typing import Any, Final
from uuid import UUID

import pytest_asyncio
from playwright.async_api import Page, expect

from support.browser.chat_page import say, shown_answer
from support.database.conversations import add_turns
from support.database.world import Person, World

TURNS: Final = 200
BLOCK_CHARACTERS: Final = 2000
MAX_LOADED_MESSAGES: Final = 120

_WATCH: Final = """() => {
    window.changes = { text: 0, blocks: 0, other: [], longest: 0 };
    new MutationObserver((records) => {
        for (const record of records) {
            const live = record.target.parentElement?.closest(".live .text");
            if (record.type === "characterData" && live) {
                changes.text += 1;
                changes.longest = Math.max(changes.longest, record.target.length);
            } else if (record.type === "childList" && record.target.matches?.(".live .text")) changes.blocks += 1;
            else changes.other.push([record.type, record.target.nodeName, record.attributeName].join(" "));
        }
    }).observe(document, { subtree: true, childList: true, characterData: true, attributes: true });
    const append = CharacterData.prototype.appendData;
    window.appended = 0;
    CharacterData.prototype.appendData = function (text) { appended += 1; return append.call(this, text); };
}"""


@pytest_asyncio.fixture(loop_scope="session")
async def conversation(world: World, person: Person) -> UUID:
    """A conversation of many turns."""
    return await add_turns(world, person, TURNS)


async def first_question(page: Page) -> str:
    """The text of the first message on the page."""
    return await page.locator("li.user .text").first.inner_text()


async def test_a_delta_changes_one_text_node_and_nothing_else(page: Page, conversation: UUID) -> None:
    """Under a long conversation, and as much at the end of a long answer as at its beginning."""
    await page.goto(f"/c/{conversation}")
    await say(page, "Hello [[simulate: tokens=3000; tps=1000]]")
    await expect(page.locator("li.live .text")).not_to_have_text("", timeout=10_000)
    await page.evaluate(_WATCH)
    counts: list[dict[str, Any]] = []
    for length in (4_000, 8_000):
        await page.wait_for_function(
            "length => document.querySelector('.live .text').textContent.length > length", arg=length
        )
        counts.append(await page.evaluate("({ ...changes, appended, other: [...changes.other] })"))
    early, late = counts
    assert late["text"] > early["text"] > 0
    assert late["appended"] - early["appended"] > 10
    for each in counts:
        assert each["other"] == []
        # MutationObserver reports each append once, and each new piece of text once.
        assert each["text"] + each["blocks"] <= 2 * each["appended"]
        assert each["blocks"] <= 8_000 / BLOCK_CHARACTERS + 2
        assert each["longest"] < 2 * BLOCK_CHARACTERS


async def test_a_long_conversation_comes_in_parts_as_its_reader_comes_near(page: Page, conversation: UUID) -> None:
    await page.goto(f"/c/{conversation}")
    await expect(page.locator("li.user").last).to_contain_text(f"Question {TURNS}")
    await expect(page.locator("#text")).to_be_focused()
    assert await page.locator("li.message").count() <= MAX_LOADED_MESSAGES
    await page.hover("#scroller")
    for _ in range(400):
        if await first_question(page) == "Question 1":
            break
        await page.mouse.wheel(0, -3000)
        await page.wait_for_timeout(20)
    await expect(page.locator("[data-earlier]")).to_have_count(0)
    questions = await page.locator("li.user .text").all_text_contents()
    assert questions == [f"Question {number}" for number in range(1, TURNS + 1)], "each once, in order"
    answers = await page.locator("li.assistant .markdown").all_text_contents()
    assert [answer.split("\n")[0] for answer in answers] == [f"Answer {number}" for number in range(1, TURNS + 1)]
    assert await page.locator("li.assistant .copy-code").count() == TURNS


async def test_what_comes_in_above_moves_nothing_that_is_read(page: Page, conversation: UUID) -> None:
    await page.goto(f"/c/{conversation}")
    await page.hover("#scroller")
    await page.route("**/before/*", lambda route: route.abort())
    await page.mouse.wheel(0, -100_000)
    await expect(page.locator("#status")).to_contain_text("No connection")
    await page.unroute("**/before/*")
    question = page.locator("li.user", has_text=f"Question {TURNS - 19}").first
    before = await question.bounding_box()
    await page.locator("[data-earlier]").focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("li.user", has_text=f"Question {TURNS - 39}").first).to_be_attached()
    after = await question.bounding_box()
    assert before is not None
    assert after is not None
    assert abs(before["y"] - after["y"]) <= 1
    await expect(page.locator("#scroller")).to_be_focused()


async def test_an_answer_in_a_conversation_longer_than_any_page_is_shown(
    page: Page, world: World, person: Person
) -> None:
    await page.goto(f"/c/{await add_turns(world, person, 600)}")
    await expect(page.locator("li.user").last).to_contain_text("Question 600")
    await say(page, "Hello [[simulate: tokens=3]]")
    await shown_answer(page)
    await page.reload()
    await expect(page.locator("li.user").last).to_contain_text("Hello")


async def test_a_long_list_of_conversations_comes_in_parts(page: Page, world: World, person: Person) -> None:
    conversations = [await add_turns(world, person, 0) for _ in range(230)]
    await page.goto("/")
    listed = page.locator("#conversations li[data-id]")
    for count in (100, 200):
        await expect(listed).to_have_count(count)
        await page.click("[data-more]")
        await expect(listed.nth(count).locator("a")).to_be_focused()
    await expect(listed).to_have_count(230)
    await expect(page.locator("[data-more]")).to_have_count(0)
    ids = await listed.evaluate_all("items => items.map((item) => item.dataset.id)")
    assert ids == [str(each) for each in reversed(conversations)]


async def test_no_other_persons_messages_are_loaded(page: Page, world: World, conversation: UUID) -> None:
    await page.goto("/")
    other = await add_turns(world, await world.person(), 30)
    newest = await world.row("SELECT max(id::text) AS id FROM messages WHERE conversation_id = $1", other)
    path = f"/parts/conversations/{other}/before/{newest['id']}"
    assert await page.evaluate("path => fetch(path).then((answer) => answer.status)", path) == 404
    mine = f"/parts/conversations/{conversation}/before/{newest['id']}"
    assert await page.evaluate("path => fetch(path).then((answer) => answer.status)", mine) == 200
