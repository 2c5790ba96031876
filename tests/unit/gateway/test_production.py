"""In production gateway_api refuses what is unsafe, incomplete or copied from an example."""

from pathlib import Path

import pytest

from b2b_chat.gateway.settings import load_settings
from b2b_chat.kit.settings import SettingsError
from support.processes.production_settings import BAD_GATEWAY, GATEWAY, OTHER_SECRET, Bad

EVERYWHERE = "0.0.0.0"  # noqa: S104 - what a container listens on


@pytest.mark.parametrize("bad", BAD_GATEWAY, ids=lambda bad: bad.id)
def test_a_bad_configuration_is_refused_and_its_variable_named_without_its_value(bad: Bad, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as raised:
        load_settings(bad.environ(GATEWAY, tmp_path))
    assert bad.is_told_by(str(raised.value)), raised.value
    assert bad.leaks_in(str(raised.value)) == []


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"GATEWAY_SHARED_SECRET_PREVIOUS": OTHER_SECRET},
        {"OPENAI_BASE_URL": "http://127.0.0.1:9000/v1"},  # a proxy on this machine
        {"OPENAI_FALLBACK_BASE_URL": "https://eu.chat.test/v1", "OPENAI_FALLBACK_API_KEY": f"sk-{OTHER_SECRET}"},
        {"GATEWAY_HOST": EVERYWHERE},
        {"GATEWAY_HOST": "::1"},
    ],
    ids=str,
)
def test_safe_settings_are_accepted(changes: dict[str, str]) -> None:
    assert load_settings(GATEWAY | changes).app_env == "prod"


def test_there_are_enough_of_them_and_each_is_its_own() -> None:
    assert len({bad.id for bad in BAD_GATEWAY}) == len(BAD_GATEWAY) >= 60
