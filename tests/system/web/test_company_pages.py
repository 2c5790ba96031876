"""Running a company from a browser: people, invites, keys, usage, ledger, sessions, the audit log."""

import asyncio
import csv
import io
import json
import re
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest_asyncio
from playwright.async_api import Browser, Download, Locator, Page, expect

from support.browser.chromium import opened_page
from support.database.world import Person, World
from support.faults.stack import FaultStack
from support.product.app import client_of
from support.product.mailbox import Mailbox
from support.product.sessions import add_session, add_user, http_client


@pytest_asyncio.fixture(loop_scope="session")
async def person(stack: FaultStack, world: World) -> Person:
    """An owner, whose the page is."""
    await stack.heal()
    return await world.person(role="owner")


def row_of(page: Page, text: str) -> Locator:
    return page.get_by_role("row").filter(has_text=text)


async def press(row: Locator, name: str) -> None:
    await row.get_by_role("button", name=name).click()


async def confirm(page: Page) -> None:
    await page.locator("#confirm [value=yes]").click()


async def told(page: Page, text: str) -> None:
    """What the page says of what was done, in a region that is read out."""
    await expect(page.locator("#status")).to_contain_text(text, timeout=10_000)


async def email_of(world: World, user_id: UUID) -> str:
    email: str = (await world.row("SELECT email FROM users WHERE id = $1", user_id))["email"]
    return email


async def actions(world: World, person: Person) -> list[str]:
    rows = await world.rows("SELECT action FROM audit_log WHERE company_id = $1 ORDER BY at", person.company_id)
    return [row["action"] for row in rows]


async def saved(download: Download) -> str:
    path: Path = await download.path()
    return await asyncio.to_thread(path.read_text)


async def test_a_role_is_changed_and_a_member_blocked_unblocked_and_removed(
    page: Page, world: World, person: Person
) -> None:
    member = await world.person(company_id=person.company_id)
    email = await email_of(world, member.user_id)
    await page.goto("/")
    await page.get_by_role("link", name="Company").click()
    await page.get_by_role("link", name="Members", exact=True).click()
    row = row_of(page, email)
    await row.get_by_role("combobox").select_option("admin")
    await press(row, "Change")
    await told(page, "role was changed")
    await expect(row.get_by_role("combobox")).to_have_value("admin")

    await press(row, "Block")
    await page.keyboard.press("Escape")  # asked once, and answered by no
    await expect(row.get_by_text("Active", exact=True)).to_be_visible()
    await press(row, "Block")
    await expect(page.locator("#confirm")).to_contain_text(email)
    await confirm(page)
    await told(page, "Blocked.")
    await press(row, "Unblock")
    await told(page, "Unblocked.")
    await press(row, "Remove")
    await confirm(page)
    await told(page, "Removed")
    await expect(row).to_have_count(0)
    assert await actions(world, person) == [
        "member.change_role", "member.block", "member.unblock", "member.remove",
    ]  # fmt: skip
    assert await world.rows("SELECT 1 FROM memberships WHERE user_id = $1", member.user_id) == []


async def test_what_is_refused_is_explained_beside_the_form(page: Page, world: World, person: Person) -> None:
    email = await email_of(world, person.user_id)
    await page.goto("/company/members")
    row = row_of(page, email)
    await row.get_by_role("combobox").select_option("member")
    await press(row, "Change")
    await confirm(page)  # it would end the own session
    await expect(row.get_by_role("alert")).to_contain_text("last owner")
    await expect(row.get_by_role("button", name="Block")).to_have_count(0)


async def test_an_admin_is_offered_no_more_than_the_own_role(
    browser: Browser, stack: FaultStack, world: World, person: Person
) -> None:
    admin = await world.person(company_id=person.company_id, role="admin")
    session = await add_session(world, admin.user_id, admin.company_id)
    async with opened_page(browser, stack.url, session) as page:
        await page.goto("/company/members")
        row = row_of(page, await email_of(world, person.user_id))
        await expect(row).to_contain_text("Owner")
        await expect(row.get_by_role("button")).to_have_count(0)
        own = row_of(page, await email_of(world, admin.user_id))
        assert await own.locator("option").all_inner_texts() == ["Member", "Admin"]


async def test_an_invite_is_sent_accepted_and_its_person_appears(
    page: Page, browser: Browser, stack: FaultStack, mails: Mailbox, world: World, person: Person
) -> None:
    email = f"new-{person.user_id}@example.test"
    await page.goto("/company/invites")
    await page.get_by_label("Mail address").fill(email)
    await page.get_by_role("combobox", name="Role").select_option("admin")
    await page.get_by_role("button", name="Send the invite").click()
    await told(page, "on its way")
    await expect(row_of(page, email)).to_contain_text("Open")
    await page.get_by_label("Mail address").fill(email)
    await page.get_by_role("button", name="Send the invite").click()
    await expect(page.get_by_role("alert")).to_contain_text("has an open invite")

    link = (await mails.mail_to(email)).link
    assert link is not None
    token = link.partition("#")[2]
    user_id = (await world.row("SELECT id FROM users WHERE email = $1", email))["id"]
    async with opened_page(browser, stack.url, await add_session(world, user_id)) as guest:
        asked: list[str] = []
        guest.on("request", lambda request: asked.append(request.url))
        await guest.goto(f"{stack.url}/invites/accept#{token}")
        await guest.get_by_role("button", name="Join").click()
        await expect(guest.locator("#done")).to_be_visible()
        await guest.get_by_role("link", name="To the chat").click()
        await guest.get_by_role("link", name="Company").click()
        await expect(guest.locator(".figures")).to_contain_text("Admin")
        assert [url for url in asked if token in url.partition("#")[0]] == [], "a token in an address reached a server"
    await page.reload()
    await expect(row_of(page, email)).to_contain_text("Accepted")
    await page.goto("/company/members")
    await expect(row_of(page, email).get_by_role("combobox")).to_have_value("admin")


async def test_an_invite_is_sent_again_and_revoked(page: Page, mails: Mailbox, person: Person) -> None:
    email = f"again-{person.user_id}@example.test"
    await page.goto("/company/invites")
    await page.get_by_label("Mail address").fill(email)
    await page.keyboard.press("Enter")
    await told(page, "on its way")
    await press(row_of(page, email), "Send again")
    await told(page, "on its way again")
    latest = await mails.mail_to(email, number=2)
    assert latest.link != mails.to(email)[0].link
    await press(row_of(page, email), "Revoke")
    await confirm(page)
    await told(page, "revoked")
    await expect(row_of(page, email)).to_contain_text("Revoked")
    await expect(row_of(page, email).get_by_role("button")).to_have_count(0)


async def test_a_key_is_shown_once_works_and_is_refused_once_revoked(page: Page, stack: FaultStack) -> None:
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.goto("/company/keys")
    await page.get_by_label("Name").fill("nightly")
    for scope in ("Chat", "Read"):
        await page.get_by_label(scope, exact=True).uncheck()
    await page.get_by_role("button", name="Make a key").click()
    await expect(page.get_by_role("alert")).to_contain_text("at least one")
    await page.get_by_label("Read", exact=True).check()
    await page.get_by_label("Expires").select_option("30")
    await page.get_by_role("button", name="Make a key").click()
    dialog = page.locator("#new-key")
    await expect(dialog).to_be_visible()
    key = await page.locator("#key").input_value()
    await dialog.get_by_role("button", name="Copy").click()
    await expect(dialog.get_by_role("status")).to_have_text("Copied.")
    assert await page.evaluate("navigator.clipboard.readText()") == key
    await dialog.get_by_role("button", name="Close").click()
    row = row_of(page, "nightly")
    await expect(row).to_contain_text("Read")
    assert key not in await page.content()
    async with http_client(stack.url, key=key) as program:
        assert (await program.get("/v1/balance")).status_code == 200
        assert (await program.post("/v1/chat", json={"client_message_id": "1", "text": "x"})).status_code == 403
        await press(row, "Revoke")
        await confirm(page)
        await told(page, "revoked")
        await expect(row).to_contain_text("Revoked")
        assert (await program.get("/v1/balance")).status_code == 401


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
    rows = list(csv.DictReader(io.StringIO(await saved(download))))
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


async def test_a_session_elsewhere_is_ended(
    page: Page, browser: Browser, stack: FaultStack, world: World, person: Person
) -> None:
    session = await add_session(world, person.user_id, person.company_id)
    await world.rows("UPDATE sessions SET user_agent = 'A lost phone' WHERE user_id = $1", person.user_id)
    async with opened_page(browser, stack.url, session) as elsewhere:
        await elsewhere.goto("/company/sessions")
        await expect(elsewhere.get_by_text("This browser", exact=True)).to_have_count(1)
        await page.goto("/company/sessions")
        await page.get_by_role("button", name="End").click()
        await confirm(page)
        await told(page, "ended")
        await expect(page.get_by_role("button", name="End")).to_have_count(0)
        await elsewhere.reload()
        await expect(elsewhere).to_have_url(re.compile("/sign-in$"))


async def test_the_audit_log_is_searched_and_paged(page: Page, stack: FaultStack, person: Person) -> None:
    async with client_of(stack.url, person) as client:
        for number in range(51):
            await client.http.post("/v1/company/api-keys", json={"name": f"key {number}", "scopes": ["read"]})
        made = (await client.http.post("/v1/company/api-keys", json={"name": "last", "scopes": ["read"]})).json()
        await client.http.delete(f"/v1/company/api-keys/{made['api_key']['id']}")
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


async def test_a_member_sees_the_own_and_gets_no_admins_page(
    browser: Browser, stack: FaultStack, world: World, person: Person
) -> None:
    member = await world.person(company_id=person.company_id)
    async with client_of(stack.url, person) as client:
        await client.ask()
    session = await add_session(world, member.user_id, member.company_id)
    async with opened_page(browser, stack.url, session) as page:
        await page.goto("/company")
        await expect(page.locator(".sections a")).to_have_text(["Overview", "Usage", "Ledger", "Your sessions"])
        await page.goto("/company/usage")
        await expect(page.locator("#answers")).to_have_text("0")
        await expect(page.locator("#people")).to_have_count(0)
        for path in ("/company/members", "/company/keys", "/company/audit", "/operator/users"):
            answer = await page.goto(path)
            assert answer is not None
            assert answer.status == 403
            await expect(page.locator("h1")).to_have_text("This page is not for you")


async def test_another_companys_admin_sees_nothing_of_this_one(
    browser: Browser, stack: FaultStack, world: World, person: Person
) -> None:
    member = await world.person(company_id=person.company_id)
    async with client_of(stack.url, person) as client:
        await client.ask("Hello")
        await client.http.post("/v1/company/invites", json={"email": f"of-{person.user_id}@x.test", "role": "member"})
        key = (await client.http.post("/v1/company/api-keys", json={"name": "theirs", "scopes": ["read"]})).json()
    secrets = [str(person.company_id), str(person.user_id), str(member.user_id), key["api_key"]["id"], "theirs"]
    stranger = await world.person(role="owner")
    session = await add_session(world, stranger.user_id, stranger.company_id)
    async with opened_page(browser, stack.url, session) as page:
        for section in ("", "/members", "/invites", "/keys", "/usage", "/ledger", "/audit", "/sessions"):
            await page.goto(f"/company{section}")
            shown = await page.content()
            assert [secret for secret in secrets if secret in shown] == []
        await page.goto(f"/company/usage?user_id={member.user_id}")
        await expect(page.locator("#answers")).to_have_text("0")
        await page.goto(f"/company/audit?user_id={person.user_id}")
        await expect(page.get_by_text("Nothing found.")).to_be_visible()


async def test_who_is_in_several_companies_switches_between_them(page: Page, world: World, person: Person) -> None:
    other = await world.person(role="owner")
    await world.rows("UPDATE companies SET name = 'The other' WHERE id = $1", other.company_id)
    await world.rows(
        "INSERT INTO memberships (company_id, user_id, role) VALUES ($1, $2, 'member')",
        other.company_id,
        person.user_id,
    )
    await page.goto("/company")
    await press(row_of(page, "The other"), "Act here")
    await told(page, "another company")
    await expect(page.locator("h1")).to_have_text("The other")
    await expect(page.locator(".sections a")).to_have_text(["Overview", "Usage", "Ledger", "Your sessions"])


async def test_a_lost_connection_is_told_and_nothing_sent_twice(page: Page, world: World, person: Person) -> None:
    await page.goto("/company/keys")
    await page.context.set_offline(True)
    await page.get_by_label("Name").fill("offline")
    await page.get_by_role("button", name="Make a key").click()
    await expect(page.get_by_role("alert")).to_contain_text("No connection")
    await page.context.set_offline(False)
    await page.evaluate("for (let i = 0; i < 5; i += 1) document.querySelector('form.panel').requestSubmit()")
    await expect(page.locator("#new-key")).to_be_visible()
    named = await world.rows("SELECT 1 FROM api_keys WHERE company_id = $1 AND name = 'offline'", person.company_id)
    assert len(named) == 1


@pytest_asyncio.fixture(loop_scope="session")
async def hostile(world: World, person: Person) -> AsyncIterator[str]:
    """Somebody who was given, or has given to others, names that would run if they were not shown as text."""
    attack = "\"'><img src=x onerror=window.hacked=1><script>window.hacked=1</script>"
    await world.rows("UPDATE companies SET name = $2 WHERE id = $1", person.company_id, attack)
    await world.rows("UPDATE users SET email = $2 WHERE id = $1", person.user_id, f"{attack}{person.user_id}@x.test")
    await world.rows("UPDATE api_keys SET name = $2 WHERE user_id = $1", person.user_id, attack)
    await world.rows("UPDATE sessions SET user_agent = $2 WHERE user_id = $1", person.user_id, attack)
    await world.rows("INSERT INTO operators (user_id) VALUES ($1)", person.user_id)
    guest, _ = await add_user(world, f"<svg/onload=window.hacked=1>-{person.user_id}@x.test")
    await world.rows(
        "INSERT INTO memberships (company_id, user_id, role) VALUES ($1, $2, 'member')", person.company_id, guest
    )
    yield attack


async def test_hostile_names_run_nothing(
    page: Page, stack: FaultStack, world: World, person: Person, hostile: str
) -> None:
    foreign: list[str] = []
    page.on("request", lambda request: None if request.url.startswith(stack.url) else foreign.append(request.url))
    async with client_of(stack.url, person) as client:
        await client.ask("Hello")
        await client.http.post("/v1/company/api-keys", json={"name": hostile, "scopes": ["read"]})
    await add_session(world, person.user_id, person.company_id)
    await world.rows("UPDATE sessions SET user_agent = $2 WHERE user_id = $1", person.user_id, hostile)
    paths = [f"/company{each}" for each in ("", "/members", "/invites", "/keys", "/usage", "/ledger", "/audit")]
    paths += ["/company/sessions", "/operator/companies", f"/operator/companies/{person.company_id}"]
    paths += [f"/operator/users?company_id={person.company_id}", f"/operator/audit?company_id={person.company_id}"]
    paths += ["/operator/companies?search=%3Cimg%20src=x%20onerror=window.hacked=1%3E", "/"]
    for path in paths:
        answer = await page.goto(path)
        assert answer is not None
        assert answer.ok, path
        assert await page.evaluate("'hacked' in window") is False
        assert await page.locator("img, main script, [onerror], [onload]").count() == 0
    await page.goto("/company/keys")
    await row_of(page, "onerror").first.get_by_role("button").click()
    await expect(page.locator("#confirm")).to_contain_text("<img src=x onerror=window.hacked=1>")
    assert await page.evaluate("'hacked' in window") is False
    assert foreign == []
