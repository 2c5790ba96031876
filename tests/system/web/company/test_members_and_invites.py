"""Members and invites on the pages of a company."""

from playwright.async_api import Browser, Page, expect

from support.browser.chromium import opened_page
from support.browser.console import confirm, email_of, press, row_of, status_says
from support.database.world import Person, World
from support.faults.stack import FaultStack
from support.product.mailbox import Mailbox
from support.product.sessions import add_session


async def actions(world: World, person: Person) -> list[str]:
    rows = await world.rows("SELECT action FROM audit_log WHERE company_id = $1 ORDER BY at", person.company_id)
    return [row["action"] for row in rows]


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
    await status_says(page, "role was changed")
    await expect(row.get_by_role("combobox")).to_have_value("admin")

    await press(row, "Block")
    await page.keyboard.press("Escape")  # asked once, and answered by no
    await expect(row.get_by_text("Active", exact=True)).to_be_visible()
    await press(row, "Block")
    await expect(page.locator("#confirm")).to_contain_text(email)
    await confirm(page)
    await status_says(page, "Blocked.")
    await press(row, "Unblock")
    await status_says(page, "Unblocked.")
    await press(row, "Remove")
    await confirm(page)
    await status_says(page, "Removed")
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
    await confirm(page)  # it would end the person's own session
    await expect(row.get_by_role("alert")).to_contain_text("last owner")
    await expect(row.get_by_role("button", name="Block")).to_have_count(0)


async def test_an_admin_is_offered_no_role_above_their_own(
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
    await status_says(page, "on its way")
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
    await status_says(page, "on its way")
    await press(row_of(page, email), "Send again")
    await status_says(page, "on its way again")
    latest = await mails.mail_to(email, number=2)
    assert latest.link != mails.to(email)[0].link
    await press(row_of(page, email), "Revoke")
    await confirm(page)
    await status_says(page, "revoked")
    await expect(row_of(page, email)).to_contain_text("Revoked")
    await expect(row_of(page, email).get_by_role("button")).to_have_count(0)
