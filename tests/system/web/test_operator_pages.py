"""Running an installation from a browser: companies, credits, people, the audit log, the health of both services."""

import asyncio
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from uuid import UUID

import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from support.browser.chromium import opened_page
from support.browser.console import status_says
from support.database.world import Person, World
from support.faults.stack import FaultStack
from support.product.app import client_of
from support.product.sessions import add_session, add_user, session_client


@pytest_asyncio.fixture(loop_scope="session")
async def operator_id(world: World) -> UUID:
    user_id, _ = await add_user(world)
    await world.rows("INSERT INTO operators (user_id) VALUES ($1)", user_id)
    return user_id


@pytest_asyncio.fixture(loop_scope="session")
async def desk(browser: Browser, stack: FaultStack, world: World, operator_id: UUID) -> AsyncIterator[Page]:
    """The page of an operator who signed in by mail and belongs to no company."""
    await stack.heal()
    async with opened_page(browser, stack.url, await add_session(world, operator_id)) as page:
        yield page


async def actions(world: World, operator_id: UUID) -> list[tuple[str, str]]:
    rows = await world.rows(
        "SELECT actor_kind, action FROM audit_log WHERE actor_user_id = $1 AND action NOT LIKE '%.read' ORDER BY at",
        operator_id,
    )
    return [(row["actor_kind"], row["action"]) for row in rows]


async def test_a_company_is_set_up_found_paid_for_corrected_and_blocked(
    desk: Page, world: World, operator_id: UUID
) -> None:
    name = f"Works of {operator_id}"
    await desk.goto("/")
    await desk.get_by_role("link", name="Operator").click()
    await desk.get_by_label("Name of the company").fill(name)
    await desk.get_by_label("Mail address of the owner").fill(f"owner-{operator_id}@example.test")
    await desk.get_by_role("button", name="Set up a company").click()
    await status_says(desk, "set up")
    await expect(desk.locator("h1")).to_have_text(name)
    await desk.goto("/operator/companies")
    await desk.get_by_label("Part of the name").fill(str(operator_id)[:13].upper())
    await desk.keyboard.press("Enter")
    await expect(desk.locator("tbody tr")).to_have_count(1)
    await desk.get_by_role("link", name=name).click()

    balance = desk.locator("#company-balance")
    add = desk.locator("#add")
    for amount in ("100.5", "100.5"):  # the same invoice twice
        await add.get_by_label("Amount").fill(amount)
        await add.get_by_label("Reference outside").fill(f"invoice-{operator_id}")
        await add.get_by_role("button").click()
        await status_says(desk, "were added")
        await expect(balance).to_have_text("100.5")
    await add.get_by_label("Amount").fill("7")
    await add.get_by_label("Reference outside").fill(f"invoice-{operator_id}")
    await add.get_by_role("button").click()
    await expect(add.get_by_role("alert")).to_contain_text("used for another movement")

    await desk.get_by_role("link", name="Correct 1").click()
    correct = desk.locator("#correct")
    await expect(correct.get_by_label("No.")).to_have_value("1")
    await correct.get_by_label("Amount").fill("-0.5")
    await correct.get_by_label("Reference outside").fill(f"correction-{operator_id}")
    await correct.get_by_label("Reason").fill("Half a credit too much")
    await correct.get_by_role("button").click()
    await desk.locator("#confirm [value=yes]").click()
    await status_says(desk, "corrected")
    await expect(balance).to_have_text("100")
    company = await world.row("SELECT id FROM companies WHERE name = $1", name)
    account = await world.row("SELECT balance_credits FROM accounts WHERE company_id = $1", company["id"])
    assert account["balance_credits"] == Decimal(100)

    await desk.get_by_role("button", name="Block the company").click()
    await desk.locator("#confirm [value=yes]").click()
    await status_says(desk, "Blocked.")
    assert (await world.row("SELECT blocked_at FROM companies WHERE id = $1", company["id"]))["blocked_at"]
    await desk.get_by_role("button", name="Unblock the company").click()
    await status_says(desk, "Unblocked.")
    assert await actions(world, operator_id) == [
        ("operator", action)
        for action in (
            "company.create",
            "credits.add",
            "credits.add",
            "credits.adjust",
            "company.block",
            "company.unblock",
        )
    ]


async def test_a_person_is_found_and_blocked_with_all_sessions(
    desk: Page, browser: Browser, stack: FaultStack, world: World, person: Person, operator_id: UUID
) -> None:
    session = await add_session(world, person.user_id, person.company_id)
    await desk.goto("/operator/users")
    await desk.get_by_label("Part of the mail address").fill(str(person.user_id))
    await desk.get_by_role("button", name="Search").click()
    row = desk.locator("tbody tr")
    await expect(row).to_have_count(1)
    await row.get_by_role("button", name="Block").click()
    await desk.get_by_role("button", name="Cancel").click()
    await expect(row).to_contain_text("Active")
    await row.get_by_role("button", name="Block").click()
    await desk.locator("#confirm [value=yes]").click()
    await status_says(desk, "Blocked.")
    await expect(row).to_contain_text("Blocked")
    async with opened_page(browser, stack.url, session) as theirs:
        await theirs.goto("/company")
        await expect(theirs.locator("#email")).to_be_visible()
    async with client_of(stack.url, person) as client:
        assert (await client.send()).status_code == 403
        await row.get_by_role("button", name="Unblock").click()
        await status_says(desk, "Unblocked.")
        assert (await client.send("Hello [[simulate: tokens=3]]")).status_code == 200
    assert await actions(world, operator_id) == [("operator", "user.block"), ("operator", "user.unblock")]


async def test_the_audit_log_is_searched_and_downloaded(desk: Page, stack: FaultStack, world: World) -> None:
    owner = await world.person(role="owner")
    async with session_client(stack.url, world, owner) as http:
        for number in range(3):
            await http.post("/v1/company/api-keys", json={"name": f"key {number}", "scopes": ["read"]})
    await desk.goto(f"/operator/companies/{owner.company_id}")
    await desk.get_by_role("main").get_by_role("link", name="Audit log").click()
    rows = desk.locator("tbody tr")
    await expect(rows).to_have_count(4)  # the operator has just looked at the company's movements
    await desk.get_by_label("Action").select_option(label="Key revoked")
    await desk.get_by_role("button", name="Search").click()
    await expect(desk.get_by_text("Nothing found.")).to_be_visible()
    await desk.get_by_label("Action").select_option(label="Key made")
    await desk.get_by_role("button", name="Search").click()
    await expect(rows).to_have_count(3)
    async with desk.expect_download() as downloading:
        await desk.get_by_role("link", name="Download NDJSON").click()
    path = await (await downloading.value).path()
    records = [json.loads(line) for line in (await asyncio.to_thread(path.read_text)).splitlines()]
    assert [record["action"] for record in records] == ["api_key.create"] * 3
    assert {record["company_id"] for record in records} == {str(owner.company_id)}


async def test_health_is_live(desk: Page, stack: FaultStack) -> None:
    await desk.goto("/operator/health")
    await status_says(desk, "Both services are ready.")
    gateway = desk.get_by_role("region", name="gateway_api")
    await expect(gateway).to_contain_text("gpt-5.2")
    await expect(gateway).to_contain_text("0 s")
    stack.gateway.kill()
    await status_says(desk, "Something is not ready.")
    await expect(gateway).to_contain_text("Not reached")
    await expect(desk.get_by_role("region", name="product_api")).to_contain_text("Not ready")
    await stack.gateway.start(GATEWAY_SHARED_SECRET="another-secret-5bd41c93e7f04c1f8aa6")
    await expect(gateway).to_contain_text("invalid_signature", timeout=10_000)
    await stack.gateway.start()
    await status_says(desk, "Both services are ready.")


async def test_a_person_who_is_no_operator_is_refused(page: Page) -> None:
    answer = await page.goto("/operator/companies")
    assert answer is not None
    assert answer.status == 403
    await expect(page.locator("main")).to_contain_text("Only operators")
    await page.goto("/")
    await expect(page.get_by_role("link", name="Operator")).to_have_count(0)
