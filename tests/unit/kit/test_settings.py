"""Settings from the environment: every kind, every problem, and never a value in a problem."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Struct

from b2b_chat.kit.secret_quality import secret_problems
from b2b_chat.kit.settings import Secret, SettingsError, load, render_example, variables

GOOD = "9f8e7d6c5b4a39281706f5e4d3c2b1a0"


class Settings(Struct, frozen=True, kw_only=True):
    """Settings of a test.

    Of every kind.
    """

    api_secret: Annotated[Secret, Meta(description="Opens the door.")]
    name: Annotated[str, Meta(description="What it is called")]
    retries: Annotated[int, Meta(ge=1, le=5, description="How often")] = 3
    pause_seconds: Annotated[float, Meta(gt=0, le=60, description="Between two tries, seconds")] = 1.5
    price_credits: Annotated[Decimal, Meta(ge=0.000001, le=10, description="Of a try, credits")] = Decimal("0.1")
    debug: Annotated[bool, Meta(description="Say more")] = False
    mode: Annotated[Literal["fast", "slow"], Meta(description="How")] = "fast"
    old_secret: Annotated[Secret | None, Meta(description="Opened the door")] = None
    nickname: Annotated[str | None, Meta(description="What friends say")] = None


EXAMPLE = """\
# Settings of a test.
# Made from the settings; shows the defaults. A variable that is empty is not set.

# Opens the door.
# Required: text; API_SECRET_FILE may name a file that holds it.
API_SECRET=

# What it is called.
# Required: text.
NAME=

# How often.
# A whole number, at least 1, at most 5.
RETRIES=3

# Between two tries, seconds.
# A number, more than 0, at most 60.
PAUSE_SECONDS=1.5

# Of a try, credits.
# A decimal number, at least 0.000001, at most 10.
PRICE_CREDITS=0.1

# Say more.
# True or false.
DEBUG=false

# How.
# One of fast, slow.
MODE=fast

# Opened the door.
# Optional: text; OLD_SECRET_FILE may name a file that holds it.
OLD_SECRET=

# What friends say.
# Optional: text.
NICKNAME=
"""

REQUIRED = {"API_SECRET": GOOD, "NAME": "b2b"}


def problems(**environ: str) -> list[str]:
    with pytest.raises(SettingsError) as raised:
        load(Settings, REQUIRED | environ)
    assert str(raised.value) == "\n".join(raised.value.problems)
    return raised.value.problems


class TestLoad:
    def test_what_is_not_set_has_its_default(self) -> None:
        assert load(Settings, REQUIRED) == Settings(api_secret=Secret(GOOD), name="b2b")

    def test_every_kind_is_read(self) -> None:
        loaded = load(
            Settings,
            {
                **REQUIRED,
                "RETRIES": "5",
                "PAUSE_SECONDS": "0.25",
                "PRICE_CREDITS": "0.000001",
                "DEBUG": "true",
                "MODE": "slow",
                "OLD_SECRET": "an old one",
                "NICKNAME": "Bee Two",
            },
        )
        assert loaded == Settings(
            api_secret=Secret(GOOD),
            name="b2b",
            retries=5,
            pause_seconds=0.25,
            price_credits=Decimal("0.000001"),
            debug=True,
            mode="slow",
            old_secret=Secret("an old one"),
            nickname="Bee Two",
        )

    def test_what_is_empty_is_not_set(self) -> None:
        emptied = {variable.name: "" for variable in variables(Settings)}
        assert load(Settings, emptied | REQUIRED) == load(Settings, REQUIRED)

    def test_variables_that_are_not_ours_are_left_alone(self) -> None:
        assert load(Settings, REQUIRED | {"PATH": "/bin", "name": "wrong"}) == load(Settings, REQUIRED)

    def test_space_around_a_value_is_no_part_of_it_but_for_secrets(self) -> None:
        loaded = load(Settings, {"API_SECRET": " key ", "NAME": " b2b ", "RETRIES": " 4\n", "PRICE_CREDITS": " 1 "})
        assert (loaded.name, loaded.retries, loaded.price_credits) == ("b2b", 4, Decimal(1))
        assert loaded.api_secret.reveal() == " key "

    @pytest.mark.parametrize(("text", "value"), [("true", True), ("1", True), ("False", False), ("0", False)])
    def test_truth_has_four_spellings(self, text: str, *, value: bool) -> None:
        assert load(Settings, REQUIRED | {"DEBUG": text}).debug is value

    @pytest.mark.parametrize(
        ("name", "text", "expected"),
        [
            ("RETRIES", "canary", "RETRIES must be a whole number, at least 1, at most 5."),
            ("RETRIES", "0", "RETRIES must be a whole number, at least 1, at most 5."),
            ("RETRIES", "6", "RETRIES must be a whole number, at least 1, at most 5."),
            ("RETRIES", "2.5", "RETRIES must be a whole number, at least 1, at most 5."),
            ("RETRIES", "1_0", "RETRIES must be a whole number, at least 1, at most 5."),
            ("PAUSE_SECONDS", "0", "PAUSE_SECONDS must be a number, more than 0, at most 60."),
            ("PAUSE_SECONDS", "nan", "PAUSE_SECONDS must be a number, more than 0, at most 60."),
            ("PAUSE_SECONDS", "inf", "PAUSE_SECONDS must be a number, more than 0, at most 60."),
            ("PAUSE_SECONDS", "1e999", "PAUSE_SECONDS must be a number, more than 0, at most 60."),
            ("PRICE_CREDITS", "canary", "PRICE_CREDITS must be a decimal number, at least 0.000001, at most 10."),
            ("PRICE_CREDITS", "0", "PRICE_CREDITS must be a decimal number, at least 0.000001, at most 10."),
            ("PRICE_CREDITS", "10.1", "PRICE_CREDITS must be a decimal number, at least 0.000001, at most 10."),
            ("PRICE_CREDITS", "NaN", "PRICE_CREDITS must be a decimal number, at least 0.000001, at most 10."),
            ("PRICE_CREDITS", "Infinity", "PRICE_CREDITS must be a decimal number, at least 0.000001, at most 10."),
            ("DEBUG", "canary", "DEBUG must be true or false."),
            ("DEBUG", "2", "DEBUG must be true or false."),
            ("MODE", "canary", "MODE must be one of fast, slow."),
            ("MODE", "FAST", "MODE must be one of fast, slow."),
        ],
    )
    def test_a_wrong_value_is_reported_with_what_it_should_be(self, name: str, text: str, expected: str) -> None:
        assert problems(**{name: text}) == [expected]

    def test_all_problems_are_reported_at_once_without_values(self) -> None:
        told = problems(API_SECRET="", NAME="", RETRIES="canary-1", DEBUG="canary-2", MODE="canary-3")
        assert [problem.partition(" ")[0] for problem in told] == ["API_SECRET", "NAME", "RETRIES", "DEBUG", "MODE"]
        assert told[0] == "API_SECRET is required: text."
        assert "canary" not in "".join(told)

    def test_findings_of_a_check_are_reported(self) -> None:
        def check(settings: Settings) -> Iterator[str]:
            if settings.retries > 2:
                yield "RETRIES is too much for one day."
            yield "NAME is taken."

        with pytest.raises(SettingsError) as raised:
            load(Settings, REQUIRED, check=check)
        assert raised.value.problems == ["RETRIES is too much for one day.", "NAME is taken."]

    @given(st.dictionaries(st.sampled_from([variable.name for variable in variables(Settings)]), st.text(max_size=30)))
    def test_whatever_is_set_it_loads_or_names_variables(self, environ: dict[str, str]) -> None:
        told: list[str] = []
        try:
            load(Settings, environ)
        except SettingsError as error:
            told = error.problems
        assert {problem.partition(" ")[0] for problem in told} <= {each.name for each in variables(Settings)}


class TestFiles:
    def test_a_secret_may_come_from_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "key").write_text(f"{GOOD}\r\n")
        loaded = load(Settings, {"NAME": "b2b", "API_SECRET_FILE": str(tmp_path / "key")})
        assert loaded.api_secret == Secret(GOOD)

    def test_both_ways_at_once_are_refused(self, tmp_path: Path) -> None:
        (tmp_path / "key").write_text("canary")
        assert problems(API_SECRET_FILE=str(tmp_path / "key")) == [
            "API_SECRET and API_SECRET_FILE are both set; keep one."
        ]

    def test_an_empty_file_name_is_no_file(self) -> None:
        assert load(Settings, REQUIRED | {"API_SECRET_FILE": ""}).api_secret == Secret(GOOD)

    def test_an_empty_file_holds_no_secret(self, tmp_path: Path) -> None:
        (tmp_path / "key").write_text("\n")
        environ = {"API_SECRET": "", "API_SECRET_FILE": str(tmp_path / "key"), "OLD_SECRET_FILE": str(tmp_path / "key")}
        assert problems(**environ) == ["API_SECRET is required: text."]

    @pytest.mark.parametrize("content", [None, b"\xff\xfe"])
    def test_a_file_that_cannot_be_read_is_named_by_its_variable(self, tmp_path: Path, content: bytes | None) -> None:
        file = tmp_path / "canary"
        if content is not None:
            file.write_bytes(content)
        assert problems(API_SECRET="", API_SECRET_FILE=str(file)) == [
            "API_SECRET_FILE names a file that cannot be read."
        ]

    def test_only_secrets_are_read_from_files(self, tmp_path: Path) -> None:
        (tmp_path / "retries").write_text("5")
        assert load(Settings, REQUIRED | {"RETRIES_FILE": str(tmp_path / "retries")}).retries == 3


class TestSecret:
    def test_it_is_never_shown(self) -> None:
        settings = load(Settings, REQUIRED)
        for shown in (str(settings), repr(settings), f"{settings.api_secret}", f"{settings.api_secret!r:>9}"):
            assert GOOD not in shown
            assert "***" in shown
        assert settings.api_secret.reveal() == GOOD

    def test_secrets_compare_by_their_values(self) -> None:
        assert Secret("a") == Secret("a") != Secret("b")
        assert Secret("a") != "a"
        assert len({Secret("a"), Secret("a"), Secret("b")}) == 2
        assert Secret("a")
        assert not Secret("")


class TestSecretProblems:
    @pytest.mark.parametrize(
        ("value", "problem"),
        [
            ("", "is empty"),
            ("x7Kp", "is shorter than 32 bytes"),
            (GOOD[:31], "is shorter than 32 bytes"),
            ("changeme-" * 5, "looks like a placeholder"),
            ("change-me-please-0a1b2c3d4e5f6g7h8", "looks like a placeholder"),
            ("REPLACE_ME_0a1b2c3d4e5f6g7h8i9j0k", "looks like a placeholder"),
            ("my-Super-Secret-0a1b2c3d4e5f6g7h8", "looks like a placeholder"),
            ("your-key-goes-here-0a1b2c3d4e5f6g", "looks like a placeholder"),
            ("a" * 64, "looks like a placeholder"),
            ("abcdabcd" * 8, "looks like a placeholder"),
        ],
    )
    def test_what_production_refuses(self, value: str, problem: str) -> None:
        (told,) = secret_problems({"API_SECRET": Secret(value)})
        assert told.startswith(f"API_SECRET {problem}")
        assert not value or value not in told

    def test_length_is_counted_in_bytes(self) -> None:
        assert list(secret_problems({"API_SECRET": Secret("жąßéñöüçжąßéñöüç")})) == []

    def test_each_is_its_own(self) -> None:
        told = list(secret_problems({"A": Secret(GOOD), "B": Secret(GOOD[::-1]), "C": Secret(GOOD), "D": None}))
        assert told == ["C is the same as A; every secret must be its own."]

    @given(st.binary(min_size=32, max_size=32))
    def test_random_ones_are_taken(self, random: bytes) -> None:
        value = random.hex()
        told = list(secret_problems({"A": Secret(value)}))
        assert not told or len(set(value)) < 8 or "12345678" in value


class TestRenderExample:
    def test_every_variable_is_explained(self) -> None:
        assert render_example(Settings) == EXAMPLE
