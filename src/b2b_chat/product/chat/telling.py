"""The text of an attempt as its readers get it: with values in place of their tokens."""

from b2b_chat.product.chat.answer_log import AnswerLog
from b2b_chat.product.masking.requests import MaskedRequest


class Telling:
    """Writes the text of one attempt into its log. Each attempt has its own, because it may hold text back."""

    def __init__(self, log: AnswerLog, request: MaskedRequest) -> None:
        self._log = log
        self._restoration = request.restoration()

    def take(self, text: str) -> None:
        """Take the next piece as it arrived over the border."""
        if self._restoration is not None:
            text = self._restoration.feed(text)
        if text:
            self._log.publish(text)

    def complete(self, text: str) -> None:
        """Take the rest of the whole text: the result has the whole answer, of which a part has been taken."""
        sent = self._log.text if self._restoration is None else self._restoration.sent
        if text != sent and text.startswith(sent):
            self.take(text[len(sent) :])

    def end(self) -> None:
        """Publish the text that was held back, however the attempt ended, and record where values stand."""
        if self._restoration is None:
            return
        held = self._restoration.end()
        if held:
            self._log.publish(held)
        self._log.masked_text = self._restoration.sent
        self._log.masks = self._restoration.masks(self._log.text)
