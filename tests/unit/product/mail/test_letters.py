from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

import pytest

from b2b_chat.product.mail.letters import Letter, compose

FIELDS: dict[str, dict[str, str]] = {
    "login": {"link": "https://chat.example.test/auth/verify#token", "code": "123456", "minutes": "10"},
    "invite": {
        "company": "Компания «Ромашка»",
        "inviter": "ann@example.test",
        "link": "https://chat.example.test/v1/invites/accept#token",
        "until": "2026-12-01 12:00 UTC",
    },
    "test": {"at": "2026-12-01 12:00 UTC"},
}
EVERY = [(name, language) for name in FIELDS for language in ("ru", "en")]


def composed(name: Any, language: Any, **changes: str) -> EmailMessage:
    """A letter as its receiver sees it."""
    letter = Letter(name, language, "bob@example.test", FIELDS[name] | changes)
    mail = compose(
        letter,
        sender="Чат <chat@example.test>",
        message_id="<1@example.test>",
        written_at=datetime(2026, 12, 1, 12, tzinfo=UTC),
    )
    return message_from_bytes(mail.as_bytes(), EmailMessage, policy=default)


def part(mail: EmailMessage, subtype: str) -> str:
    body = mail.get_body((subtype,))
    assert body is not None
    return str(body.get_content())


@pytest.mark.parametrize(("name", "language"), EVERY)
def test_every_letter_says_everything_in_both_forms(name: str, language: str) -> None:
    mail = composed(name, language)
    for subtype in ("plain", "html"):
        text = part(mail, subtype)
        assert "$" not in text
        assert all(value in text for value in FIELDS[name].values())
    assert mail.get_content_type() == "multipart/alternative"


@pytest.mark.parametrize(("name", "language"), EVERY)
def test_every_letter_is_in_its_language(name: str, language: str) -> None:
    mail = composed(name, language, company="Acme")
    is_russian = any(letter in "аеиоу" for letter in mail["Subject"] + part(mail, "plain") + part(mail, "html"))
    assert is_russian == (language == "ru")
    assert mail["Content-Language"] == language
    assert f'<html lang="{language}">' in part(mail, "html")


@pytest.mark.parametrize(("name", "language"), EVERY)
def test_every_link_stands_on_a_line_of_its_own(name: str, language: str) -> None:
    if "link" in FIELDS[name]:
        assert FIELDS[name]["link"] in part(composed(name, language), "plain").splitlines()


@pytest.mark.parametrize(("name", "language"), EVERY)
def test_html_loads_nothing(name: str, language: str) -> None:
    """A loaded resource would reveal that the mail was read, and no mail program runs scripts."""
    text = part(composed(name, language), "html").lower()
    assert not [word for word in ("<img", "<script", "src=", "url(", "@import") if word in text]


def test_headers() -> None:
    mail = composed("login", "en")
    assert (mail["From"], mail["To"], mail["Subject"]) == ("Чат <chat@example.test>", "bob@example.test", "Sign in")
    assert (mail["Message-ID"], mail["Date"]) == ("<1@example.test>", "Tue, 01 Dec 2026 12:00:00 +0000")
    assert mail["Auto-Submitted"] == "auto-generated"


def test_the_subject_of_a_login_does_not_show_the_code() -> None:
    assert not [language for language in ("ru", "en") if "123456" in composed("login", language)["Subject"]]


def test_a_field_cannot_become_markup_or_a_header() -> None:
    mail = composed("invite", "en", company="<b>Acme</b>\r\nBcc: eve@example.test\r\n\r\n&copy;")
    assert mail["Bcc"] is None
    assert mail["Subject"] == "Join <b>Acme</b> Bcc: eve@example.test &copy;"
    assert "&lt;b&gt;Acme&lt;/b&gt; Bcc" in part(mail, "html")
    assert "<b>Acme" not in part(mail, "html").replace("<b>&lt;", "")


def test_a_field_is_not_read_as_a_template() -> None:
    assert "$link ${code}" in part(composed("invite", "en", company="$link ${code}"), "plain")


def test_a_letter_that_lacks_a_field_is_a_defect() -> None:
    letter = Letter("login", "en", "bob@example.test", {})
    with pytest.raises(KeyError):
        compose(letter, sender="chat@example.test", message_id="<1@example.test>", written_at=datetime.now(UTC))
