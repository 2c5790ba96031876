"""Every mutating admin route and command leaves one row in the audit log; they are listed from the app itself."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import click
import httpx
import pytest
from click.testing import CliRunner, Result

from b2b_chat.cli import main
from b2b_chat.product.audit.actions import Action
from b2b_chat.sandbox.postgres import run_sql
from support.database.world import World
from support.product.app import client_of, environ
from support.product.operations import Operation, list_operations
from support.product.sessions import add_operator, add_session, add_user, http_client, invite_token, session_client

PROVED: Final = {"confirmSecondFactor", "proveSecondFactor"}
"""They take a code of an app: `second_factor/test_second_factor.py` does them."""
OPERATIONS: Final = [
    each
    for each in list_operations()
    if each.name not in PROVED and ((each.is_admins and each.is_unsafe) or "audited" in each.opt)
]

BODIES: Final[Mapping[str, dict[str, Any]]] = {
    "acceptInvite": {"token": "{token}"},
    "addCredits": {"amount_credits": "5", "external_id": "{external_id}"},
    "adjustCredits": {
        "corrects_position": 1,
        "amount_credits": "-5",
        "external_id": "{external_id}",
        "reason": "A mistake",
    },
    "changeCompany": {"needs_second_factor": True},
    "changeMasking": {"version": 0, "groups": {"contacts": "block"}, "kinds": {"PERSON": "off"}},
    "changeMaskingTerms": {"version": 0, "terms": ["Project Kestrel"], "allowed": ["info@example.test"]},
    "changeMember": {"role": "admin"},
    "createApiKey": {"name": "robot", "scopes": ["read"]},
    "createOperatorKey": {"name": "robot"},
    "createCompany": {"name": "Acme", "owner_email": "{email}"},
    "createInvite": {"email": "{email}", "role": "member"},
}
"""What the operations take; a new operation with a body takes a new line."""

COMMANDS: Final[Mapping[str, list[str]]] = {
    "operator-create": ["{email}"],
    "operator-remove": ["{operator}"],
    "operator-key-revoke": ["{operator_key}"],
    "company-create": ["Acme", "--owner", "{email}"],
    "company-block": ["{company_id}"],
    "company-unblock": ["{company_id}"],
    "credits-add": ["{company_id}", "5", "--external-id", "{external_id}"],
    "credits-adjust": [
        "{company_id}",
        "-5",
        "--external-id",
        "{external_id}",
        "--corrects",
        "1",
        "--reason",
        "A mistake",
    ],
    "masking-floor": ["secrets=block"],
    "masking-policy": ["{company_id}", "people=off", "PASSPORT=mask"],
    "masking-terms": ["{company_id}", "--terms", "{words}"],
    "user-block": ["{user_id}"],
    "user-unblock": ["{email}"],
    "factor-reset": ["{email}"],
    "audit": [],
}
"""How each command is called that does what an operator does."""

NO_ADMINS_COMMANDS: Final = {
    "demo", "up", "product", "gateway", "openai-simulator", "migrate", "openapi", "ledger", "mail-test",
    "operator-keys", "mail-catcher", "env-example", "error-codes", "backup", "restore", "migrate-check", "doctor",
    "masking-outline",
}  # fmt: skip
"""The commands that do nothing of that kind. A new command is added here or above."""

_OF_NO_COMPANY: Final = {"createOperatorKey", "revokeOperatorKey", "resetUserSecondFactor"}

Ids = dict[str, str]


def filled(value: Any, ids: Ids) -> Any:
    """A body or arguments with ids in the places of their names."""
    if isinstance(value, dict):
        return {name: filled(inner, ids) for name, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, ids) for inner in value]
    return value.format_map(ids) if isinstance(value, str) else value


class Stage:
    """A company with one of each target, and the sessions of people with and without the rights to act on it."""

    def __init__(self, world: World, url: str) -> None:
        self.world = world
        self.url = url

    async def set_up(self) -> None:
        """Create all of it again."""
        owner = await self.world.person(role="owner")
        member = await self.world.person(company_id=owner.company_id)
        operator_id, _ = await add_operator(self.world)
        operator_key = await self.world.row("SELECT id FROM api_keys WHERE user_id = $1", operator_id)
        guest_id, email = await add_user(self.world)
        async with client_of(self.url, owner) as client:
            invite = (await client.http.post("/v1/company/invites", json={"email": email, "role": "member"})).json()
        async with session_client(self.url, self.world, owner) as http:
            key = (await http.post("/v1/company/api-keys", json={"name": "x", "scopes": ["read"]})).json()
        self.company_id = owner.company_id
        self.sessions = {
            "owner": await add_session(self.world, owner.user_id, owner.company_id),
            "member": await add_session(self.world, member.user_id, owner.company_id),
            "operator": await add_session(self.world, operator_id),
            "guest": await add_session(self.world, guest_id),
        }
        self.ids = {
            "company_id": str(owner.company_id),
            "user_id": str(member.user_id),
            "invite_id": invite["id"],
            "api_key_id": key["api_key"]["id"],
            "operator_key_id": str(operator_key["id"]),
            "token": await invite_token(self.world, email),
            "email": f"{uuid4()}@example.test",
            "external_id": str(uuid4()),
        }

    async def call(self, who: str, operation: Operation) -> tuple[httpx.Response, list[dict[str, Any]]]:
        """The answer of an operation, and what it left in the audit log."""
        request_id = uuid4().hex
        if operation.name == "revokeOperatorKey":
            self.ids["api_key_id"] = self.ids["operator_key_id"]
        async with http_client(self.url, session=self.sessions[who]) as browser:
            answer = await browser.request(
                operation.method,
                operation.path.format(**self.ids),
                json=filled(BODIES.get(operation.name), self.ids),
                headers={"X-Request-ID": request_id},
            )
        return answer, await self.world.rows("SELECT * FROM audit_log WHERE client_request_id = $1", request_id)


def actor_of(operation: Operation) -> str:
    if operation.path.startswith("/admin"):
        return "operator"
    return "guest" if operation.name == "acceptInvite" else "owner"


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
async def test_an_operation_that_is_done_leaves_one_row(world: World, product_url: str, operation: Operation) -> None:
    stage = Stage(world, product_url)
    await stage.set_up()
    who = actor_of(operation)
    answer, rows = await stage.call(who, operation)
    assert answer.status_code < 300, answer.text
    (row,) = rows
    assert row["action"] == operation.opt["audited"]
    assert (row["outcome"], row["reason"]) == ("ok", None)
    assert row["actor_kind"] == ("operator" if who == "operator" else "user")
    if operation.name not in {"exportAudit", "blockUser", "unblockUser", "createCompany", *_OF_NO_COMPANY}:
        assert row["company_id"] == stage.company_id
    for name in operation.path.split("{")[1:]:
        assert stage.ids[name.partition("}")[0]] in row["target_ids"]
    assert "@" not in f"{row['targets']}{row['before']}{row['after']}"


@pytest.mark.parametrize(
    "operation", [each for each in OPERATIONS if each.name != "acceptInvite"], ids=lambda operation: operation.name
)
async def test_an_operation_that_is_refused_for_lack_of_rights_leaves_one_row(
    world: World, product_url: str, operation: Operation
) -> None:
    stage = Stage(world, product_url)
    await stage.set_up()
    who = "owner" if operation.path.startswith("/admin") else "member"
    answer, rows = await stage.call(who, operation)
    assert answer.status_code == 403, answer.text
    (row,) = rows
    assert row["action"] == operation.opt["audited"]
    assert (row["outcome"], row["reason"]) == ("refused", answer.json()["detail"]["code"])
    assert row["actor_kind"] == "user"
    assert row["company_id"] == stage.company_id
    for name in operation.path.split("{")[1:]:
        assert stage.ids[name.partition("}")[0]] in row["target_ids"]


async def test_every_action_has_an_operation_or_a_command(world: World, product_url: str) -> None:
    del world, product_url
    of_routes = {each.opt["audited"] for each in OPERATIONS}
    of_routes |= {each.opt["audited"] for each in list_operations() if each.name in PROVED}
    read = {each.opt["reads"] for each in list_operations() if "reads" in each.opt}
    assert set(Action) - of_routes - read == {
        Action.OPERATOR_CREATE,
        Action.OPERATOR_REMOVE,
        Action.MASKING_FLOOR,
        Action.SESSION_START,
        Action.SESSION_END,
    }


@pytest.fixture
def command_environ(database_url: str) -> dict[str, str]:
    return environ(database_url, "http://127.0.0.1:1")


@pytest.fixture
def ids(database_url: str, command_environ: dict[str, str], tmp_path: Path) -> Ids:
    """What the commands are done to, made by commands."""

    def result_of(*arguments: str) -> str:
        return run(command_environ, *arguments).output.strip()

    owner, operator = f"{uuid4()}@example.test", f"{uuid4()}@example.test"
    operator_key = result_of("operator-create", operator)
    company_id = result_of("company-create", "Acme", "--owner", owner)
    words = tmp_path / "words.txt"
    words.write_text("Project Kestrel\n", encoding="utf-8")
    result_of("credits-add", company_id, "100", "--external-id", str(uuid4()))
    return {
        "company_id": company_id,
        "user_id": run_sql(database_url, "SELECT user_id FROM memberships ORDER BY created_at DESC LIMIT 1"),
        "email": owner,
        "operator": operator,
        "words": str(words),
        "operator_key": operator_key[:12],
        "external_id": str(uuid4()),
    }


def run(environ: dict[str, str], *arguments: str) -> Result:
    result = CliRunner(env=environ).invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def test_every_command_is_known_to_be_an_operators_or_not() -> None:
    assert main.commands.keys() - NO_ADMINS_COMMANDS == COMMANDS.keys()


@pytest.mark.parametrize("command", sorted(main.commands.keys() - NO_ADMINS_COMMANDS))
def test_a_command_leaves_one_row(database_url: str, command_environ: dict[str, str], ids: Ids, command: str) -> None:
    before = int(run_sql(database_url, "SELECT count(*) FROM audit_log"))
    assert isinstance(main.commands[command], click.Command)
    run(command_environ, command, *filled(COMMANDS[command], ids))
    assert int(run_sql(database_url, "SELECT count(*) FROM audit_log")) == before + 1
    row = run_sql(
        database_url,
        "SELECT actor_kind || ' ' || outcome || ' ' || (request_id LIKE 'cli-%') || ' ' || action "
        "FROM audit_log ORDER BY id DESC LIMIT 1",
    )
    assert row.startswith("command_line ok true ")
    thing = {
        "audit": "audit.export",
        "operator-key-revoke": "operator_key.revoke",
        "factor-reset": "second_factor.reset",
    }.get(command, command.replace("-", "."))
    assert row.endswith(thing)
