"""An operator's shell commands: results on stdout, failures in one line, wrong use named."""

import json
from uuid import UUID, uuid4

import pytest
from click.testing import CliRunner, Result

from b2b_chat.cli import main
from b2b_chat.product.identity.key_form import is_well_formed
from b2b_chat.sandbox.postgres import run_sql

OWNER = "anna@example.test"


class Shell:
    """Runs commands on one database."""

    def __init__(self, database_url: str) -> None:
        self.database_url = database_url

    def run(self, *arguments: str) -> Result:
        """Run a command to whatever end."""
        return CliRunner(env={"DATABASE_URL": self.database_url}).invoke(main, arguments)

    def result(self, *arguments: str) -> str:
        """What a command that must succeed prints."""
        done = self.run(*arguments)
        assert done.exit_code == 0, done.output
        assert done.stderr == ""
        return done.stdout.rstrip("\n")


@pytest.fixture
def shell(database_url: str) -> Shell:
    return Shell(database_url)


@pytest.fixture
def company(shell: Shell) -> str:
    return shell.result("company-create", "Acme", "--owner", OWNER)


def test_from_nothing_to_a_company_with_credits(shell: Shell) -> None:
    assert is_well_formed(shell.result("operator-create", "ops@example.test"))
    company = shell.result("company-create", "Acme", "--owner", OWNER.upper())
    assert str(UUID(company)) == company
    added = shell.result("credits-add", company, "100.5", "--external-id", "invoice-1")
    assert added == "The balance is 100.500000 credits after entry 1."
    assert shell.result("credits-add", company, "100.5", "--external-id", "invoice-1") == added
    fix = ["credits-adjust", company, "-0.5", "--external-id", "fix-1", "--corrects", "1", "--reason", "A mistake"]
    adjusted = shell.result(*fix)
    assert adjusted == "The balance is 100.000000 credits after entry 2."
    assert run_sql(shell.database_url, "SELECT role || ' ' || email FROM memberships JOIN users ON id = user_id") == (
        f"owner {OWNER}"
    )


def test_companies_and_people_are_blocked_and_unblocked(shell: Shell, company: str) -> None:
    assert shell.result("company-block", company) == "Acme is blocked."
    assert shell.result("company-unblock", company) == "Acme is not blocked."
    user_id = run_sql(shell.database_url, "SELECT id FROM users")
    for name in (OWNER, OWNER.upper(), user_id):
        assert shell.result("user-block", name) == f"{name} is blocked."
        assert run_sql(shell.database_url, "SELECT count(*) FROM users WHERE blocked_at IS NOT NULL") == "1"
        assert shell.result("user-unblock", name) == f"{name} is not blocked."
        assert run_sql(shell.database_url, "SELECT count(*) FROM users WHERE blocked_at IS NOT NULL") == "0"


def test_an_operator_is_removed(shell: Shell) -> None:
    shell.result("operator-create", "ops@example.test")
    assert shell.result("operator-remove", "Ops@example.test") == "Ops@example.test is an operator no longer."
    assert run_sql(shell.database_url, "SELECT count(*) FROM operators") == "0"
    assert run_sql(shell.database_url, "SELECT count(*) FROM api_keys WHERE revoked_at IS NULL") == "0"


def test_the_audit_log_is_printed_and_searched(shell: Shell, company: str) -> None:
    shell.result("credits-add", company, "5", "--external-id", "invoice-1")
    shell.result("company-create", "Other", "--owner", "else@example.test")

    def actions(*options: str) -> list[str]:
        return [json.loads(line)["action"] for line in shell.result("audit", *options).splitlines()]

    assert actions() == ["audit.export", "company.create", "credits.add", "company.create"]
    assert actions("--company", company) == ["audit.export", "credits.add", "company.create"]
    assert actions("--action", "credits.add") == ["credits.add"]
    assert actions("--target", "invoice-1") == ["credits.add"]
    assert actions("--until", "2020-01-01") == []
    assert actions("--since", "2999-01-01T00:00:00+0300") == []
    assert actions("--user", OWNER) == []
    kind_and_id = json.loads(shell.result("audit").splitlines()[0])["actor"]
    assert kind_and_id["kind"] == "command_line"
    assert len(actions("--actor", kind_and_id["id"])) > 8
    assert shell.result("audit", "--format", "csv").startswith("id,at,company_id,actor_kind,")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["company-block", str(uuid4())], "There is no company with this id."),
        (["user-block", str(uuid4())], "There is no user with this id or address."),
        (["user-block", "nobody@example.test"], "There is no user with this id or address."),
        (["operator-remove", "nobody@example.test"], "There is no operator with this address."),
        (["credits-add", str(uuid4()), "1", "--external-id", "x"], "There is no company with this id."),
    ],
)
def test_a_refusal_is_reported_in_one_line(shell: Shell, arguments: list[str], problem: str) -> None:
    done = shell.run(*arguments)
    assert (done.exit_code, done.stdout, done.stderr) == (1, "", f"b2b-chat: {problem}\n")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["company-create", "", "--owner", OWNER], "name"),
        (["company-create", "Acme", "--owner", "nobody"], "owner_email"),
        (["company-create", "Acme"], "--owner"),
        (["company-block", "x"], "COMPANY"),
        (["operator-create", "nobody"], "nobody"),
        (["credits-add", str(uuid4()), "much", "--external-id", "x"], "amount_credits"),
        (["credits-add", str(uuid4()), "1", "--external-id", ""], "external_id"),
        (["credits-add", str(uuid4()), "1"], "--external-id"),
        (["credits-adjust", str(uuid4()), "-1", "--external-id", "x", "--corrects", "1"], "--reason"),
        (["credits-adjust", str(uuid4()), "-1", "--external-id", "x", "--reason", "y"], "--corrects"),
        (["user-block", "x"], "x"),
        (["audit", "--action", "nothing.such"], "action"),
        (["audit", "--since", "yesterday"], "--since"),
    ],
)
def test_wrong_use_is_named(shell: Shell, arguments: list[str], named: str) -> None:
    done = shell.run(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert named in done.stderr.splitlines()[-1]
    assert run_sql(shell.database_url, "SELECT count(*) FROM audit_log") == "0"


def test_an_unreachable_database_is_reported_without_its_address() -> None:
    done = Shell("postgresql://someone:password@127.0.0.1:1/none").run("operator-create", "ops@example.test")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("b2b-chat: the database at DATABASE_URL does not answer (ConnectionRefusedError).")
    assert "password" not in done.stderr


def test_an_operators_keys_are_listed_and_revoked_by_id_or_beginning(shell: Shell) -> None:
    first, second = (shell.result("operator-create", "ops@example.test") for _ in range(2))
    newest, oldest = map(json.loads, shell.result("operator-keys", "ops@example.test").splitlines())
    assert [newest["prefix"], oldest["prefix"]] == [second[:12], first[:12]]
    assert shell.result("operator-key-revoke", oldest["id"]) == f"{oldest['id']} is revoked."
    assert shell.result("operator-key-revoke", second[:12]) == f"{second[:12]} is revoked."
    assert run_sql(shell.database_url, "SELECT count(*) FROM api_keys WHERE revoked_at IS NULL") == "0"
    for unknown in (str(uuid4()), "b2b_00000000", second):
        done = shell.run("operator-key-revoke", unknown)
        assert (done.exit_code, unknown in done.output) == (1, False)
    assert shell.run("operator-keys", OWNER).stderr == "b2b-chat: There is no operator with this address.\n"
