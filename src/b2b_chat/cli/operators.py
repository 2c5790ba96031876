"""Commands of an operator in a shell on the server: companies, credits, users, operators, the audit log.

They need DATABASE_URL and nothing else. Only the result goes to stdout, so that `COMPANY=$(b2b-chat company-create …)`
works. The audit log records every command as done by `user@host`.
"""

import sys
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import click
import msgspec

from b2b_chat.cli.shell import convert, open_shell

_USUAL_DAYS: Final = 90
_LONGEST_DAYS: Final = 366
"""Of a key, as in `operators.keys`, which is not imported before a command runs."""

_TIMES: Final = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"]

_external_id = click.option(
    "--external-id", required=True, help="Its name outside, for example an invoice's number. A known id moves nothing."
)


@click.command("operator-create")
@click.argument("email")
@click.option(
    "--expires-in-days",
    type=click.IntRange(1, _LONGEST_DAYS),
    default=_USUAL_DAYS,
    show_default=True,
    help="How long the key works.",
)
def operator_create(email: str, expires_in_days: int) -> None:
    """Make a person an operator and print a key for /admin.

    The person with this address, known before or not, can also sign in by mail. The key is shown only once. An existing
    operator gets another key.
    """
    with open_shell() as shell:
        from b2b_chat.product.identity.schemas import Email

        making = shell.services.operators.create(shell.actor, convert(email, Email), expires_in_days=expires_in_days)
        click.echo(shell.run(making).key)


@click.command("operator-keys")
@click.argument("email")
def operator_keys(email: str) -> None:
    """Print an operator's keys, newest first, as JSON lines.

    A key itself is never shown again.
    """
    with open_shell() as shell:
        for key in shell.run(shell.services.operator_keys.list_keys_of(email)):
            click.echo(msgspec.json.encode(key))


@click.command("operator-key-revoke")
@click.argument("key")
def operator_key_revoke(key: str) -> None:
    """Revoke an operator's key for good.

    KEY is its id, or how it begins as operator-keys shows it.
    """
    with open_shell() as shell:
        keys = shell.services.operator_keys
        shell.run(keys.revoke(shell.actor, shell.run(keys.find_id(key))))
        click.echo(f"{key} is revoked.")


@click.command("operator-remove")
@click.argument("email")
def operator_remove(email: str) -> None:
    """Remove a person from the operators.

    Revokes the person's operator keys and ends their sessions.
    """
    with open_shell() as shell:
        shell.run(shell.services.operators.remove(shell.actor, email))
        click.echo(f"{email} is an operator no longer.")


@click.command("company-create")
@click.argument("name")
@click.option("--owner", "owner_email", required=True, help="Address of the first owner, who can sign in at once.")
def company_create(name: str, owner_email: str) -> None:
    """Create a company and print its id."""
    with open_shell() as shell:
        from b2b_chat.product.companies.schemas import CompanyCreate

        wanted = convert({"name": name, "owner_email": owner_email}, CompanyCreate)
        click.echo(shell.run(shell.services.companies.create(shell.actor, wanted)).id)


@click.command("company-block")
@click.argument("company", type=click.UUID)
def company_block(company: UUID) -> None:
    """Block a company: nobody can act in it."""
    with open_shell() as shell:
        blocked = shell.run(shell.services.companies.block(shell.actor, company))
        click.echo(f"{blocked.name} is blocked.")


@click.command("company-unblock")
@click.argument("company", type=click.UUID)
def company_unblock(company: UUID) -> None:
    """Unblock a company."""
    with open_shell() as shell:
        unblocked = shell.run(shell.services.companies.unblock(shell.actor, company))
        click.echo(f"{unblocked.name} is not blocked.")


@click.command("credits-add")
@click.argument("company", type=click.UUID)
@click.argument("amount")
@_external_id
def credits_add(company: UUID, amount: str, external_id: str) -> None:
    """Add credits that a company paid for."""
    with open_shell() as shell:
        from b2b_chat.product.credits.schemas import CreditsAdd

        addition = convert({"amount_credits": amount, "external_id": external_id}, CreditsAdd)
        entry = shell.run(shell.services.credit.add(shell.actor, company, addition))
        click.echo(f"The balance is {entry.balance_after_credits} credits after entry {entry.position}.")


@click.command("credits-adjust", context_settings={"ignore_unknown_options": True})  # an amount may begin with a minus
@click.argument("company", type=click.UUID)
@click.argument("amount")
@_external_id
@click.option("--corrects", required=True, type=int, help="The position of the corrected ledger entry.")
@click.option("--reason", required=True, help="Kept in the audit log.")
def credits_adjust(company: UUID, amount: str, external_id: str, corrects: int, reason: str) -> None:
    """Correct an entry of a company's ledger, up or down."""
    with open_shell() as shell:
        from b2b_chat.product.credits.schemas import CreditsAdjust

        fields = {
            "corrects_position": corrects,
            "amount_credits": amount,
            "external_id": external_id,
            "reason": reason,
        }
        entry = shell.run(shell.services.credit.adjust(shell.actor, company, convert(fields, CreditsAdjust)))
        click.echo(f"The balance is {entry.balance_after_credits} credits after entry {entry.position}.")


@click.command("user-block")
@click.argument("user")
def user_block(user: str) -> None:
    """Block a person in every company.

    USER is an id or an address. Ends the person's sessions and stops their keys.
    """
    with open_shell() as shell:
        shell.run(shell.services.users.block(shell.actor, shell.user_id(user)))
        click.echo(f"{user} is blocked.")


@click.command("user-unblock")
@click.argument("user")
def user_unblock(user: str) -> None:
    """Unblock a person.

    USER is an id or an address. The person's keys work again too.
    """
    with open_shell() as shell:
        shell.run(shell.services.users.unblock(shell.actor, shell.user_id(user)))
        click.echo(f"{user} is not blocked.")


@click.command("factor-reset")
@click.argument("user")
def factor_reset(user: str) -> None:
    """Let a person set up a new second factor.

    USER is an id or an address. Ends the person's sessions.
    """
    with open_shell() as shell:
        shell.run(shell.services.users.reset_second_factor(shell.actor, shell.user_id(user)))
        click.echo(f"{user} sets up a second factor after the next sign-in.")


@click.command()
@click.option("--company", type=click.UUID, help="Of this company.")
@click.option("--actor", help="By this user's or key's id, or user@host of a shell.")
@click.option("--user", help="By this person, id or address, in a session or with a key.")
@click.option("--action", help="Of this kind, for example invite.create.")
@click.option("--target", help="On the target with this id.")
@click.option("--since", type=click.DateTime(_TIMES), help="From this time on; UTC unless it has an offset.")
@click.option("--until", type=click.DateTime(_TIMES), help="Before this time; UTC unless it has an offset.")
@click.option("--format", "form", type=click.Choice(["ndjson", "csv"]), default="ndjson", show_default=True)
def audit(form: str, since: datetime | None, until: datetime | None, user: str | None, **wanted: Any) -> None:
    """Print the audit log, newest first."""
    with open_shell() as shell:
        from b2b_chat.kit.exports import ExportFormat
        from b2b_chat.product.audit.schemas import AuditFilter

        fields = {
            "company_id": wanted["company"],
            "actor": wanted["actor"],
            "user_id": shell.user_id(user) if user else None,
            "action": wanted["action"],
            "target": wanted["target"],
            "since": _aware(since),
            "until": _aware(until),
        }

        async def show() -> None:
            async for piece in await shell.services.audit.export(
                shell.actor, convert(fields, AuditFilter), ExportFormat(form)
            ):
                sys.stdout.buffer.write(piece)

        shell.run(show())


def _aware(time: datetime | None) -> datetime | None:
    return time.replace(tzinfo=UTC) if time is not None and time.tzinfo is None else time


COMMANDS: Final = (
    operator_create,
    operator_remove,
    operator_keys,
    operator_key_revoke,
    company_create,
    company_block,
    company_unblock,
    credits_add,
    credits_adjust,
    user_block,
    user_unblock,
    factor_reset,
    audit,
)
