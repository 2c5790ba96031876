"""In production product_api refuses what is unsafe, incomplete or copied from an example."""

from pathlib import Path

import pytest

from b2b_chat.kit.settings import SettingsError
from b2b_chat.product.configuration import load_settings
from support.processes.production_settings import BAD_PRODUCT, CANARY, PRODUCT, Bad

EVERYWHERE = "0.0.0.0"  # noqa: S104 - what a container listens on


@pytest.mark.parametrize("bad", BAD_PRODUCT, ids=lambda bad: bad.id)
def test_a_bad_configuration_is_refused_and_its_variable_named_without_its_value(bad: Bad, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as raised:
        load_settings(bad.environ(PRODUCT, tmp_path))
    assert bad.is_told_by(str(raised.value)), raised.value
    assert bad.leaks_in(str(raised.value)) == []


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"SMTP_USE_TLS": "false", "SMTP_HOST": "127.0.0.1", "SMTP_PORT": "465"},  # a wrapper on this machine
        {"SMTP_USE_TLS": "false", "SMTP_HOST": "mail-relay"},  # a container beside us
        {"SMTP_USER": "", "SMTP_PASSWORD": ""},
        {"DATABASE_URL": "postgresql://chat:Vq7pLw2nXe@postgres:5432/chat"},  # a container beside us
        {"DATABASE_URL": "postgresql://chat:Vq7pLw2nXe@127.0.0.1/chat"},
        {"DATABASE_URL": "postgresql://chat@/chat?host=%2Fvar%2Frun%2Fpostgresql"},
        {"DATABASE_URL": "postgresql://chat:Vq7pLw2nXe@10.1.2.3/chat?sslmode=require"},
        {"WORKERS": "4", "VALKEY_URL": "valkey://valkey:6379/0"},  # a container beside us
        {"WORKERS": "4", "VALKEY_URL": "valkeys://:Vq7pLw2nXe@10.1.2.3:6380/0"},
        {"GATEWAY_URL": "http://127.0.0.1:8001"},  # a tunnel that ends on this machine
        {"PRODUCT_HOST": EVERYWHERE, "TRUSTED_PROXIES": "172.16.0.0/12, ::1"},
        {"TRUSTED_PROXIES": "10.0.0.0/8, 192.168.0.0/16, fc00::/7, ::ffff:127.0.0.1"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"},  # a container beside us
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://otlp.chat.test"},
        {"DATABASE_URL": "postgresql://chat@10.1.2.3/chat?sslmode=verify-full&passfile=/etc/b2b-chat/pgpass"},
    ],
    ids=str,
)
def test_safe_settings_are_accepted(changes: dict[str, str]) -> None:
    good = {name: value for name, value in (PRODUCT | changes).items() if value}
    assert load_settings(good).app_env == "prod"


LAPTOP = {name: value for name, value in PRODUCT.items() if name.endswith(("_SECRET", "DATABASE_URL"))}


@pytest.mark.parametrize("app_env", ["", "dev", "test"])
@pytest.mark.parametrize("reached_by", [{"PUBLIC_URL": "https://chat.test"}, {"PRODUCT_HOST": EVERYWHERE}], ids=str)
@pytest.mark.parametrize("secret", ["dev-placeholder-of-the-session-cookies", "short", "abcdefgh" * 4])
def test_secrets_of_an_example_are_refused_without_app_env_too_where_others_reach_the_app(
    app_env: str, reached_by: dict[str, str], secret: str
) -> None:
    weak = {"APP_ENV": app_env, **LAPTOP, "SESSION_SECRET": secret}
    assert load_settings(weak).session_secret.reveal() == secret  # on this machine alone they do
    with pytest.raises(SettingsError, match=rf"^SESSION_SECRET .* {next(iter(reached_by))} lets others reach this app"):
        load_settings(weak | reached_by)
    good = load_settings(weak | reached_by | {"SESSION_SECRET": PRODUCT["SESSION_SECRET"]})
    assert good.app_env != "prod"


def test_a_container_may_listen_with_them_where_it_is_told_and_never_at_a_public_url() -> None:
    weak = {**LAPTOP, "SESSION_SECRET": "short", "PRODUCT_HOST": EVERYWHERE, "ACCEPT_DEVELOPMENT_SECRETS": "true"}
    assert load_settings(weak).accept_development_secrets
    with pytest.raises(SettingsError, match="PUBLIC_URL lets others reach this app"):
        load_settings(weak | {"PUBLIC_URL": "https://chat.test"})


def test_there_are_enough_of_them_and_each_is_its_own() -> None:
    assert len({bad.id for bad in BAD_PRODUCT}) == len(BAD_PRODUCT) >= 60


def test_the_test_itself_would_notice_a_value() -> None:
    assert Bad({}, "SMTP_HOST").leaks_in(f"SMTP_HOST {CANARY} is bad.") == [CANARY]
    assert not Bad({}, "SMTP_HOST").is_told_by("SMTP_PORT must be a number; see SMTP_HOST")
