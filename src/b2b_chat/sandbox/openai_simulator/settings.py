"""How the simulator behaves unless a request asks otherwise."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Final

from msgspec import Meta, Struct

from b2b_chat.kit.settings import Secret, SettingsError, load
from b2b_chat.sandbox.openai_simulator.api_errors import Refused
from b2b_chat.sandbox.openai_simulator.directives import read, understand

PREFIX: Final = "OPENAI_SIMULATOR_"
"""Stands before each field's name in the environment: `OPENAI_SIMULATOR_SEED` and so on."""


class SimulatorSettings(Struct, frozen=True, kw_only=True):
    """One simulator's settings."""

    seed: int = 0
    """Another seed gives other answers to the same messages."""
    tokens_per_second: Annotated[float, Meta(ge=0)] = 0.0
    """The pace of an answer; 0 sends as fast as the caller takes it."""
    answer_tokens: Annotated[int, Meta(ge=0)] = 40
    """An answer is at least so long, and ends with a whole sentence."""
    expected_api_key: Secret | None = None
    """The one key to accept; without it any key will do."""
    kept_requests: Annotated[int, Meta(ge=1)] = 1000
    """`GET /simulator/requests` shows the last so many."""
    directives: str = ""
    """Directives for every request, such as `status=503`; those of a request go before them, name by name."""


def settings_from(environ: Mapping[str, str]) -> SimulatorSettings:
    """Read the settings from variables that start with `PREFIX`.

    Raises:
        SettingsError: A variable's value is not valid; it names each such variable.
    """
    ours = {name.removeprefix(PREFIX): value for name, value in environ.items() if name.startswith(PREFIX)}
    try:
        return load(SimulatorSettings, ours, check=_problems)
    except SettingsError as error:
        raise SettingsError([PREFIX + problem for problem in error.problems]) from None


def _problems(settings: SimulatorSettings) -> Iterator[str]:
    try:
        understand(read(settings.directives))
    except Refused as refused:
        yield f"DIRECTIVES is not understood. {refused}"
