import secrets

import pytest

from b2b_chat.product.identity.key_form import new_api_key
from b2b_chat.sandbox.postgres import run_sql
from b2b_chat.sandbox.sign_in import DEMO_EMAIL
from b2b_chat.sandbox.world import seed


@pytest.fixture
def environ(database_url: str) -> dict[str, str]:
    names = ("GATEWAY_SHARED_SECRET", "SESSION_SECRET", "AUTH_TOKEN_SECRET", "INVITE_TOKEN_SECRET")
    return {"DATABASE_URL": database_url, **{name: secrets.token_hex(32) for name in names}}


def test_a_first_run_makes_a_company_with_credits_a_user_and_a_key(environ: dict[str, str]) -> None:
    key = seed(environ, None)
    assert key.startswith("b2b_")
    url = environ["DATABASE_URL"]
    assert run_sql(url, "SELECT email FROM users JOIN api_keys ON users.id = user_id") == DEMO_EMAIL
    assert run_sql(url, "SELECT balance_credits::int FROM accounts JOIN api_keys USING (company_id)") == "1000"


def test_a_later_run_tops_up_the_company_behind_its_key(environ: dict[str, str]) -> None:
    key = seed(environ, None)
    assert seed(environ, key) == key
    url = environ["DATABASE_URL"]
    assert run_sql(url, "SELECT balance_credits::int FROM accounts") == "2000"
    assert run_sql(url, "SELECT count(*) FROM api_keys") == "1"


@pytest.mark.parametrize("foreign_key", ["nonsense", new_api_key()], ids=["no key", "a key"])
def test_a_key_of_another_database_is_replaced(environ: dict[str, str], foreign_key: str) -> None:
    assert seed(environ, foreign_key) != foreign_key
    assert run_sql(environ["DATABASE_URL"], "SELECT count(*) FROM companies") == "1"
