"""`b2b-chat …`: a thin face over the services. Each command imports its app only when it runs."""

import click

from b2b_chat.cli import apps, backups, doctor, ledger, mail, masking, migrations, operators, sandbox


@click.group(
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
