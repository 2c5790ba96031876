"""Usage, the ledger and the audit log on the pages of a company."""

import csv
import io
import json
import re
from decimal import Decimal

from playwright.async_api import Page, expect

from support.browser.console import email_of, saved
from support.database.world import Person, World
from support.faults.stack import FaultStack
from support.product.app import client_of
from support.product.sessions import session_client


async def test_the_chart_and_its_table_have_the_right_figures(
    page: Page, stack: FaultStack, world: World, person: Person
) -> None:
    member = await world.person(company_id=person.company_id)
    for each, number in ((person, 1), (member, 2)):
        async with client_of(stack.url, each) as client:
            for _ in range(number):
                await client.ask("Hello [[simulate: tokens=20]]")
    charges = [-entry["amount_credits"] for entry in await world.ledger(person) if entry["kind"] == "charge"]
    await page.goto("/company/usage")
    await expect(page.locator("#answers")).to_have_text("3")
    assert Decimal(await page.locator("#credits-used").inner_text()) == sum(charges)
    columns = page.locator(".chart rect.column")
    await expect(columns).to_have_count(30)
    drawn = [Decimal((await each.text_content() or "").partition(": ")[2]) for each in await columns.all()]
    await page.locator("summary").click()
    table = [Decimal(text) for text in await page.locator("#days tbody td:nth-of-type(2)").all_inner_texts()]
    assert drawn == table[::-1]
    assert (drawn[-1], sum(drawn)) == (sum(charges), sum(charges))
    heights = [await each.get_attribute("height") for each in await columns.all()]
    assert heights[:-1] == ["0.0%"] * 29
    assert float((heights[-1] or "").rstrip("%")) > 20
    people = page.locator("#people tbody tr")
    assert await people.locator("a").all_inner_texts() == [
        await email_of(world, member.user_id),
        await email_of(world, person.user_id),
    ]
    amounts = [Decimal(text) for text in await people.locator("td:nth-of-type(2)").all_inner_texts()]
    assert sum(amounts) == sum(charges)
    await people.first.locator("a").click()
    await expect(page.locator("#answers")).to_have_text("2")
    assert Decimal(await page.locator("#credits-used").inner_text()) == amounts[0]
    await page.get_by_role("link", name="90 days").click()
    await expect(columns).to_have_count(90)
    await page.get_by_role("link", name="Earlier").click()
    await expect(page.locator("#answers")).to_have_text("0")


async def test_the_ledger_is_paged_and_its_export_equals_it(page: Page, world: World, person: Person) -> None:
    for number in range(60):
        await world.top_up(person.company_id, str(number + 1))
    ledger = await world.ledger(person)
    await page.goto("/company/ledger")
    numbers: list[str] = []
    for _ in range(2):
        numbers += await page.locator("tbody tr td:first-child").all_inner_texts()
        if await page.get_by_role("link", name="Next page").count():
            await page.get_by_role("link", name="Next page").click()
            await page.wait_for_url(re.compile("cursor="))
    assert [int(number) for number in numbers] == [entry["position"] for entry in reversed(ledger)]
    expected = [(entry["position"], entry["amount_credits"], entry["balance_after_credits"]) for entry in ledger[::-1]]

    async with page.expect_download() as downloading:
        await page.get_by_role("button", name="Download").click()
    download = await downloading.value
    assert download.suggested_filename == "ledger.csv"
    table = await saved(download)
    assert table[0] == "\ufeff"  # without it Excel takes the file for Latin
    rows = list(csv.DictReader(io.StringIO(table[1:])))
    assert [
        (int(row["position"]), Decimal(row["amount_credits"]), Decimal(row["balance_after_credits"])) for row in rows
    ] == expected
    await page.get_by_label("Format").select_option("ndjson")
    async with page.expect_download() as downloading:
        await page.get_by_role("button", name="Download").click()
    lines = [json.loads(line) for line in (await saved(await downloading.value)).splitlines()]
    assert [
        (line["position"], Decimal(line["amount_credits"]), Decimal(line["balance_after_credits"])) for line in lines
    ] == expected


async def test_the_audit_log_is_searched_and_paged(page: Page, stack: FaultStack, world: World, person: Person) -> None:
    async with session_client(stack.url, world, person) as http:
        for number in range(51):
            await http.post("/v1/company/api-keys", json={"name": f"key {number}", "scopes": ["read"]})
            # Otherwise there would be more than a person may have.
            await world.rows("UPDATE api_keys SET revoked_at = now() WHERE company_id = $1", person.company_id)
        made = (await http.post("/v1/company/api-keys", json={"name": "last", "scopes": ["read"]})).json()
        await http.delete(f"/v1/company/api-keys/{made['api_key']['id']}")
    await page.goto("/company/audit")
    rows = page.locator("tbody tr")
    await expect(rows).to_have_count(50)
    await page.get_by_role("link", name="Next page").click()
    await expect(rows).to_have_count(3)
    await page.get_by_role("link", name="To the first page").click()
    await page.get_by_label("Action").select_option(label="Key revoked")
    await page.get_by_role("button", name="Search").click()
    await expect(rows).to_have_count(1)
    await expect(rows).to_contain_text("Key revoked")
    await rows.get_by_role("link", name=made["api_key"]["id"]).click()
    await page.get_by_label("Action").select_option(label="Any")
    await page.get_by_role("button", name="Search").click()
    await expect(rows).to_have_count(2)
    await page.get_by_label("Of what").fill("")
    await page.get_by_label("To (UTC)").fill("2020-01-01")
    await page.get_by_role("button", name="Search").click()
    await expect(page.get_by_text("Nothing found.")).to_be_visible()
