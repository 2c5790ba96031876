"""Letters: the contents of mails, in Russian and English, as plain text and HTML.

A letter is a pair of files in `templates`, `NAME.LANGUAGE.txt` and `.html`, with `$field` where its fields go. The
first line of the text is the subject.
"""

import html
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from functools import cache
from importlib.resources import files
from string import Template
from typing import Literal

from msgspec import Struct

from b2b_chat.product.vocabulary import Language

LetterName = Literal["login", "invite", "test"]


class Letter(Struct, frozen=True):
    """A letter to one person."""

    name: LetterName
    language: Language
    recipient: str
    fields: dict[str, str]
    """What the template's `$fields` stand for."""


def compose(letter: Letter, *, sender: str, message_id: str, written_at: datetime) -> EmailMessage:
    """Return a letter as a mail. By the same `message_id` a receiver recognises a repeated mail.

    Raises:
        KeyError: The letter lacks a field of its template.
    """
    # A line break in a field would start a new line of the subject or text; only templates may do that.
    fields = {name: " ".join(value.split()) for name, value in letter.fields.items()}
    subject, _, text = _template(letter, "txt").substitute(fields).partition("\n")
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = letter.recipient
    message["Subject"] = subject
    message["Date"] = written_at
    message["Message-ID"] = message_id
    # Out-of-office replies to a login code help nobody.
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text.strip() + "\n")
    escaped = {name: html.escape(value) for name, value in fields.items()}
    message.add_alternative(_template(letter, "html").substitute(escaped), subtype="html")
    message["Content-Language"] = letter.language  # last, or it would be taken for the first part's
    return message


def _template(letter: Letter, form: Literal["txt", "html"]) -> Template:
    return _read(f"{letter.name}.{letter.language}.{form}")


@cache
def _read(file_name: str) -> Template:
    return Template((files(__package__) / "templates" / file_name).read_text(encoding="utf-8"))
