"""What readers are told of an attempt: its text as it comes, with values in the place of their tokens."""

from b2b_chat.product.chat.answer_log import AnswerLog
from b2b_chat.product.masking.requests import MaskedRequest


class Telling:
    """Puts the text of one attempt into its log. Each attempt has its own: what one held back is none of the next's."""

    def __init__(self, log: AnswerLog, request: MaskedRequest) -> None:
        self._log = log
        self._restoration = request.restoration()

    def take(self, text: str) -> None:
        """Take the next piece as it came over the border."""
        if self._restoration is not None:
            text = self._restoration.feed(text)
        if text:
            self._log.publish(text)

    def complete(self, text: str) -> None:
        """Take what is missing of the whole text: the result is the whole answer, whatever part of it came before."""
        sent = self._log.text if self._restoration is None else self._restoration.sent
        if text != sent and text.startswith(sent):
            self.take(text[len(sent) :])

    def end(self) -> None:
        """Tell what was held back, however the attempt ended, and note where values stand."""
        if self._restoration is None:
            return
        held = self._restoration.end()
        if held:
            self._log.publish(held)
        self._log.masked_text = self._restoration.sent
        self._log.masks = self._restoration.masks(self._log.text)
