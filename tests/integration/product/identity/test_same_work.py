"""A request for a login mail is the same work whether its address is known or not, but for the mail itself."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest
import pytest_asyncio
from cryptography.fernet import MultiFernet
from sqlalchemy import Engine, event

from b2b_chat.kit.database import Database
from b2b_chat.product.services import Services
from support.database.world import World
from support.product.login_services import BROWSER, MovableClock, make_people
from support.product.sessions import add_member

SEAL = "a seal"
Work = Counter[str]


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> Iterator[Work]:
    """What was done: each statement of a session by its text, and each sealing of a letter."""
    work: Work = Counter()
    seal = MultiFernet.encrypt

    def note_statement(_connection: object, _cursor: object, statement: str, *_others: object) -> None:
        work[" ".join(statement.split())] += 1

    def note_seal(fernet: MultiFernet, data: bytes) -> bytes:
        work[SEAL] += 1
        return seal(fernet, data)

    monkeypatch.setattr(MultiFernet, "encrypt", note_seal)
    event.listen(Engine, "before_cursor_execute", note_statement)
    yield work
    event.remove(Engine, "before_cursor_execute", note_statement)


@pytest_asyncio.fixture
async def people(database_url: str, done: Work) -> AsyncIterator[Services]:
    """The services on one connection for plain statements, which are noted too."""
    database = Database(database_url, pool_size=1, session_pool_size=1, acquire_seconds=10, statement_seconds=10)
    await database.open()
    async with database.connection() as connection:
        connection.add_query_logger(lambda query: done.update([" ".join(query.query.split())]))
    yield make_people(World(database), MovableClock())
    await database.close()


async def work_for(people: Services, done: Work, email: str) -> tuple[Work, Work]:
    """What a request for a link makes be done: before it is answered, and later."""
    done.clear()
    await people.logins.request_link(email, "en", BROWSER)
    await asyncio.sleep(0)  # a connection tells of its statements in the loop's next turn
    answered = Counter(done)
    done.clear()
    await people.logins.decide_requested()
    return answered, Counter(done)


async def test_known_and_unknown_addresses_make_the_same_work(world: World, people: Services, done: Work) -> None:
    _, known = await add_member(world)
    _, blocked = await add_member(world)
    await world.rows("UPDATE users SET blocked_at = now() WHERE email = $1", blocked)
    await work_for(people, done, f"{uuid4()}@example.test")  # the first ever also asks the server who it is
    for_unknown, later_for_unknown = await work_for(people, done, f"{uuid4()}@example.test")
    for_blocked, later_for_blocked = await work_for(people, done, blocked)
    for_known, later_for_known = await work_for(people, done, known)
    assert for_unknown == for_blocked == for_known
    assert for_unknown.total() == 1
    assert later_for_unknown == later_for_blocked
    assert later_for_unknown[SEAL] == later_for_known[SEAL] == 1
    # The mail itself is one statement more, long after the answer; nothing is done for strangers alone.
    (mail,) = (later_for_known - later_for_unknown).elements()
    assert mail.startswith("INSERT INTO mails ")
