"""What product_api refuses to run with, by name and never by value."""

from decimal import Decimal
from pathlib import Path

import pytest

from b2b_chat.kit.settings import SettingsError
from b2b_chat.product.configuration import load_settings
from support.processes.production_settings import BAD_VALKEY

MINIMAL = {
    "DATABASE_URL": "postgresql://canary@localhost/none",
    "GATEWAY_SHARED_SECRET": "9f8e7d6c5b4a39281706f5e4d3c2b1a0",
    "SESSION_SECRET": "6e0c7a52d9f14b3c8b1f5a90c4d72e18",
    "AUTH_TOKEN_SECRET": "a83f1c6d07e24f9bb5c2d94e60718f3a",
    "INVITE_TOKEN_SECRET": "d1975be80c3a4f62a7e4f0b3952c6d81",
}
PROD = {
    **MINIMAL,
    "APP_ENV": "prod",
    "COOKIE_SECURE": "true",
    "PUBLIC_URL": "https://chat.example.test",
    "SMTP_HOST": "smtp.example.test",
    "EMAIL_FROM": "chat@example.test",
}


def problems(environ: dict[str, str]) -> list[str]:
    with pytest.raises(SettingsError) as raised:
        load_settings(environ)
    told = raised.value.problems
    assert "canary" not in "".join(told)
    return told


def test_a_laptop_needs_no_more_than_addresses_and_secrets() -> None:
    settings = load_settings(MINIMAL)
    assert (settings.app_env, settings.product_port, settings.chat_context_limit) == ("dev", 8000, 20)
    assert settings.price_completion_credits_per_1k_tokens == Decimal("1.6")


def test_production_accepts_safe_settings() -> None:
    assert load_settings(PROD).app_env == "prod"


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"DATABASE_URL": ""}, ["DATABASE_URL"]),
        ({"GATEWAY_SHARED_SECRET": "", "DATABASE_URL": ""}, ["DATABASE_URL", "GATEWAY_SHARED_SECRET"]),
        ({"SESSION_SECRET": "", "AUTH_TOKEN_SECRET": ""}, ["SESSION_SECRET", "AUTH_TOKEN_SECRET"]),
        ({"GATEWAY_SHARED_SECRET": "canary-2b7"}, ["GATEWAY_SHARED_SECRET"]),
        ({"GATEWAY_SHARED_SECRET": "changeme-canary-0123456789-abcdefgh"}, ["GATEWAY_SHARED_SECRET"]),
        ({"INVITE_TOKEN_SECRET": "canary"}, ["INVITE_TOKEN_SECRET"]),
        ({"SESSION_SECRET": MINIMAL["GATEWAY_SHARED_SECRET"]}, ["SESSION_SECRET"]),
        ({"OPENAI_API_KEY": "sk-canary-0123456789"}, ["OPENAI_API_KEY"]),
        ({"DEBUG": "true"}, ["DEBUG"]),
        ({"LOG_LEVEL": "DEBUG"}, ["DEBUG"]),
        ({"COOKIE_SECURE": "false", "PUBLIC_URL": "http://canary.test"}, ["PUBLIC_URL", "COOKIE_SECURE"]),
        ({"SMTP_HOST": "", "EMAIL_FROM": ""}, ["SMTP_HOST", "EMAIL_FROM"]),
        ({"SMTP_USER": "canary", "SMTP_USE_TLS": "false"}, ["SMTP_PASSWORD", "SMTP_USE_TLS"]),
        (
            {"GATEWAY_SHARED_SECRET": "canary", "OPENAI_API_KEY": "sk-canary", "DEBUG": "true"},
            ["GATEWAY_SHARED_SECRET", "OPENAI_API_KEY", "DEBUG"],
        ),
    ],
)
def test_production_refuses_unsafe_settings(variables: dict[str, str], named: list[str]) -> None:
    told = problems(PROD | variables)
    assert [name for name, line in zip(named, told, strict=True) if name in line] == named


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        *BAD_VALKEY,
        ({"WORKERS": "0"}, "WORKERS"),
        ({"PRODUCT_PORT": "65536"}, "PRODUCT_PORT"),
        ({"GATEWAY_URL": "canary.test:8001"}, "GATEWAY_URL"),
        ({"PUBLIC_URL": "canary.test"}, "PUBLIC_URL"),
        ({"EMAIL_FROM": "canary"}, "EMAIL_FROM"),
        ({"SMTP_HOST": "canary.test"}, "EMAIL_FROM"),
        ({"TRUSTED_PROXIES": "10.0.0.0/8, canary"}, "TRUSTED_PROXIES"),
        ({"COOKIE_SAMESITE": "none"}, "COOKIE_SAMESITE"),
        ({"PRICE_COMPLETION_CREDITS_PER_1K_TOKENS": "0"}, "PRICE_COMPLETION_CREDITS_PER_1K_TOKENS"),
        ({"APP_ENV": "canary"}, "APP_ENV"),
        ({"DATABASE_URL": "mysql://canary@localhost/none"}, "DATABASE_URL"),
        ({"DATABASE_URL": "canary"}, "DATABASE_URL"),
        ({"DATABASE_URL": "postgresql://user@localhost:canary/none"}, "DATABASE_URL"),
        ({"GATEWAY_URL": "http://localhost:canary"}, "GATEWAY_URL"),
        ({"GATEWAY_URL": "http://"}, "GATEWAY_URL"),
    ],
)
def test_unusable_settings_are_refused_everywhere(variables: dict[str, str], named: str) -> None:
    (told,) = problems(MINIMAL | variables)
    assert told.startswith(named)


def test_openais_key_is_noticed_in_a_file_too(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk-canary")
    (told,) = problems(PROD | {"OPENAI_API_KEY_FILE": str(tmp_path / "key")})
    assert told.startswith("OPENAI_API_KEY")


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://user:pass@db.example.test:5432/chat?sslmode=require",
        "postgres://user@localhost/chat",
        "postgresql+asyncpg://user@localhost/chat",
        "postgresql://postgres@/chat?host=%2Fvar%2Frun",
        "postgresql://user@[::1]:5432/chat",
    ],
)
def test_every_spelling_of_an_address_of_postgresql_is_taken(address: str) -> None:
    assert load_settings(MINIMAL | {"DATABASE_URL": address}).database_url.reveal() == address


def test_settings_show_no_secret() -> None:
    shown = str(load_settings(PROD))
    assert not any(PROD[name] in shown for name in MINIMAL)


def test_all_problems_are_reported_in_one_round() -> None:
    with pytest.raises(SettingsError) as raised:
        load_settings({"APP_ENV": "prod", "DEBUG": "true", "OPENAI_API_KEY": "canary", "CHAT_LEASE_SECONDS": "0"})
    named = [problem.split()[0] for problem in raised.value.problems]
    assert {"DATABASE_URL", "GATEWAY_SHARED_SECRET", "CHAT_LEASE_SECONDS", "OPENAI_API_KEY", "DEBUG"} <= set(named)
    assert len(named) == len(set(named))
    assert "canary" not in str(raised.value)
