"""`b2b-chat …`: a thin face over the services. Each command imports its app only when it runs."""

from typing import Any

import click

from b2b_chat.cli import apps, backups, doctor, ledger, mail, masking, migrations, operators, sandbox
from b2b_chat.cli.failures import fail_unexpectedly
from b2b_chat.kit.logging import configure_command_logging


class _Commands(click.Group):
    """Configures logging before any command, and keeps what nobody expected from being shown with its contents."""

    def invoke(self, context: click.Context) -> Any:
        """Run the command that was asked for."""
        configure_command_logging()
        try:
            return super().invoke(context)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise  # click's own ways to end
        except Exception as error:  # noqa: BLE001 - whatever it is, its message is not to be shown
            fail_unexpectedly(error)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Exit codes: 0 done; 1 failed; 2 wrong usage or settings; 130 ended by Ctrl-C, 143 by SIGTERM.",
)
@click.version_option(package_name="b2b-chat")
def main() -> None:
    """B2B chat: a product API that keeps people, messages and money, and a signed gateway to OpenAI."""


for _command in (
    *sandbox.COMMANDS,
    *apps.COMMANDS,
    *doctor.COMMANDS,
    *migrations.COMMANDS,
    *backups.COMMANDS,
    *ledger.COMMANDS,
    *operators.COMMANDS,
    *masking.COMMANDS,
    *mail.COMMANDS,
):
    main.add_command(_command)
