"""`deploy/env/*.env.example` say what the settings Structs say, and load as what they say."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from msgspec import NODEFAULT, Struct

from b2b_chat.gateway.settings import GatewaySettings
from b2b_chat.kit.settings import load, render_example, variables
from b2b_chat.product.database_settings import MigrationSettings
from b2b_chat.product.settings import ProductSettings

FOLDER = Path(__file__).parents[3] / "deploy" / "env"
EXAMPLES: Mapping[str, type[Struct]] = {
    "product": ProductSettings,
    "gateway": GatewaySettings,
    "migrations": MigrationSettings,
}
FILES = {"product": "product_api", "gateway": "gateway_api", "migrations": "migrations"}

each_app = pytest.mark.parametrize("app", EXAMPLES)


def example(app: str) -> str:
    return (FOLDER / f"{FILES[app]}.env.example").read_text(encoding="utf-8")


@each_app
def test_the_example_is_made_from_the_settings(app: str) -> None:
    expected = render_example(EXAMPLES[app])
    assert example(app) == expected, f"Run: b2b-chat env-example {app} > deploy/env/{FILES[app]}.env.example"


@each_app
def test_every_variable_is_described(app: str) -> None:
    for variable in variables(EXAMPLES[app]):
        assert variable.meta is not None, variable.name
        assert variable.meta.description, variable.name


@each_app
def test_its_values_are_the_defaults(app: str) -> None:
    settings = EXAMPLES[app]
    lines = [line for line in example(app).splitlines() if line and not line.startswith("#")]
    environ = dict(line.split("=", 1) for line in lines)
    assert len(environ) == len(lines)
    required = {variable.name: "needed" for variable in variables(settings) if variable.default is NODEFAULT}
    assert all(environ[name] == "" for name in required)
    assert load(settings, environ | required) == load(settings, required)


@each_app
def test_no_secret_has_a_value(app: str) -> None:
    lines = example(app).splitlines()
    for variable in variables(EXAMPLES[app]):
        if variable.is_secret:
            assert f"{variable.name}=" in lines
