"""Secrets are rotated while people chat, by the very steps that deploy/README.md has, and no call fails by it."""

import asyncio
import re
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final, Literal, NamedTuple
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from support.database.roles import AppUser, created_database
from support.database.world import Person, World, open_world
from support.faults.processes import Part
from support.gateway.app import API_KEY
from support.http.serving import free_port
from support.network.nginx import Nginx
from support.openai.simulated import simulated_openai
from support.processes.commands import clean_environ
from support.product.app import SHARED_SECRET, Client, environ
from support.product.mailbox import Mailbox, mailbox
from support.product.sessions import add_member, add_session

README: Final = Path(__file__).parents[3] / "deploy/README.md"
SENDERS: Final = 3
SENDS_BETWEEN: Final = 6
"""So many messages at least are answered before, between and after the steps."""
WHILE_IT_RESTARTS: Final = {"503 shutting_down", "503 unavailable"}
"""What product_api replies while it ends, and nginx until it is back; clients then send the same message again."""


class Step(NamedTuple):
    """A documented step: what changes in the `.env` of which app, which is then restarted."""

    app: str
    changes: dict[str, Literal["old", "new"]]
    removed: list[str]


def documented_steps(title: str, name: str) -> list[Step]:
    """The steps below the paragraph that begins with a title, for a secret of this name."""
    section = README.read_text(encoding="utf-8").partition("\n## Rotating secrets\n")[2].partition("\n## ")[0]
    paragraph = section.partition(f"\n**{title}**")[2].partition("\n**")[0]
    steps = []
    for text in re.split(r"(?m)^\d\. ", paragraph)[1:]:
        (app,) = re.findall(r"docker compose up -d (product|gateway)_api`", text)
        changes = {each.replace("<NAME>", name): age for each, age in re.findall(r"`(\S+)=` the (old|new) one", text)}
        removed = [each.replace("<NAME>", name) for each in re.findall(r"\b(?:no|remove)\s+`([^`=]+)`", text)]
        assert changes or removed, text
        steps.append(Step(app, changes, removed))
    return steps


class Servers(NamedTuple):
    """Both apps behind nginx, and the people who use them."""

    nginx: Nginx
    parts: dict[str, Part]
    world: World
    box: Mailbox

    async def take(self, step: Step, name: str, new: str) -> None:
        """As `docker compose up -d` after a change of `.env`: the old container ends, then the new one begins."""
        part = self.parts[step.app]
        values = {"old": part.environ[name], "new": new}
        part.environ.update({variable: values[age] for variable, age in step.changes.items()})
        for variable in step.removed:
            del part.environ[variable]
        await part.terminate()
        await part.start()


@pytest_asyncio.fixture(scope="module")
async def servers(
    tmp_path_factory: pytest.TempPathFactory, postgres_url: str, template_database: str, app_user: AppUser
) -> AsyncIterator[Servers]:
    """Everything, started."""
    home = tmp_path_factory.mktemp("rotation")
    ports = {"gateway": free_port(), "product": free_port()}
    nginx = Nginx(home / "nginx", {"product_api": ports["product"], "gateway_api": ports["gateway"]})
    async with AsyncExitStack() as stack:
        owner_url = stack.enter_context(created_database(postgres_url, prefix="rotation", template=template_database))
        database_url = app_user.url(owner_url)
        box = await stack.enter_async_context(mailbox())
        simulator = await stack.enter_async_context(simulated_openai())
        stack.enter_context(nginx.running())
        common = {"SHUTDOWN_GRACE_SECONDS": "20"}
        environs = {
            "gateway": {
                "APP_ENV": "test",
                "GATEWAY_PORT": str(ports["gateway"]),
                "GATEWAY_SHARED_SECRET": SHARED_SECRET,
                "OPENAI_API_KEY": API_KEY,
                "OPENAI_BASE_URL": f"{simulator.url}/v1",
            },
            "product": environ(
                database_url,
                nginx.url("gateway_api"),
                PRODUCT_PORT=str(ports["product"]),
                TRUSTED_PROXIES="127.0.0.1",
                CHAT_RPM_PER_IP="1000000",
                CHAT_RPM_PER_USER="1000000",
                LOGIN_RPM_PER_IP="1000000",
                GATEWAY_IN_FLIGHT_WAIT_SECONDS="60",  # a loaded machine takes its time to start a gateway
                SSL_CERT_FILE=str(nginx.authority_file),
                EMAIL_FROM="chat@example.test",
                SMTP_HOST="127.0.0.1",
                SMTP_PORT=str(box.port),
                SMTP_USE_TLS="false",
                MAIL_POLL_SECONDS="0.1",
            ),
        }
        parts = {}
        for app, settings in environs.items():
            part = Part(app, clean_environ(home, **settings | common), f"http://127.0.0.1:{ports[app]}", home)
            stack.callback(part.kill)
            await part.start()
            parts[app] = part
        world = await stack.enter_async_context(open_world(owner_url))
        yield Servers(nginx, parts, world, box)


class Load:
    """People who chat without a pause."""

    def __init__(self) -> None:
        self.told: Counter[str] = Counter()
        """How often each reply was given, by status and code."""
        self._is_over = False

    @asynccontextmanager
    async def on(self, servers: Servers) -> AsyncIterator["Load"]:
        """Within the block messages are sent, one after the other by each person."""
        async with asyncio.TaskGroup() as group:
            for number in range(SENDERS):
                person = await servers.world.person()
                group.create_task(self._send_all(servers, person, stream=number % 2 == 1))
            try:
                yield self
            finally:
                self._is_over = True

    async def go_on(self) -> None:
        """Return once some more messages are answered."""
        goal = self.told["200"] + SENDS_BETWEEN
        async with asyncio.timeout(60):
            while self.told["200"] < goal:  # noqa: ASYNC110 - other processes cause it
                await asyncio.sleep(0.02)

    async def _send_all(self, servers: Servers, person: Person, *, stream: bool) -> None:
        headers = {"Authorization": f"Bearer {person.api_key}"}
        client = Client(servers.nginx.client("product_api", headers=headers))
        async with client.http:
            while not self._is_over:
                message_id = uuid4().hex
                while (told := await self._send(client, message_id, stream=stream)) in WHILE_IT_RESTARTS:
                    self.told[told] += 1
                    await asyncio.sleep(0.1)
                self.told[told] += 1

    async def _send(self, client: Client, message_id: str, *, stream: bool) -> str:
        text = "[[simulate: tokens=10; tps=50]] Hello"
        answer = await client.send(text, client_message_id=message_id, stream=stream)
        if not answer.is_success:
            return f"{answer.status_code} {answer.json()['detail']['code']}"
        return "200" if not stream or "event: final" in answer.text else f"200 {answer.text[-200:]}"


async def test_the_border_s_secret(servers: Servers) -> None:
    new = secrets.token_hex(32)
    steps = documented_steps("`GATEWAY_SHARED_SECRET`", "GATEWAY_SHARED_SECRET")
    assert [step.app for step in steps] == ["gateway", "product", "gateway"]
    async with Load().on(servers) as load:
        for step in steps:
            await load.go_on()
            await servers.take(step, "GATEWAY_SHARED_SECRET", new)
        await load.go_on()
    assert set(load.told) <= {"200"} | WHILE_IT_RESTARTS, load.told
    for part in servers.parts.values():
        assert part.environ["GATEWAY_SHARED_SECRET"] == new
        assert "GATEWAY_SHARED_SECRET_PREVIOUS" not in part.environ
    await servers.world.check_books()


Proof = Callable[[], Awaitable[int]]
"""Use a credential that was issued once, and return the status."""


async def sessions(servers: Servers, person: Person, http: httpx.AsyncClient) -> list[Proof]:
    """Proofs that a person is signed in."""
    cookie = {"Cookie": f"session={await add_session(servers.world, person.user_id, person.company_id)}"}

    async def look() -> int:
        return (await http.get("/v1/me", headers=cookie)).status_code

    return [look] * 2


async def login_links(servers: Servers, _person: Person, http: httpx.AsyncClient) -> list[Proof]:
    """Login links in mails."""
    _, email = await add_member(servers.world)
    proofs: list[Proof] = []
    for number in (1, 2):
        assert (await http.post("/auth/request-link", json={"email": email})).status_code == 202
        link = (await servers.box.mail_to(email, number=number)).link
        assert link
        token = link.partition("#")[2]

        async def redeem(token: str = token) -> int:
            return (await http.post("/auth/verify", json={"token": token})).status_code

        proofs.append(redeem)
    return proofs


async def invites(servers: Servers, person: Person, http: httpx.AsyncClient) -> list[Proof]:
    """Invites in mails, to people who are signed in."""
    owner = {"Authorization": f"Bearer {person.api_key}"}
    proofs: list[Proof] = []
    for _ in range(2):
        user_id, email = await add_member(servers.world)
        invited = await http.post("/v1/company/invites", json={"email": email, "role": "member"}, headers=owner)
        assert invited.status_code == 201, invited.text
        link = (await servers.box.mail_to(email)).link
        assert link
        token = link.partition("#")[2]
        cookie = {"Cookie": f"session={await add_session(servers.world, user_id)}"}

        async def accept(token: str = token, cookie: dict[str, str] = cookie) -> int:
            return (await http.post("/v1/invites/accept", json={"token": token}, headers=cookie)).status_code

        proofs.append(accept)
    return proofs


@pytest.mark.parametrize(
    ("name", "given_out", "good", "void"),
    [
        ("AUTH_TOKEN_SECRET", login_links, 204, 401),
        ("INVITE_TOKEN_SECRET", invites, 200, 404),
        # Last, since `add_session` signs people in under the first one.
        ("SESSION_SECRET", sessions, 200, 401),
    ],
)
async def test_a_secret_of_issued_credentials(
    servers: Servers,
    name: str,
    given_out: Callable[[Servers, Person, httpx.AsyncClient], Awaitable[list[Proof]]],
    good: int,
    void: int,
) -> None:
    """What was given out under the old secret is good until that is taken away, and what is new is good throughout."""
    titles = "`SESSION_SECRET`, `AUTH_TOKEN_SECRET`, `INVITE_TOKEN_SECRET`"
    first, last = documented_steps(titles, name)
    person = await servers.world.person(role="owner")
    async with servers.nginx.client("product_api") as http, Load().on(servers) as load:
        before, too_late = await given_out(servers, person, http)
        await load.go_on()
        await servers.take(first, name, secrets.token_hex(32))
        assert await before() == good
        await load.go_on()
        await servers.take(last, name, "")
        assert await too_late() == void
        await load.go_on()
        if name != "SESSION_SECRET":
            assert [await proof() for proof in await given_out(servers, person, http)] == [good] * 2
    assert set(load.told) <= {"200"} | WHILE_IT_RESTARTS, load.told
    await servers.world.check_books()
