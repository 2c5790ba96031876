"""Two companies: whatever of the other's is named, it is not there. The operations are listed from the app itself."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID, uuid4

import httpx
import pytest

from support.database.world import World
from support.gateway.fake import FakeGateway
from support.product.app import client_of, error_of
from support.product.operations import Operation, list_operations
from support.product.sessions import add_session, add_user, http_client, invite_token, session_client

TENANT_GUARDS: Final = {"signed_in", "by_session"}
OPERATIONS: Final = [each for each in list_operations() if each.guards & TENANT_GUARDS]
WITH_IDS: Final = [each for each in OPERATIONS if "{" in each.path]

BODIES: Final[Mapping[str, dict[str, Any]]] = {
    "changeMember": {"role": "member"},
    "renameConversation": {"title": "Theirs"},
}
"""What the operations with ids in their path take."""

IDS_IN_BODIES: Final[Mapping[str, dict[str, Any]]] = {
    "sendMessage": {"client_message_id": "1", "text": "Hello", "conversation_id": "{conversation_id}"},
    "chooseCompany": {"company_id": "{company_id}"},
    "acceptInvite": {"token": "{token}"},
}
"""The operations that take an id, or what stands for one, in their body."""

WITHOUT_OWN_IDS: Final = {
    "getBalance", "listLedger", "getMasking", "getMaskingTerms", "getCompanyUsage", "listMemberUsage", "getMyUsage",
    "getMaskingCounts", "masking_page",
    "getSecondFactor", "second_factor", "overview_page", "usage_page", "ledger_page", "sessions_page",
}  # fmt: skip
"""The lists and pages that show none of the ids that a company with everything knows."""

WITHOUT_IDS: Final = {
    "createInvite", "createApiKey", "createOperatorKey", "changeCompany",
    "changeMasking", "changeMaskingTerms", "addOwnMasking", "previewMasking",
    "beginSecondFactor", "confirmSecondFactor", "proveSecondFactor",
}  # fmt: skip
"""The operations that change something and take no id at all."""

Ids = dict[str, str]


async def company_with_everything(world: World, url: str) -> tuple[str, Ids]:
    """A session of the owner of a company that has one of each, and the ids of all."""
    owner = await world.person(role="owner")
    member = await world.person(company_id=owner.company_id)
    session = await add_session(world, owner.user_id, owner.company_id)
    _, email = await add_user(world)
    async with client_of(url, owner) as client:
        answer = await client.ask("A secret of ours")
        invite = (await client.http.post("/v1/company/invites", json={"email": email, "role": "member"})).json()
    async with session_client(url, world, owner) as http:
        key = (await http.post("/v1/company/api-keys", json={"name": "robot", "scopes": ["read"]})).json()
    await add_session(world, member.user_id, owner.company_id)
    sessions = await world.rows("SELECT id FROM sessions WHERE user_id = $1", owner.user_id)
    return session, {
        "company_id": str(owner.company_id),
        "user_id": str(member.user_id),
        "conversation_id": answer["conversation_id"],
        "assistant_message_id": answer["assistant_message_id"],
        "user_message_id": answer["user_message_id"],
        "invite_id": invite["id"],
        "api_key_id": key["api_key"]["id"],
        "session_id": str(sessions[0]["id"]),
        "token": await invite_token(world, email),
    }


def filled(value: Any, ids: Ids) -> Any:
    """A body with ids in the places of their names."""
    if isinstance(value, dict):
        return {name: filled(inner, ids) for name, inner in value.items()}
    return value.format_map(ids) if isinstance(value, str) else value


async def call(url: str, session: str, operation: Operation, ids: Ids) -> httpx.Response:
    body = filled(BODIES.get(operation.name) or IDS_IN_BODIES.get(operation.name), ids)
    async with http_client(url, session=session) as browser:
        # Every name of a path must be known here: a new kind of id takes a new line in `company_with_everything`.
        return await browser.request(operation.method, operation.path.format(**ids), json=body)


async def test_every_operation_is_looked_at() -> None:
    known = {each.name for each in WITH_IDS} | IDS_IN_BODIES.keys() | WITHOUT_IDS
    assert [each.name for each in OPERATIONS if each.is_unsafe and each.name not in known] == []
    assert len(WITH_IDS) >= 12


@pytest.mark.parametrize(
    "operation",
    [each for each in OPERATIONS if "{" in each.path or each.name in IDS_IN_BODIES],
    ids=lambda operation: operation.name,
)
async def test_another_companys_objects_are_not_found(
    world: World, product_url: str, gateway: FakeGateway, operation: Operation
) -> None:
    del gateway  # answers the chats
    session, _ = await company_with_everything(world, product_url)
    their_session, their_ids = await company_with_everything(world, product_url)
    refused = await call(product_url, session, operation, their_ids)
    assert refused.status_code == 404, refused.text
    # The ids are good: their own company gets another answer, unless the operation is open to none of its members.
    own = await call(product_url, their_session, operation, their_ids)
    assert own.status_code != 404 or operation.name == "acceptInvite", own.text
    nobody = await call(product_url, session, operation, {name: str(uuid4()) for name in their_ids})
    assert (nobody.status_code, told(nobody)) == (refused.status_code, told(refused))


def told(refused: httpx.Response) -> dict[str, Any]:
    """What a refusal says, apart from which request it was."""
    if refused.headers["content-type"].startswith("text/html"):
        return {"page": refused.text}
    detail: dict[str, Any] = refused.json()["detail"]
    return {name: value for name, value in detail.items() if name != "request_id"}


@pytest.mark.parametrize(
    "operation",
    [each for each in OPERATIONS if each.method == "GET" and "{" not in each.path],
    ids=lambda operation: operation.name,
)
async def test_no_list_shows_another_companys_objects(
    world: World, product_url: str, gateway: FakeGateway, operation: Operation
) -> None:
    del gateway  # answers the chats
    session, ids = await company_with_everything(world, product_url)
    _, their_ids = await company_with_everything(world, product_url)
    async with http_client(product_url, session=session) as browser:
        answer = await browser.get(operation.path)
    assert answer.status_code == 200, answer.text
    assert [name for name, value in their_ids.items() if value in answer.text] == []
    assert operation.name in WITHOUT_OWN_IDS or [name for name, value in ids.items() if value in answer.text]


async def test_a_filter_does_not_reach_into_another_company(
    world: World, product_url: str, gateway: FakeGateway
) -> None:
    del gateway  # answers the chats
    session, _ = await company_with_everything(world, product_url)
    _, their_ids = await company_with_everything(world, product_url)
    async with http_client(product_url, session=session) as browser:
        page = (await browser.get("/v1/company/audit", params={"target": their_ids["invite_id"]})).json()
        assert all(UUID(item["company_id"]) != UUID(their_ids["company_id"]) for item in page["items"])
        answer = await browser.get("/v1/company/audit", params={"company_id": their_ids["company_id"]})
        assert error_of(answer) == (400, "unknown_parameter")


async def test_a_cursor_of_another_company_shows_nothing_of_it(
    world: World, product_url: str, gateway: FakeGateway
) -> None:
    del gateway  # answers the chats
    session, _ = await company_with_everything(world, product_url)
    _, their_ids = await company_with_everything(world, product_url)
    cursors = {
        "/v1/conversations": their_ids["conversation_id"],
        "/v1/company/members": their_ids["user_id"],
        "/v1/company/invites": their_ids["invite_id"],
        "/v1/company/api-keys": their_ids["api_key_id"],
    }
    async with http_client(product_url, session=session) as browser:
        for path, cursor in cursors.items():
            answer = await browser.get(path, params={"cursor": cursor})
            assert answer.status_code == 200
            assert [name for name, value in their_ids.items() if value in answer.text] == []
