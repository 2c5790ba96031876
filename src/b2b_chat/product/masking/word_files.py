"""The lists in `words/`: our own, one word after another; a line that begins with `#` is a comment."""

from importlib.resources import files


def word_list(name: str) -> list[str]:
    """Return the words of a list, as they are written."""
    text = files(__package__).joinpath("words", name).read_text(encoding="utf-8")
    return [word for line in text.splitlines() if not line.startswith("#") for word in line.split()]
