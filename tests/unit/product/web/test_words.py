"""Both languages say the same things."""

import re
from collections.abc import Iterator
from importlib import import_module
from importlib.resources import files

from b2b_chat.kit.errors import Refusal
from b2b_chat.kit.exports import CsvDialect
from b2b_chat.product.audit.actions import Action
from b2b_chat.product.companies.models import InviteState
from b2b_chat.product.credits.models import EntryKind
from b2b_chat.product.masking.kinds import DEFAULTS, Kind, MaskingAction
from b2b_chat.product.viewer import CompanyBlocked, NoCompany, ScopeMissing, UserBlocked
from b2b_chat.product.vocabulary import Role, Scope
from b2b_chat.product.web.console import COMPANY_SECTIONS, OPERATOR_SECTIONS
from b2b_chat.product.web.words import CONSOLE_WORDS, WORDS


def test_each_language_has_every_word() -> None:
    assert set(WORDS["ru"]) == set(WORDS["en"])
    assert set(CONSOLE_WORDS["ru"]) == set(CONSOLE_WORDS["en"])
    assert all(text.strip() for words in CONSOLE_WORDS.values() for text in words.values())


def test_no_word_has_the_name_of_a_method() -> None:
    """A template would show the method."""
    assert set(CONSOLE_WORDS["en"]).isdisjoint(dir({}))


def test_the_scripts_say_nothing_else() -> None:
    folder = files("b2b_chat.product.web") / "assets"
    scripts = [asset.read_text() for asset in folder.iterdir() if asset.name.endswith(".js")]
    used = {name for script in scripts for name in re.findall(r"\bwords\.([a-z_]+)", script)}
    assert len(used) > 5
    assert {f"js_{name}" for name in used} <= set(CONSOLE_WORDS["en"])


def test_every_word_that_pages_name_by_composition_exists() -> None:
    assert set(put_together()) <= set(CONSOLE_WORDS["en"])


def test_nothing_is_there_that_no_page_says() -> None:
    folder = files("b2b_chat.product.web") / "templates"
    templates = [file for part in (folder, folder / "company", folder / "operator") for file in part.iterdir()]
    said = {
        name
        for template in templates
        if template.name.endswith(".html")
        for name in re.findall(r"\bwords\.([a-z_]+)", template.read_text())
    }
    import_module("b2b_chat.product.app")  # and with it whatever the app may refuse by
    codes = {refusal.code for refusal in all_refusals(Refusal) if hasattr(refusal, "code")}
    own = set(CONSOLE_WORDS["en"]) - set(WORDS["en"]) - said - set(put_together())
    own -= {f"refused_{code}" for code in codes} | {f"js_{code}" for code in codes}
    assert {name for name in own if not name.startswith(("target_", "fact_", "part_", "problem_"))} == {
        "js_bad_line", "js_copied_key", "js_copy_by_hand", "js_no_connection", "js_sign_in_again",
    }  # fmt: skip


def all_refusals(above: type[Refusal]) -> Iterator[type[Refusal]]:
    """Every kind of refusal that is known by now."""
    for refusal in above.__subclasses__():
        yield refusal
        yield from all_refusals(refusal)


def put_together() -> list[str]:
    """What templates say by a name that they put together."""
    names = [f"action_{action}" for action in Action]
    names += [f"role_{role}" for role in Role] + [f"scope_{scope}" for scope in Scope]
    names += [f"kind_{kind}" for kind in EntryKind] + [f"invite_{state}" for state in (*InviteState, "expired")]
    names += [f"js_kind_{kind}" for kind in Kind] + [f"masking_group_{group}" for group in DEFAULTS]
    names += [f"masking_{action}" for action in MaskingAction]
    names += [f"csv_{dialect}" for dialect in CsvDialect]
    names += [f"company_{section}" for section in COMPANY_SECTIONS]
    names += [f"operator_{section}" for section in OPERATOR_SECTIONS]
    names += [f"gateway_{status}" for status in ("ready", "refused", "unreachable")]
    names += [f"refused_{refusal.code}" for refusal in (NoCompany, CompanyBlocked, UserBlocked, ScopeMissing)]
    return names
