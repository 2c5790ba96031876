"""Inviting people as a company's admin does, and accepting as the invited do."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

import httpx

from support.database.world import World
from support.product.sessions import http_client


def an_address() -> str:
    """Return a mail address that nobody has."""
    return f"{uuid4()}@example.test"


async def invite(http: httpx.AsyncClient, email: str, role: str = "member", **more: object) -> dict[str, str]:
    """Invite an address, and return the invite as it is shown."""
    answer = await http.post("/v1/company/invites", json={"email": email, "role": role, **more})
    assert answer.status_code == 201, answer.text
    shown: dict[str, str] = answer.json()
    return shown


async def accept(url: str, session: str, token: str) -> httpx.Response:
    """Accept an invite in this session."""
    async with http_client(url, session=session) as http:
        return await http.post("/v1/invites/accept", json={"token": token})


async def listed(http: httpx.AsyncClient) -> dict[str, str]:
    """The states of the company's invites by address."""
    items = (await http.get("/v1/company/invites", params={"limit": 100})).json()["items"]
    return {item["email"]: item["state"] for item in items}


async def pass_time(world: World, invite_id: str) -> None:
    """Let an invite's time be over."""
    await world.rows("UPDATE invites SET expires_at = $2 WHERE id = $1", UUID(invite_id), datetime.now(UTC))
