"""Restores one attempt at an answer: the text that arrives, the text for readers, and the masks to store."""

from b2b_chat.product.masking.masks import StoredMasks, Values, stored
from b2b_chat.product.masking.restoring import Restorer


class Restoration:
    """Follows an attempt from its first delta to whatever end it has."""

    def __init__(self, values: Values, restorer: Restorer, key: str) -> None:
        self._values = values
        self._key = key
        self._passes = not values
        """Without values there is nothing to put in the place of a token, and so nothing to wait for."""
        self._restorer = restorer
        self._sent: list[str] = []

    @property
    def sent(self) -> str:
        """The text over the border so far, with its tokens: only this can be compared with a final text."""
        return "".join(self._sent)

    def feed(self, text: str) -> str:
        """Take the next piece; return the text that readers can have now."""
        self._sent.append(text)
        return text if self._passes else self._restorer.feed(text)

    def end(self) -> str:
        """Return what was held back."""
        return "" if self._passes else self._restorer.end()

    def masks(self, text: str) -> StoredMasks:
        """Return the masks of the restored text, once it has ended."""
        if self._passes:  # a text that looks like a token must not pass for one of a later message
            self._restorer.feed(text)
            self._restorer.end()
        return stored(self._values.of_answer(text, self._restorer.masks, self._restorer.literals), self._key)
