import pytest

from b2b_chat.product.identity.languages import preferred_language


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "ru"),
        ("*", "ru"),
        ("de-DE,de;q=0.9", "ru"),
        ("en", "en"),
        ("EN-gb", "en"),
        ("ru-RU,ru;q=0.9,en-US;q=0.8,en;q=0.7", "ru"),
        ("en-US,en;q=0.9,ru;q=0.8", "en"),
        ("en;q=0.1, ru;q=0.2", "ru"),
        ("de, en;q=0.5", "en"),
        ("en;q=0", "ru"),
        ("en;q=nonsense", "ru"),
        ("en;level=1, ru", "en"),
        (",;,", "ru"),
    ],
)
def test_the_one_that_is_liked_best(header: str, language: str) -> None:
    assert preferred_language(header) == language
