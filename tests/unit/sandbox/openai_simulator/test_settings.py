import pytest

from b2b_chat.kit.settings import Secret, SettingsError
from b2b_chat.sandbox.openai_simulator.settings import SimulatorSettings, settings_from


def test_defaults_need_no_environment() -> None:
    assert settings_from({"SEED": "9", "OTHER": "1"}) == SimulatorSettings()


def test_every_setting_has_its_variable() -> None:
    settings = settings_from(
        {
            "OPENAI_SIMULATOR_SEED": "7",
            "OPENAI_SIMULATOR_TOKENS_PER_SECOND": "12.5",
            "OPENAI_SIMULATOR_ANSWER_TOKENS": "3",
            "OPENAI_SIMULATOR_EXPECTED_API_KEY": "sk-1",
            "OPENAI_SIMULATOR_KEPT_REQUESTS": "5",
            "OPENAI_SIMULATOR_DIRECTIVES": "status=503",
        }
    )

    assert settings == SimulatorSettings(
        seed=7,
        tokens_per_second=12.5,
        answer_tokens=3,
        expected_api_key=Secret("sk-1"),
        kept_requests=5,
        directives="status=503",
    )


def test_wrong_values_are_named_by_their_variables() -> None:
    with pytest.raises(SettingsError) as error:
        settings_from({"OPENAI_SIMULATOR_SEED": "x", "OPENAI_SIMULATOR_TOKENS_PER_SECOND": "-1"})

    assert [problem.split()[0] for problem in error.value.problems] == [
        "OPENAI_SIMULATOR_SEED",
        "OPENAI_SIMULATOR_TOKENS_PER_SECOND",
    ]


def test_wrong_directives_are_reported() -> None:
    with pytest.raises(SettingsError, match=r"OPENAI_SIMULATOR_DIRECTIVES is not understood.*`statuss`"):
        settings_from({"OPENAI_SIMULATOR_DIRECTIVES": "statuss=503"})
