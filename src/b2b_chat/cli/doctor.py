"""`b2b-chat doctor …`: is this deployment healthy?"""

import asyncio
import os
import sys
from typing import TYPE_CHECKING, Final

import click

from b2b_chat.cli.failures import FAILED, needs, settings_explained

if TYPE_CHECKING:
    from b2b_chat.kit.checkup import Finding

_COLOURS: Final = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command()
@click.argument("app", type=click.Choice(["product", "gateway"]))
@click.option(
    "--timeout-seconds", type=click.FloatRange(0.1, 300), default=10, show_default=True, help="For each check."
)
def doctor(app: str, timeout_seconds: float) -> None:
    """Check a deployment, and say what to do.

    Checks everything that an app needs, with the app's settings, and changes nothing: settings, clocks, certificates,
    the database and its migrations, a signed ping of the gateway, a login at the mail server, OpenAI's answer to the
    key. Exits with 1 if a check failed, and with 2 if settings are wrong.
    """
    with needs(app), settings_explained():
        if app == "gateway":
            from b2b_chat.gateway import doctor as gateway
            from b2b_chat.gateway.settings import load_settings as gateway_settings

            findings = asyncio.run(gateway.examine(gateway_settings(os.environ), timeout_seconds=timeout_seconds))
        else:
            from b2b_chat.product import doctor as product
            from b2b_chat.product.configuration import load_settings as product_settings

            findings = asyncio.run(product.examine(product_settings(os.environ), timeout_seconds=timeout_seconds))
    for finding in findings:
        _show(finding)
    if any(finding.level == "fail" for finding in findings):
        sys.exit(FAILED)


def _show(finding: "Finding") -> None:
    level = click.style(f"{finding.level:4}", fg=_COLOURS[finding.level])
    click.echo(f"{level}  {finding.subject}: {finding.text}")
    if finding.remedy:
        click.echo(f"      {finding.remedy}")


COMMANDS: Final = (doctor,)
