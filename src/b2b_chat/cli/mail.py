"""Commands about mail."""

import os
from typing import TYPE_CHECKING, Final

import click

from b2b_chat.cli.failures import WRONG_USE, fail, needs, settings_explained

if TYPE_CHECKING:
    from b2b_chat.product.mail.smtp import SmtpOptions

_LANGUAGES: Final = ("ru", "en")


@click.command("mail-test")
@click.argument("address")
def mail_test(address: str) -> None:
    """Send a test mail to ADDRESS.

    Sends one mail in Russian and one in English, with product_api's mail settings from the environment. Prints the
    server's answers, and fails if the server rejected a mail.
    """
    with needs("product"), settings_explained():
        import asyncio

        from b2b_chat.product.configuration import load_settings
        from b2b_chat.product.mail.smtp import smtp_options

        settings = load_settings()
        options = smtp_options(settings)
        if options is None or settings.email_from is None:
            fail("SMTP_HOST and EMAIL_FROM must be set.", code=WRONG_USE)
        click.echo(f"{options.host}:{options.port}, {_encryption(options)}, {_login(options)}")
        asyncio.run(_send(options, settings.email_from, address))


@click.command("mail-catcher")
def mail_catcher() -> None:
    """Run the mail catcher alone.

    Accepts mails on SMTP_PORT, delivers none, and lists them at http://127.0.0.1:MAIL_CATCHER_PORT/mails.
    MAIL_CATCHER_HOST sets another address to listen on.
    """
    with needs("sandbox"):
        from b2b_chat.sandbox.mail import run

        missing = [name for name in ("SMTP_PORT", "MAIL_CATCHER_PORT") if not os.environ.get(name, "").isdecimal()]
        if missing:
            fail(*(f"{name} must be set to a port." for name in missing), code=WRONG_USE)
        try:
            run(os.environ)
        except OSError as error:
            fail(f"the system refused: {error}.")


async def _send(options: "SmtpOptions", sender: str, address: str) -> None:
    from b2b_chat.kit.clock import utc_now
    from b2b_chat.kit.database import new_id
    from b2b_chat.product.mail.letters import Letter, compose
    from b2b_chat.product.mail.smtp import MailNotSent, Smtp

    smtp = Smtp(options)
    now = utc_now()
    for language in _LANGUAGES:
        letter = Letter("test", language, address, {"at": f"{now:%Y-%m-%d %H:%M} UTC"})
        message = compose(letter, sender=sender, message_id=f"<{new_id()}@b2b-chat>", written_at=now)
        try:
            await smtp.send(message)
        except MailNotSent as error:
            fail(f"not sent: {error.code}. {error.words}".rstrip())
        click.echo(f"Accepted by the server: {message['Subject']}")


def _encryption(options: "SmtpOptions") -> str:
    return {
        "none": "not encrypted",
        "starttls": "encrypted with STARTTLS, certificate checked",
        "implicit": "encrypted from the first byte, certificate checked",
    }[options.tls]


def _login(options: "SmtpOptions") -> str:
    return f"signing in as {options.user}" if options.user else "without signing in"


COMMANDS: Final = (mail_test, mail_catcher)
