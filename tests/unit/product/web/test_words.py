"""Both languages say the same things."""

import re
from importlib.resources import files

from b2b_chat.product.web.words import WORDS


def test_each_language_has_every_word() -> None:
    assert set(WORDS["ru"]) == set(WORDS["en"])
    assert all(text.strip() for words in WORDS.values() for text in words.values())


def test_no_word_has_the_name_of_a_method() -> None:
    """A template would show the method."""
    assert set(WORDS["en"]).isdisjoint(dir({}))


def test_the_scripts_say_nothing_else() -> None:
    folder = files("b2b_chat.product.web") / "assets"
    scripts = [asset.read_text() for asset in folder.iterdir() if asset.name.endswith(".js")]
    used = {name for script in scripts for name in re.findall(r"\bwords\.([a-z_]+)", script)}
    assert len(used) > 5
    assert {f"js_{name}" for name in used} <= set(WORDS["en"])
