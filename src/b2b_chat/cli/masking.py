"""Commands of an operator about masking: the floor of the installation, and any company's rules and lists."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, TextIO
from uuid import UUID

import click

from b2b_chat.cli.shell import convert, open_shell

if TYPE_CHECKING:
    from b2b_chat.product.masking_policies.schemas import MaskingRules

_rules = click.argument("rules", nargs=-1, metavar="[WHAT=off|mask|block]...")
_images = click.option(
    "--allow-images", is_flag=True, help="Let images be sent although people or secrets are masked in texts."
)
_clear = click.option("--clear", is_flag=True, help="Set no rule at all.")


@click.command("masking-floor")
@_rules
@_images
@_clear
def masking_floor(rules: tuple[str, ...], *, allow_images: bool, clear: bool) -> None:
    """Set the least that masking does, or show it.

    WHAT is a group (people, contacts, money, secrets, requisites, terms) or a kind (PERSON, CARD, ...). The rules
    replace those before; without any they are shown.
    """
    with open_shell() as shell:
        if not rules and not allow_images and not clear:
            _show(shell.run(shell.services.masking_policies.floor()))
            return
        version = shell.run(
            shell.services.masking_policies.set_floor(shell.actor, _parsed(rules, allow_images=allow_images))
        )
        click.echo(f"The floor has version {version}.")


@click.command("masking-policy")
@click.argument("company", type=click.UUID)
@_rules
@_images
@_clear
def masking_policy(company: UUID, rules: tuple[str, ...], *, allow_images: bool, clear: bool) -> None:
    """Set what masking does for a company, or show it.

    WHAT is a group or a kind, as for masking-floor. The rules replace those before; without any they are shown.
    """
    with open_shell() as shell:
        if not rules and not allow_images and not clear:
            _show(shell.run(shell.services.masking_policies.rules(company)))
            return
        version = shell.run(
            shell.services.masking_policies.set_company(shell.actor, company, _parsed(rules, allow_images=allow_images))
        )
        click.echo(f"The company's rules have version {version}.")


@click.command("masking-terms")
@click.argument("company", type=click.UUID)
@click.option("--terms", type=click.File(encoding="utf-8"), help="The company's own words, which are masked.")
@click.option("--allowed", type=click.File(encoding="utf-8"), help="Values that are let through.")
def masking_terms(company: UUID, terms: TextIO | None, allowed: TextIO | None) -> None:
    """Replace a company's lists.

    The files have an entry a line, in UTF-8; a list without a file stays as it is.
    """
    if terms is None and allowed is None:
        raise click.UsageError("Give --terms, --allowed or both.")
    with open_shell() as shell:
        from b2b_chat.product.masking_policies.schemas import MaskingImport

        wanted = convert({"terms": _entries(terms), "allowed": _entries(allowed)}, MaskingImport)
        lists = shell.run(shell.services.masking_policies.set_company_terms(shell.actor, company, wanted))
        click.echo(f"{len(lists.terms)} terms and {len(lists.allowed)} allowed values, version {lists.version}.")


@click.command("masking-outline")
@click.argument("text", type=click.File(encoding="utf-8"), default="-", metavar="[FILE]")
def masking_outline(text: TextIO) -> None:
    """Print a text without what it says, to report a miss.

    Letters become one letter of their script and case, digits become zeros; words that the rules look for stay. Read it
    before you send it. Without FILE the text is read from the standard input.
    """
    from b2b_chat.product.masking.outline import outline

    click.echo(outline(text.read()), nl=False)


def _entries(lines: Iterable[str] | None) -> list[str] | None:
    return None if lines is None else [entry for line in lines if (entry := line.removeprefix("\ufeff").strip())]


def _parsed(rules: Iterable[str], *, allow_images: bool) -> "MaskingRules":
    from b2b_chat.product.masking_policies.schemas import MaskingRules

    groups: dict[str, str] = {}
    kinds: dict[str, str] = {}
    for rule in rules:
        what, _, action = rule.partition("=")
        (groups if what.islower() else kinds)[what] = action
    converted: MaskingRules = convert({"groups": groups, "kinds": kinds, "allow_images": allow_images}, MaskingRules)
    return converted


def _show(rules: "MaskingRules") -> None:
    policy = rules.policy()
    named: dict[Any, Any] = {**policy.groups, **policy.kinds}
    for what, action in named.items():
        click.echo(f"{what}={action}")
    if policy.allow_images:
        click.echo("--allow-images")


COMMANDS: Final = (masking_floor, masking_policy, masking_terms, masking_outline)
