"""Signing in by mail over HTTP: from the request to the mail, its page, and the cookie."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from support.database.roles import AppUser, created_database
from support.database.world import World, open_world
from support.gateway.fake import FakeGateway
from support.product.app import error_of, served_product
from support.product.mailbox import Mailbox, mailbox
from support.product.sessions import add_member, http_client

SMTP = {"smtp_host": "127.0.0.1", "smtp_use_tls": False, "email_from": "b2b-chat <chat@example.test>"}
MANY = {"login_rpm_per_ip": 1_000_000, "mail_poll_seconds": 0.01}


@pytest_asyncio.fixture(scope="module")
async def box() -> AsyncIterator[Mailbox]:
    async with mailbox() as box:
        yield box


@pytest_asyncio.fixture(scope="module")
async def url(database_url: str, module_gateway: FakeGateway, box: Mailbox) -> AsyncIterator[str]:
    changes = {**SMTP, **MANY, "smtp_port": box.port, "public_url": "https://chat.example.test"}
    async with served_product(database_url, module_gateway.url, **changes) as url:
        yield url


@pytest_asyncio.fixture
async def http(url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with http_client(url) as http:
        yield http


async def request_link(http: httpx.AsyncClient, email: str, **more: str) -> None:
    answer = await http.post("/auth/request-link", json={"email": email, **more})
    assert answer.status_code == 202
    assert re.fullmatch(r'\{"status":"accepted","login_request":"[\w-]{43}"\}', answer.text)


async def token_for(http: httpx.AsyncClient, box: Mailbox, email: str) -> str:
    """Ask for a link, and take the token out of the mail that comes."""
    await request_link(http, email)
    mail = await box.mail_to(email)
    assert mail.link is not None
    return urlsplit(mail.link).fragment


async def test_a_mail_comes_and_its_link_signs_in(world: World, http: httpx.AsyncClient, box: Mailbox) -> None:
    user_id, email = await add_member(world)
    await request_link(http, email.upper(), language="en")
    mail = await box.mail_to(email)
    assert mail.subject == "Sign in"
    assert mail.link is not None
    link = urlsplit(mail.link)
    assert (link.scheme, link.netloc, link.path, link.query) == ("https", "chat.example.test", "/auth/verify", "")
    assert len(link.fragment) == 43

    answer = await http.post("/auth/verify", json={"token": link.fragment})
    assert (answer.status_code, answer.content) == (204, b"")
    session, known_browser, login = answer.headers.get_list("set-cookie")
    assert re.fullmatch(r"session=[\w-]{43}; HttpOnly; Max-Age=2592000; Path=/; SameSite=lax", session)
    assert re.fullmatch(r"known-browser=[\w.-]{70,90}; HttpOnly; Max-Age=15552000; Path=/; SameSite=lax", known_browser)
    assert login == 'login=""; HttpOnly; Max-Age=0; Path=/; SameSite=lax'
    me = (await http.get("/v1/me")).json()
    assert (me["user_id"], me["email"], me["via"]) == (str(user_id), email, "session")
    assert error_of(await http.post("/auth/verify", json={"token": link.fragment})) == (401, "invalid_proof")


async def test_the_code_signs_in(world: World, http: httpx.AsyncClient, box: Mailbox) -> None:
    _, email = await add_member(world)
    await request_link(http, email)
    mail = await box.mail_to(email)
    assert (await http.post("/auth/verify", json={"email": email.title(), "code": mail.code})).status_code == 204
    assert (await http.get("/v1/me")).json()["email"] == email


@pytest.fixture
def unwatched_url(postgres_url: str, template_database: str) -> Iterator[str]:
    """A database that the module's product_api does not know: it would decide requests by its own limits."""
    with created_database(postgres_url, prefix="b2b_chat_test", template=template_database) as url:
        yield url


async def test_the_answer_is_the_same_for_every_address(
    unwatched_url: str, app_user: AppUser, gateway: FakeGateway, box: Mailbox
) -> None:
    async with open_world(unwatched_url) as world:
        _, known = await add_member(world)
        _, blocked = await add_member(world)
        await world.rows("UPDATE users SET blocked_at = now() WHERE email = $1", blocked)
    changes = {**SMTP, **MANY, "smtp_port": box.port, "login_mails_per_email_ip_hour": 1}
    answers = []
    database_url = app_user.url(unwatched_url)
    async with served_product(database_url, gateway.url, **changes) as url, http_client(url) as http:
        for email in (known, known, blocked, f"{uuid4()}@example.test", f"{uuid4()}@nowhere.invalid"):
            answer = await http.post("/auth/request-link", json={"email": email})
            headers = [name for name in answer.headers if name != "date"]
            body = answer.json()
            answers.append((answer.status_code, body.pop("status"), list(body), len(answer.content), headers))
            http.cookies.clear()
        await box.mail_to(known)
    assert answers == [(202, "accepted", ["login_request"], *answers[0][3:])] * len(answers)
    assert len(box.to(known)) == 1


async def test_only_known_addresses_get_mail(world: World, http: httpx.AsyncClient, box: Mailbox) -> None:
    unknown, (_, known) = f"{uuid4()}@example.test", await add_member(world)
    await request_link(http, unknown)
    await request_link(http, known)
    await box.mail_to(known)
    assert box.to(unknown) == []


@pytest.mark.parametrize(
    ("wanted", "accepted", "language"),
    [
        (None, None, "ru"),
        (None, "en-GB,en;q=0.9,ru;q=0.8", "en"),
        (None, "de", "ru"),
        ("ru", "en", "ru"),
        ("en", "ru", "en"),
    ],
)
async def test_the_mail_is_in_the_readers_language(
    world: World, http: httpx.AsyncClient, box: Mailbox, wanted: str | None, accepted: str | None, language: str
) -> None:
    _, email = await add_member(world)
    body = {"email": email} | ({"language": wanted} if wanted else {})
    await http.post("/auth/request-link", json=body, headers={"Accept-Language": accepted} if accepted else {})
    mail = await box.mail_to(email)
    assert mail.language == language
    assert mail.subject == {"ru": "Вход", "en": "Sign in"}[language]


async def test_loading_the_page_changes_nothing(world: World, http: httpx.AsyncClient, box: Mailbox) -> None:
    _, email = await add_member(world)
    token = await token_for(http, box, email)
    before = await world.rows("SELECT t::text FROM login_challenges t ORDER BY id")
    for method in ("GET", "HEAD", "OPTIONS"):
        for target in ("/auth/verify", f"/auth/verify?token={token}", f"/auth/verify#{token}"):
            answer = await http.request(method, target)
            assert answer.status_code in {200, 204}
            assert "set-cookie" not in answer.headers
    assert await world.rows("SELECT t::text FROM login_challenges t ORDER BY id") == before
    assert (await http.post("/auth/verify", json={"token": token})).status_code == 204


async def test_a_hundred_at_once_make_one_session(world: World, http: httpx.AsyncClient, box: Mailbox) -> None:
    user_id, email = await add_member(world)
    token = await token_for(http, box, email)
    answers = await asyncio.gather(*[http.post("/auth/verify", json={"token": token}) for _ in range(100)])
    assert sorted(answer.status_code for answer in answers) == [204] + [401] * 99
    assert len(await world.rows("SELECT 1 FROM sessions WHERE user_id = $1", user_id)) == 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"token": ""},
        {"token": "x" * 101},
        {"token": "x", "email": "a@example.test", "code": "12345678"},
        {"email": "a@example.test"},
        {"code": "12345678"},
        {"email": "a@example.test", "code": "12345"},
        {"email": "a@example.test", "code": "1234567"},
        {"email": "a@example.test", "code": "123456789"},
        {"email": "a@example.test", "code": "12 345678"},
        {"email": "a@example.test", "code": "1234567\u0661"},
        {"token": "x", "login_request": "y"},
        {"email": "a@example.test", "login_request": "y"},
        {"email": "a@example.test", "code": 123456},
        {"email": "nobody", "code": "12345678"},
    ],
)
async def test_a_proof_of_no_form_is_refused(http: httpx.AsyncClient, body: dict[str, object]) -> None:
    assert error_of(await http.post("/auth/verify", json=body)) == (400, "invalid_request")


@pytest.mark.parametrize(
    "email",
    [
        "",
        "a",
        "@b",
        "a@",
        "a@b@c",
        "a b@c.test",
        "a@b\n",
        "a@b.test\r\nBcc: x@y.test",
        "a@b..",
        "x" * 65 + "@b.test",
        "a@" + "b" * 253,
    ],
)
async def test_an_invalid_address_is_refused(http: httpx.AsyncClient, email: str) -> None:
    assert error_of(await http.post("/auth/request-link", json={"email": email})) == (400, "invalid_request")


async def test_a_domain_beyond_ascii_is_the_same_mailbox_in_both_forms(
    world: World, http: httpx.AsyncClient, box: Mailbox
) -> None:
    name = uuid4().hex
    await add_member(world, f"{name}@xn--e1afmkfd.xn--p1ai")
    await request_link(http, f"{name.upper()}@Пример.РФ")
    mail = await box.mail_to(f"{name}@xn--e1afmkfd.xn--p1ai")
    proof = {"email": f"{name}@пример.рф", "code": mail.code}
    assert (await http.post("/auth/verify", json=proof)).status_code == 204
    assert (await http.get("/v1/me")).json()["email"] == f"{name}@xn--e1afmkfd.xn--p1ai"


@pytest.mark.parametrize("email", ["анна@example.test", "a@пример..рф", "a@\u202eпример.рф"])  # noqa: RUF001 - Russian
async def test_an_address_that_cannot_be_mailed_is_refused_at_the_door(http: httpx.AsyncClient, email: str) -> None:
    refusal = (422, "address_not_supported")
    assert error_of(await http.post("/auth/request-link", json={"email": email})) == refusal
    assert error_of(await http.post("/auth/verify", json={"email": email, "code": "12345678"})) == refusal


async def test_one_ip_is_limited_with_a_429(database_url: str, gateway: FakeGateway) -> None:
    async with served_product(database_url, gateway.url, login_rpm_per_ip=2) as url, http_client(url) as http:
        await request_link(http, "a@example.test")
        assert error_of(await http.post("/auth/verify", json={"token": "x"})) == (401, "invalid_proof")
        for path, body in (("/auth/request-link", {"email": "b@example.test"}), ("/auth/verify", {"token": "x"})):
            answer = await http.post(path, json=body)
            assert error_of(answer) == (429, "rate_limited")
            assert int(answer.headers["retry-after"]) <= 60
            assert re.fullmatch(r'"ip";r=0;t=\d+', answer.headers["ratelimit"])


async def test_without_a_mail_server_mails_wait(
    world: World, database_url: str, gateway: FakeGateway, box: Mailbox
) -> None:
    _, email = await add_member(world)
    async with served_product(database_url, gateway.url, mail_poll_seconds=0.01) as url, http_client(url) as http:
        await request_link(http, email)
        assert (await box.mail_to(email)).to == email  # the other product_api on this database sends it


async def test_a_secure_cookie_is_bound_to_the_host(
    world: World, database_url: str, gateway: FakeGateway, box: Mailbox
) -> None:
    _, email = await add_member(world)
    changes = {"cookie_secure": True, "cookie_samesite": "strict", "public_url": "https://chat.example.test"}
    async with served_product(database_url, gateway.url, **changes) as url, http_client(url) as http:
        token = await token_for(http, box, email)
        answer = await http.post("/auth/verify", json={"token": token})
        cookie, known_browser, login = answer.headers.get_list("set-cookie")
        assert known_browser.startswith("__Host-known-browser=")
        assert login.startswith("__Host-login=")
        assert re.fullmatch(
            r"__Host-session=[\w-]{43}; HttpOnly; Max-Age=2592000; Path=/; SameSite=strict; Secure", cookie
        )
        value = cookie.split(";")[0].split("=", 1)[1]
        assert (await http.get("/v1/me", headers={"Cookie": f"__Host-session={value}"})).status_code == 200
        assert (await http.get("/v1/me", headers={"Cookie": f"session={value}"})).status_code == 401
