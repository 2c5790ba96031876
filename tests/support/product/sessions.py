"""People signed in without a mail server, operators, and the text of their mails."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

import httpx

from b2b_chat.kit.keyed_hash import KeyedHash, new_token
from b2b_chat.kit.settings import Secret
from b2b_chat.product.identity.key_form import SHOWN_CHARACTERS, hash_api_key, new_api_key
from b2b_chat.product.mail.service import Seal
from support.database.world import Person, World
from support.product.app import environ

_SSL_CONTEXT: Final = ssl.create_default_context()  # made once: it costs 20 ms, and nothing here is encrypted
_ENVIRON: Final = environ("", "")
_SESSION_HASH: Final = KeyedHash(Secret(_ENVIRON["SESSION_SECRET"]), None, purpose="session")
_SEAL: Final = Seal(Secret(_ENVIRON["AUTH_TOKEN_SECRET"]), None)


async def add_user(world: World, email: str | None = None) -> tuple[UUID, str]:
    """A user of no company: the id and the address."""
    user_id = uuid4()
    email = email or f"{user_id}@example.test"
    await world.rows("INSERT INTO users (id, email) VALUES ($1, $2)", user_id, email)
    return user_id, email


async def add_member(world: World, email: str | None = None) -> tuple[UUID, str]:
    """A user of a company, who may sign in by mail: the id and the address."""
    user_id, email = await add_user(world, email)
    company_id = uuid4()
    await world.rows("INSERT INTO companies (id, name) VALUES ($1, 'A company')", company_id)
    await world.rows(
        "INSERT INTO memberships (company_id, user_id, role) VALUES ($1, $2, 'member')", company_id, user_id
    )
    return user_id, email


async def add_session(world: World, user_id: UUID, company_id: UUID | None = None) -> str:
    """Sign a user in, acting in a company or in none, and return the cookie's token."""
    token, now = new_token(), datetime.now(UTC)
    await world.rows(
        "INSERT INTO sessions (id, user_id, company_id, token_hash, user_agent, client_ip, created_at, last_seen_at, "
        "expires_at) VALUES ($1, $2, $3, $4, 'test', '127.0.0.1', $5, $5, $6)",
        uuid4(),
        user_id,
        company_id,
        _SESSION_HASH.hash(token),
        now,
        now + timedelta(days=1),
    )
    return token


async def add_operator(world: World) -> tuple[UUID, str]:
    """An operator: the user's id, and a key for `/admin`."""
    user_id, _ = await add_user(world)
    key = new_api_key()
    await world.rows("INSERT INTO operators (user_id) VALUES ($1)", user_id)
    await world.rows(
        "INSERT INTO api_keys (id, company_id, user_id, name, prefix, key_hash, scopes, made_in_shell) "
        "VALUES ($1, NULL, $2, 'test', $3, $4, '{}', true)",
        uuid4(),
        user_id,
        key[:SHOWN_CHARACTERS],
        hash_api_key(key),
    )
    return user_id, key


async def letters_to(world: World, email: str) -> list[dict[str, str]]:
    """What the letters to an address say that wait in the outbox, oldest first."""
    rows = await world.rows("SELECT sealed_fields FROM mails WHERE recipient = $1 ORDER BY id", email)
    opened = [_SEAL.open(row["sealed_fields"]) for row in rows]
    assert None not in opened
    return [fields for fields in opened if fields is not None]


async def invite_token(world: World, email: str) -> str:
    """The token in the latest invite to an address."""
    return (await letters_to(world, email))[-1]["link"].partition("#")[2]


@asynccontextmanager
async def session_client(url: str, world: World, person: Person) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a person who is signed in and acts in their company."""
    session = await add_session(world, person.user_id, person.company_id)
    async with http_client(url, session=session) as http:
        yield http


@asynccontextmanager
async def http_client(
    url: str, *, key: str | None = None, session: str | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    """A client that shows a key or a session's cookie, or nothing."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    cookies = {"session": session} if session else {}
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(
        base_url=url, headers=headers, cookies=cookies, limits=limits, timeout=30, verify=_SSL_CONTEXT
    ) as http:
        yield http
