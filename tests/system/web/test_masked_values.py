"""What a person sees of masking: before a message is sent, in what was said, and after a reload."""

import json
from pathlib import Path

from playwright.async_api import Page, expect

from support.browser.chat_page import say
from support.browser.looks import violations
from support.database.world import Person, World

TEXT = "Please write to Arkadiy Vetrov, arkadiy@example.com"


async def test_the_composer_says_what_will_be_hidden_and_shows_what_is_sent(page: Page, pictures: Path) -> None:
    await page.goto("/")
    await page.fill("#text", "Hello")
    await expect(page.locator("#masked")).to_be_hidden()
    await page.fill("#text", TEXT)
    hint = page.locator("#masked")
    await expect(hint).to_contain_text("2 values will be hidden")
    await expect(hint).to_contain_text("people's names 1, mail addresses 1")
    await hint.get_by_role("button", name="What is sent").click()
    await expect(page.locator("#sent-text")).to_have_text("Please write to [PERSON_1], [EMAIL_1]")
    assert await page.locator("#sent-text mark").all_inner_texts() == ["[PERSON_1]", "[EMAIL_1]"]
    await page.screenshot(path=pictures / "masked-sent.png")
    assert await violations(page) == []
    await page.keyboard.press("Escape")
    await expect(page.locator("#as-sent")).to_be_hidden()
    await page.screenshot(path=pictures / "masked-composer.png")
    await page.fill("#text", "")
    await expect(hint).to_be_hidden()


async def test_hidden_values_are_underlined_at_once_and_after_a_reload(page: Page, pictures: Path) -> None:
    await page.goto("/")
    await page.fill("#text", TEXT)
    await expect(page.locator("#masked")).to_be_visible()
    await page.keyboard.press("Enter")
    await expect(page.locator("li.assistant .cost")).to_be_visible(timeout=10_000)
    assert await page.locator("li.user .hidden-value").all_inner_texts() == ["Arkadiy Vetrov", "arkadiy@example.com"]
    answered = page.locator("li.assistant .hidden-value")
    assert set(await answered.all_inner_texts()) == {"Arkadiy Vetrov", "arkadiy@example.com"}
    assert await answered.first.get_attribute("title") == "Hidden when sent: people's names"
    await page.reload()
    assert await page.locator("li.user .hidden-value").all_inner_texts() == ["Arkadiy Vetrov", "arkadiy@example.com"]
    await expect(page.locator("li.assistant .hidden-value").first).to_be_visible()
    await page.screenshot(path=pictures / "masked-messages.png")
    assert await violations(page) == []


async def test_a_blocked_kind_is_said_before_sending(page: Page, world: World, person: Person) -> None:
    await world.rows(
        "INSERT INTO masking_policies (company_id, version, policy) VALUES ($1, 1, $2)",
        person.company_id,
        json.dumps({"groups": {"contacts": "block"}}),
    )
    await page.goto("/")
    await page.fill("#text", TEXT)
    await expect(page.locator("#masked")).to_contain_text("your company does not let this be sent: mail addresses")
    await say(page, TEXT)
    await expect(page.locator("#refused")).not_to_have_text("")
    await expect(page.locator("#text")).to_have_value(TEXT)


async def test_without_masking_there_is_nothing_to_say(page: Page, world: World, person: Person) -> None:
    groups = dict.fromkeys(("people", "contacts", "money", "secrets", "requisites", "terms"), "off")
    await world.rows(
        "INSERT INTO masking_policies (company_id, version, policy) VALUES ($1, 1, $2)",
        person.company_id,
        json.dumps({"groups": groups}),
    )
    await page.goto("/")
    await expect(page.locator("#compose")).to_be_visible()
    await expect(page.locator("#masked")).to_have_count(0)
