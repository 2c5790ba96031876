"""The answer of an attempt as its readers get it: with values in place of their tokens."""

from collections.abc import Sequence

from msgspec import UNSET, structs

from b2b_chat.contract.content import Piece, SentCalls, ToolCallPiece
from b2b_chat.contract.schemas import ChatResult
from b2b_chat.product.chat.answer_log import AnswerLog
from b2b_chat.product.chat.failures import AnswerCut
from b2b_chat.product.masking.requests import MaskedRequest
from b2b_chat.product.masking.restoring import Restorer


class Telling:
    """Writes the answer of one attempt into its log. Each attempt has its own, because it may hold text back."""

    def __init__(self, log: AnswerLog, request: MaskedRequest) -> None:
        self._log = log
        self._request = request
        self._restoration = request.restoration()
        self._sent_calls = SentCalls()
        self._begun: set[int] = set()
        self._restorers: dict[int, Restorer] = {}
        """Of the arguments of each call."""

    def take(self, piece: Piece) -> None:
        """Take the next piece as it arrived over the border."""
        if piece.is_refusal and not self._log.pieces:
            self._log.is_refusal = True
        text = piece.text
        if text and self._restoration is not None:
            text = self._restoration.feed(text)
        if text:
            self._log.publish(text)
        if piece.calls:
            self._take_calls(piece.calls)

    def complete(self, result: ChatResult) -> None:
        """Take the rest of the whole answer, of which a part has been taken."""
        sent = self._log.text if self._restoration is None else self._restoration.sent
        if result.text != sent and result.text.startswith(sent):
            self.take(Piece(result.text[len(sent) :], is_refusal=result.refusal is True))
        self._take_calls(self._sent_calls.lacking(result.calls))

    def end(self) -> None:
        """Publish what was held back, however the attempt ended, and record where values stand."""
        held_calls = [
            ToolCallPiece(index, arguments=held)
            for index, restorer in self._restorers.items()
            if (held := restorer.end())
        ]
        if held_calls:
            self._log.publish_calls(held_calls)
        if self._restoration is None:
            return
        held = self._restoration.end()
        if held:
            self._log.publish(held)
        self._log.masked_text = self._restoration.sent
        self._log.masks = self._restoration.masks(self._log.text)

    def _take_calls(self, pieces: Sequence[ToolCallPiece]) -> None:
        if not pieces:
            return
        self._check(pieces)
        self._sent_calls.note(pieces)
        self._log.crossed_arguments += [piece.arguments for piece in pieces]
        if self._restoration is not None:
            pieces = [self._restored(piece) for piece in pieces]
        self._log.publish_calls([piece for piece in pieces if piece.arguments or piece.name is not UNSET])

    def _check(self, pieces: Sequence[ToolCallPiece]) -> None:
        """Refuse what is no beginning of a call.

        Raises:
            AnswerCut: A call begins without its id and name.
        """
        for piece in pieces:
            if piece.id and piece.name:
                self._begun.add(piece.index)
            elif piece.index not in self._begun:
                raise AnswerCut

    def _restored(self, piece: ToolCallPiece) -> ToolCallPiece:
        restorer = self._restorers.get(piece.index)
        if restorer is None:
            restorer = self._restorers[piece.index] = self._request.restorer(json=True)
        return structs.replace(piece, arguments=restorer.feed(piece.arguments))
