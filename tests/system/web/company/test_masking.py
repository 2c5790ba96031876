"""An admin sets what is masked, fills the lists, and tries it."""

import json
from pathlib import Path
from typing import Any

from playwright.async_api import Page, expect

from support.browser.console import status_says
from support.database.world import Person, World


async def policy(world: World, person: Person) -> dict[str, Any]:
    row = await world.row("SELECT policy FROM masking_policies WHERE company_id = $1", person.company_id)
    stored: dict[str, Any] = json.loads(row["policy"])
    return stored


async def test_rules_are_set_by_group_and_kind_and_keep_what_else_was_set(
    page: Page, world: World, person: Person
) -> None:
    await page.goto("/company/masking")
    rules = page.locator("#rules")
    await rules.get_by_label("Contacts").select_option("block")
    await rules.locator("summary").first.click()
    await rules.get_by_label("number plates").select_option("off")
    await rules.get_by_label("Images").select_option("true")
    await rules.get_by_role("button", name="Save").click()
    await status_says(page, "Saved.")
    stored = await policy(world, person)
    assert stored["kinds"] == {"PLATE": "off"}
    assert stored["allow_images"] is True
    await expect(rules.get_by_label("Contacts")).to_have_value("block")
    await rules.get_by_label("Money").select_option("off")
    await rules.get_by_role("button", name="Save").click()
    await status_says(page, "Saved.")
    stored = await policy(world, person)
    assert (stored["kinds"], stored["allow_images"]) == ({"PLATE": "off"}, True)
    await page.get_by_role("link", name="Who changed what").click()
    await expect(page.locator(".rows tbody tr")).to_have_count(2)


async def test_lists_are_filled_from_a_file_and_a_bad_line_is_named(
    page: Page, world: World, person: Person, tmp_path: Path
) -> None:
    file = tmp_path / "words.txt"
    file.write_text("\ufeffпроект Кречет\r\nСапсан\r\n", encoding="utf-8")
    await page.goto("/company/masking")
    lists = page.locator("#lists")
    await lists.locator("[data-into=terms]").set_input_files(file)
    await expect(lists.locator("[name=terms]")).to_have_value("проект Кречет\nСапсан")
    await lists.locator("[name=allowed]").fill("info@example.com\nx")
    await lists.get_by_role("button", name="Save").click()
    await expect(lists.locator(".failure")).to_have_text("Line 2: 2 to 200 characters.")
    await lists.locator("[name=allowed]").fill("info@example.com")
    await lists.get_by_role("button", name="Save").click()
    await status_says(page, "Saved.")
    (row,) = await world.rows("SELECT terms, allowed FROM masking_policies WHERE company_id = $1", person.company_id)
    assert (row["terms"], row["allowed"]) == (["проект Кречет", "Сапсан"], ["info@example.com"])

    attempt = page.locator("#try")
    await attempt.locator("textarea").fill("Сапсан летит к Ветрову Аркадию Львовичу, info@example.com")
    await attempt.get_by_role("button").click()
    await expect(attempt.locator("mark")).to_have_count(2)
    assert await attempt.locator("mark").all_inner_texts() == [
        "Сапсан your company's words",
        "Ветрову Аркадию Львовичу people's names",
    ]


async def test_a_list_saved_by_excel_in_russian_is_read_as_it_was_meant(page: Page, tmp_path: Path) -> None:
    file = tmp_path / "words.csv"
    file.write_bytes("проект Кречет\r\nСапсан\r\n".encode("cp1251"))
    await page.goto("/company/masking")
    await page.locator("#lists [data-into=terms]").set_input_files(file)
    await expect(page.locator("#lists [name=terms]")).to_have_value("проект Кречет\nСапсан")


async def test_trying_a_text_says_that_it_would_be_refused(page: Page) -> None:
    await page.goto("/company/masking")
    await page.locator("#rules").get_by_label("Contacts").select_option("block")
    await page.locator("#rules").get_by_role("button", name="Save").click()
    await status_says(page, "Saved.")
    attempt = page.locator("#try")
    await attempt.locator("textarea").fill("Write to Arkadiy Vetrov, arkadiy@example.com")
    await attempt.get_by_role("button").click()
    await expect(attempt.locator(".failure")).to_contain_text("will be refused")
    await expect(attempt.locator(".failure")).to_contain_text("mail addresses")
    await attempt.locator("textarea").fill("Write to Arkadiy Vetrov")
    await attempt.get_by_role("button").click()
    await expect(attempt.locator("mark")).to_have_count(1)
    await expect(attempt.locator(".failure")).to_have_text("")
