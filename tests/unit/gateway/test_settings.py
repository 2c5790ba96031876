from typing import Any

import msgspec
import pytest

from b2b_chat.gateway.settings import GatewaySettings, check
from b2b_chat.kit.settings import Secret, SettingsError, load, variables
from support.processes.production_settings import BAD_VALKEY

SECRET = "Qm7uW2xR9tLz4KpB8vNc1YsD6fGh3JkE"
OTHER_SECRET = "Hb5nT8eX3yUa0IwS7oPq2ZrC9jMd4VgL"
API_KEY = "sk-proj-Zr8Lq2Vn5Xc9Bw4Ty7Ku3Mp6"

REQUIRED = {"GATEWAY_SHARED_SECRET": SECRET, "OPENAI_API_KEY": API_KEY}
PROD = {**REQUIRED, "APP_ENV": "prod"}


def problems(environ: dict[str, str]) -> list[str]:
    try:
        load(GatewaySettings, environ, check=check)
    except SettingsError as error:
        return error.problems
    return []


def test_two_secrets_are_enough_to_start() -> None:
    settings = load(GatewaySettings, REQUIRED, check=check)
    assert settings.openai_base_url == "https://api.openai.com/v1"
    assert (settings.gateway_clock_skew_seconds, settings.gateway_nonce_ttl_seconds) == (60, 180)


def test_without_them_both_are_named() -> None:
    assert [line.split()[0] for line in problems({})] == ["GATEWAY_SHARED_SECRET", "OPENAI_API_KEY"]


def test_good_settings_are_good_in_production() -> None:
    assert problems(PROD) == []
    assert problems({**PROD, "GATEWAY_SHARED_SECRET_PREVIOUS": OTHER_SECRET}) == []


@pytest.mark.parametrize(
    ("changes", "variable"),
    [
        ({"DEBUG": "true"}, "DEBUG"),
        ({"GATEWAY_SHARED_SECRET": "short"}, "GATEWAY_SHARED_SECRET"),
        ({"GATEWAY_SHARED_SECRET": "change-me-change-me-change-me-change-me"}, "GATEWAY_SHARED_SECRET"),
        ({"GATEWAY_SHARED_SECRET_PREVIOUS": SECRET}, "GATEWAY_SHARED_SECRET_PREVIOUS"),
        ({"GATEWAY_SHARED_SECRET_PREVIOUS": "short"}, "GATEWAY_SHARED_SECRET_PREVIOUS"),
        ({"OPENAI_API_KEY": "sk-short"}, "OPENAI_API_KEY"),
        ({"OPENAI_API_KEY": "sk-your-key-goes-here-and-is-long"}, "OPENAI_API_KEY"),
        ({"OPENAI_API_KEY": SECRET}, "OPENAI_API_KEY"),
        ({"OPENAI_API_KEY": OTHER_SECRET, "GATEWAY_SHARED_SECRET_PREVIOUS": OTHER_SECRET}, "OPENAI_API_KEY"),
        ({"OPENAI_BASE_URL": "http://openai.example/v1"}, "OPENAI_BASE_URL"),
        ({"OPENAI_BASE_URL": "http://10.0.0.1/v1"}, "OPENAI_BASE_URL"),
    ],
)
def test_laptop_settings_are_refused_in_production_alone(changes: dict[str, str], variable: str) -> None:
    assert [line.split()[0] for line in problems(PROD | changes)] == [variable]
    assert problems(REQUIRED | changes) == []


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9000/v1", "http://[::1]:9000/v1", "http://localhost/v1", "https://eu.api.openai.com/v1"]
)
def test_production_may_call_a_proxy_on_its_own_machine(url: str) -> None:
    assert problems({**PROD, "OPENAI_BASE_URL": url}) == []


@pytest.mark.parametrize(
    "url",
    [
        "api.openai.com/v1",
        "ftp://api.openai.com",
        "https://",
        "https://[::1/v1",
        "https://host:port/v1",
        "https://user:password@host/v1",
        "https://host/v1?key=1",
        "https://host/v1#part",
    ],
)
def test_an_address_must_be_one(url: str) -> None:
    lines = problems({**REQUIRED, "OPENAI_BASE_URL": url})
    assert [line.split()[0] for line in lines] == ["OPENAI_BASE_URL"]
    assert url.removeprefix("https://") == "" or url not in lines[0]


@pytest.mark.parametrize(
    ("changes", "variable"),
    [
        ({"GATEWAY_NONCE_TTL_SECONDS": "119"}, "GATEWAY_NONCE_TTL_SECONDS"),
        ({"GATEWAY_CLOCK_SKEW_SECONDS": "91"}, "GATEWAY_NONCE_TTL_SECONDS"),
        *BAD_VALKEY,
        ({"GATEWAY_SHARES_PORT": "true"}, "GATEWAY_SHARES_PORT"),
        ({"OPENAI_API_KEY": "sk-with a space in the middle"}, "OPENAI_API_KEY"),
        ({"OPENAI_API_KEY": "sk-ключ-ключ-ключ-ключ"}, "OPENAI_API_KEY"),
        ({"OPENAI_FALLBACK_BASE_URL": "https://eu.example.com/v1"}, "OPENAI_FALLBACK_BASE_URL"),
        ({"OPENAI_FALLBACK_API_KEY": API_KEY}, "OPENAI_FALLBACK_BASE_URL"),
        (
            {"OPENAI_FALLBACK_BASE_URL": "ftp://eu.example.com", "OPENAI_FALLBACK_API_KEY": API_KEY},
            "OPENAI_FALLBACK_BASE_URL",
        ),
        (
            {"OPENAI_FALLBACK_BASE_URL": "https://eu.example.com/v1", "OPENAI_FALLBACK_API_KEY": "with a space"},
            "OPENAI_FALLBACK_API_KEY",
        ),
        ({"LOG_LEVEL": "loud"}, "LOG_LEVEL"),
        ({"GATEWAY_PORT": "0"}, "GATEWAY_PORT"),
        ({"GATEWAY_PORT": "http"}, "GATEWAY_PORT"),
        ({"GATEWAY_MAX_BODY_BYTES": "1"}, "GATEWAY_MAX_BODY_BYTES"),
        ({"UPSTREAM_TOTAL_TIMEOUT_SECONDS": "0"}, "UPSTREAM_TOTAL_TIMEOUT_SECONDS"),
        ({"UPSTREAM_MAX_ATTEMPTS": "0"}, "UPSTREAM_MAX_ATTEMPTS"),
    ],
)
def test_settings_that_cannot_work_are_refused_everywhere(changes: dict[str, str], variable: str) -> None:
    assert [line.split()[0] for line in problems(REQUIRED | changes)] == [variable]


def test_a_nonce_may_be_kept_for_exactly_twice_the_skew() -> None:
    assert problems({**REQUIRED, "GATEWAY_NONCE_TTL_SECONDS": "120"}) == []


def test_all_problems_are_reported_at_once_without_values() -> None:
    lines = problems(
        {
            **PROD,
            "DEBUG": "true",
            "GATEWAY_SHARED_SECRET": "canary-one",
            "OPENAI_API_KEY": "canary two",
            "GATEWAY_NONCE_TTL_SECONDS": "2",
        }
    )
    assert [line.split()[0] for line in lines] == [
        "GATEWAY_NONCE_TTL_SECONDS",
        "OPENAI_API_KEY",
        "DEBUG",
        "GATEWAY_SHARED_SECRET",
        "OPENAI_API_KEY",
    ]
    assert "canary" not in "".join(lines)


def test_the_current_secret_comes_first() -> None:
    settings = load(GatewaySettings, {**REQUIRED, "GATEWAY_SHARED_SECRET_PREVIOUS": OTHER_SECRET})
    assert settings.accepted_secrets == [SECRET.encode(), OTHER_SECRET.encode()]


def test_settings_do_not_show_their_secrets() -> None:
    shown = repr(load(GatewaySettings, REQUIRED))
    assert SECRET not in shown
    assert API_KEY not in shown


@pytest.mark.parametrize("variable", list(variables(GatewaySettings)), ids=lambda variable: variable.name)
def test_every_variable_is_described_and_bounded(variable: Any) -> None:
    assert variable.meta is not None
    assert variable.meta.description
    if variable.kind in {int, float}:
        assert variable.meta.le is not None
        assert variable.meta.ge is not None or variable.meta.gt is not None


def test_settings_cannot_be_changed() -> None:
    settings = load(GatewaySettings, REQUIRED)
    with pytest.raises(AttributeError):
        settings.gateway_shared_secret = Secret("x")  # type: ignore[misc] # this is what must fail
    assert isinstance(settings, msgspec.Struct)
