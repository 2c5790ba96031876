import pytest

from b2b_chat.product.limits.mailboxes import limited_domain_of, mailbox_of


@pytest.mark.parametrize(
    ("email", "mailbox"),
    [
        ("ann@example.com", "ann@example.com"),
        ("ann+1@example.com", "ann@example.com"),
        ("ann+1+2@example.com", "ann@example.com"),
        ("a.nn@example.com", "a.nn@example.com"),
        ("+x@example.com", "+x@example.com"),
        ("a.n.n+chat@gmail.com", "ann@gmail.com"),
        ("a.nn@googlemail.com", "ann@gmail.com"),
        ("ivan-petrov+x@ya.ru", "ivanpetrov@yandex.ru"),
        ("ivan.petrov@yandex.com", "ivanpetrov@yandex.ru"),
        ("a_n-n@pm.me", "ann@proton.me"),
        ("ann@me.com", "ann@icloud.com"),
        ("a.nn@mail.ru", "a.nn@mail.ru"),
        ("...@gmail.com", "...@gmail.com"),
    ],
)
def test_an_address_folds_to_its_mailbox(email: str, mailbox: str) -> None:
    assert mailbox_of(email) == mailbox
    assert mailbox_of(mailbox) == mailbox


def test_only_domains_of_one_owner_are_limited() -> None:
    assert limited_domain_of("ann@example.com") == "example.com"
    for domain in ("gmail.com", "mail.ru", "ya.ru", "outlook.com"):
        assert limited_domain_of(f"ann@{domain}") is None
