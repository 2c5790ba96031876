from pathlib import Path

import pytest

from b2b_chat.sandbox.errors import SandboxError
from b2b_chat.sandbox.plan import DatabaseUrls, Listener, Plan, make_plan

SECRETS = {
    "GATEWAY_SHARED_SECRET": "generated-shared",
    "SESSION_SECRET": "generated-session",
    "AUTH_TOKEN_SECRET": "generated-auth",
    "INVITE_TOKEN_SECRET": "generated-invite",
}
EMBEDDED = "postgresql://b2b_chat_app@/b2b_chat?host=/sockets"
OWNER = "postgresql://postgres@/b2b_chat?host=/sockets"
EMBEDDED_VALKEY = "unix:///sockets/valkey.sock"


def plan(**environ: str) -> Plan:
    embedded = DatabaseUrls(owner=OWNER, app=EMBEDDED)
    return make_plan(environ, secrets=SECRETS, embedded_database=embedded, embedded_valkey_url=EMBEDDED_VALKEY)


def test_with_nothing_given_all_parts_are_embedded() -> None:
    made = plan(PATH="/bin")
    assert made.listeners == [Listener("127.0.0.1", port) for port in (8002, 8001, 8003, 8000)]
    assert made.database_url == EMBEDDED
    assert (made.gateway_url, made.openai_url) == ("http://127.0.0.1:8001", "http://127.0.0.1:8002/v1")
    assert made.product_environ["GATEWAY_URL"] == "http://127.0.0.1:8001"
    assert made.product_environ["DATABASE_URL"] == EMBEDDED
    assert made.gateway_environ["OPENAI_BASE_URL"] == "http://127.0.0.1:8002/v1"
    assert made.gateway_environ["OPENAI_API_KEY"]
    for environ in (made.product_environ, made.gateway_environ):
        assert environ["GATEWAY_SHARED_SECRET"] == "generated-shared"
        assert environ["PATH"] == "/bin"


def test_each_process_is_given_only_what_it_may_hold() -> None:
    made = plan(OPENAI_API_KEY_FILE="/key", SESSION_SECRET="given")
    assert not {"OPENAI_API_KEY", "OPENAI_API_KEY_FILE"} & made.product_environ.keys()
    assert not {"DATABASE_URL", "SESSION_SECRET", "AUTH_TOKEN_SECRET"} & made.gateway_environ.keys()
    assert not {"DATABASE_URL", "GATEWAY_SHARED_SECRET", "SESSION_SECRET"} & made.simulator_environ.keys()


def test_a_given_database_replaces_the_embedded_one_and_keeps_the_variables_of_libpq() -> None:
    made = plan(DATABASE_URL="postgresql://db/x", PGPASSWORD="p")
    assert made.database_url == "postgresql://db/x"
    assert made.product_environ["DATABASE_URL"] == "postgresql://db/x"
    assert made.product_environ["PGPASSWORD"] == "p"


def test_only_the_migration_holds_the_address_of_the_owner() -> None:
    for made, owner in (
        (plan(), OWNER),
        (plan(MIGRATIONS_DATABASE_URL="postgresql://another/x"), OWNER),  # of a database that is not used here
        (plan(DATABASE_URL="postgresql://db/x", MIGRATIONS_DATABASE_URL="postgresql://o@db/x"), "postgresql://o@db/x"),
    ):
        assert made.migration_environ["MIGRATIONS_DATABASE_URL"] == owner
        for environ in (made.product_environ, made.gateway_environ, made.simulator_environ, made.mail_catcher_environ):
            assert "MIGRATIONS_DATABASE_URL" not in environ


def test_variables_of_libpq_do_not_lead_away_from_the_embedded_database() -> None:
    assert "PGPORT" not in plan(PGPORT="6000").product_environ


def test_a_database_address_in_a_file_counts_as_given(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("postgresql://db/y\n")
    made = plan(DATABASE_URL_FILE=str(tmp_path / "url"))
    assert made.database_url == "postgresql://db/y"
    assert "DATABASE_URL" not in made.product_environ


@pytest.mark.parametrize(
    ("environ", "openai_url"),
    [
        ({"OPENAI_API_KEY": "sk-real"}, "https://api.openai.com/v1"),
        ({"OPENAI_API_KEY_FILE": "/run/secrets/key"}, "https://api.openai.com/v1"),
        ({"OPENAI_BASE_URL": "http://10.0.0.5/v1"}, "http://10.0.0.5/v1"),
        ({"OPENAI_BASE_URL": "http://10.0.0.5/v1", "OPENAI_API_KEY": "sk-real"}, "http://10.0.0.5/v1"),
    ],
)
def test_a_given_openai_replaces_the_simulated_one(environ: dict[str, str], openai_url: str) -> None:
    made = plan(**environ)
    assert made.simulator is None
    assert made.openai_url == made.gateway_environ["OPENAI_BASE_URL"] == openai_url
    assert environ.items() <= made.gateway_environ.items()


def test_an_empty_variable_counts_as_not_given() -> None:
    made = plan(OPENAI_API_KEY="", DATABASE_URL="", PRODUCT_PORT="")
    assert made.simulator is not None
    assert made.database_url == EMBEDDED
    assert made.product.port == 8000


def test_the_simulator_is_never_reached_by_a_proxy_but_a_real_openai_may_be() -> None:
    assert plan(HTTPS_PROXY="http://proxy").gateway_environ["NO_PROXY"] == "127.0.0.1"
    assert "NO_PROXY" not in plan(HTTPS_PROXY="http://proxy", OPENAI_API_KEY="sk-real").gateway_environ


def test_a_given_gateway_replaces_ours_and_the_model_behind_it() -> None:
    made = plan(GATEWAY_URL="https://gateway.test", GATEWAY_SHARED_SECRET="theirs")
    assert (made.gateway, made.simulator) == (None, None)
    assert (made.gateway_url, made.openai_url) == ("https://gateway.test", None)
    assert made.product_environ["GATEWAY_SHARED_SECRET"] == "theirs"


def test_a_given_gateway_without_its_secret_is_refused() -> None:
    with pytest.raises(SandboxError, match="GATEWAY_SHARED_SECRET must be set"):
        plan(GATEWAY_URL="https://gateway.test")


def test_a_given_mail_server_replaces_the_catcher() -> None:
    caught = plan()
    assert caught.product_environ["SMTP_HOST"] == "127.0.0.1"
    assert caught.mail_url == "http://127.0.0.1:8003/mails"
    made = plan(SMTP_HOST="smtp.test", SMTP_PORT="587")
    assert (made.mail_catcher, made.mail_url) == (None, None)
    assert (made.product_environ["SMTP_HOST"], made.product_environ["SMTP_PORT"]) == ("smtp.test", "587")
    assert "SMTP_USE_TLS" not in made.product_environ


def test_given_secrets_hosts_and_ports_win() -> None:
    made = plan(SESSION_SECRET="mine", PRODUCT_HOST="::", PRODUCT_PORT="9000", GATEWAY_HOST="::1")
    assert made.product_environ["SESSION_SECRET"] == "mine"
    assert (made.product, made.product.url) == (Listener("::", 9000), "http://[::1]:9000")
    assert made.gateway_url == "http://[::1]:8001"


def test_port_0_is_replaced_by_a_free_one_for_the_process_too() -> None:
    made = plan(PRODUCT_PORT="0", GATEWAY_PORT="0", OPENAI_SIMULATOR_PORT="0", MAIL_CATCHER_PORT="0")
    assert len({listener.port for listener in made.listeners} - {0}) == len(made.listeners)
    assert made.product_environ["PRODUCT_PORT"] == str(made.product.port)
    assert (
        made.product_environ["GATEWAY_URL"]
        == made.gateway_url
        == f"http://127.0.0.1:{made.gateway_environ['GATEWAY_PORT']}"
    )


@pytest.mark.parametrize("port", ["http", "-1", "65536", "1.5"])
def test_an_invalid_port_is_refused_by_name(port: str) -> None:
    with pytest.raises(SandboxError, match="GATEWAY_PORT must be a port"):
        plan(GATEWAY_PORT=port)


def test_two_parts_cannot_have_the_same_port() -> None:
    with pytest.raises(SandboxError, match="must differ"):
        plan(PRODUCT_PORT="8001")


@pytest.mark.parametrize("workers", [{}, {"WORKERS": ""}, {"WORKERS": "1"}])
def test_one_worker_needs_no_valkey(workers: dict[str, str]) -> None:
    made = plan(**workers)
    assert not made.has_embedded_valkey
    assert "VALKEY_URL" not in {**made.gateway_environ, **made.product_environ}


def test_several_workers_share_an_embedded_valkey() -> None:
    made = plan(WORKERS="2")
    assert made.has_embedded_valkey
    for environ in (made.product_environ, made.gateway_environ):
        assert environ["VALKEY_URL"] == EMBEDDED_VALKEY
        assert environ["WORKERS"] == "2"
    assert int(made.gateway_environ["GATEWAY_CLOCK_SKEW_SECONDS"]) < 60
    assert plan(WORKERS="2", GATEWAY_CLOCK_SKEW_SECONDS="30").gateway_environ["GATEWAY_CLOCK_SKEW_SECONDS"] == "30"


def test_a_given_valkey_replaces_the_embedded_one_and_only_the_apps_hold_it() -> None:
    made = plan(WORKERS="2", VALKEY_URL="valkey://given")
    assert not made.has_embedded_valkey
    assert made.gateway_environ["VALKEY_URL"] == made.product_environ["VALKEY_URL"] == "valkey://given"
    assert "GATEWAY_CLOCK_SKEW_SECONDS" not in made.gateway_environ
    for environ in (made.simulator_environ, made.mail_catcher_environ):
        assert "VALKEY_URL" not in environ
