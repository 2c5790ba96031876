"""Sending messages, and reading what was said."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import TypeAlias
from uuid import UUID

import msgspec
from msgspec import Struct

from b2b_chat.contract.schemas import MODEL_GPT_5_2, ChatMessage, ChatMetadata, ChatRequest
from b2b_chat.kit.database import new_id
from b2b_chat.kit.errors import Refusal
from b2b_chat.product.chat.conversations import ConversationBusy, ConversationNotFound
from b2b_chat.product.chat.failures import stored_failure
from b2b_chat.product.chat.models import MessageStatus
from b2b_chat.product.chat.relay.following import Following
from b2b_chat.product.chat.repository import (
    AlreadySent,
    ConversationErased,
    Question,
    RunInProgress,
    RunRepository,
    Sent,
)
from b2b_chat.product.chat.run import MessageInProgress, Run
from b2b_chat.product.chat.runs import Runs
from b2b_chat.product.chat.schemas import AnswerUsage, ChatAnswer, ChatSend
from b2b_chat.product.credits.pricing import Prices, max_prompt_tokens
from b2b_chat.product.credits.service import InsufficientCredits
from b2b_chat.product.gateway_client import AnswerFailed
from b2b_chat.product.viewer import Viewer

TITLE_CHARACTERS = 80


class IdempotencyConflict(Refusal):
    """The client message id names another message already."""

    code, status = "idempotency_conflict", 409
    message = "This client_message_id was used for a different message. Choose a new one."


class AnswerNotFound(Refusal):
    """No such answer, or not the viewer's."""

    code, status = "answer_not_found", 404
    message = "You have no answer with this id."


class NothingToStop(Refusal):
    """The answer has failed already."""

    code, status = "nothing_to_stop", 409
    message = "This answer has failed, so there is nothing to stop. Send the message again to retry."


class ShuttingDown(Refusal):
    """The process is about to end."""

    code, status = "shutting_down", 503
    message = "The server is restarting. Send the message again in a moment."

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": "2"})


class EmptyText(Refusal):
    """Nothing but white space."""

    code, status = "empty_text", 422
    message = "The text is empty."


class TextTooLong(Refusal):
    """More characters than a message may have."""

    code, status = "text_too_long", 422
    message = "The text is too long."


Admit: TypeAlias = Callable[[], Awaitable[object]]
"""Counts a new message, or refuses it with `RateLimited`."""


class ChatLimits(Struct, frozen=True):
    """How much may be said at once."""

    context_messages: int
    message_chars: int
    max_completion_tokens: int
    min_completion_tokens: int


class Chat:
    """Sending messages to the assistant."""

    def __init__(
        self,
        repository: RunRepository,
        runs: Runs,
        prices: Prices,
        limits: ChatLimits,
        elsewhere: Following | None = None,
    ) -> None:
        self._is_draining = False
        self._elsewhere = elsewhere
        self._repository = repository
        self._runs = runs
        self._prices = prices
        self._limits = limits

    async def send(self, viewer: Viewer, message: ChatSend, *, stream: bool, admit: Admit) -> Run:
        """Have a message answered, and return the run that answers it, whether begun now or before.

        The same client message id and text give the same ids, and cost once: a stored answer is returned, a running
        one joined, a failed one tried anew.

        `admit` counts a new message against the rate limits; one that was sent before is never limited.

        Raises:
            RateLimited: The viewer, his company or his address sends too many.
            EmptyText, TextTooLong: The text cannot be a message.
            ShuttingDown: The process is about to end.
            IdempotencyConflict: The id was used for another message.
            ConversationNotFound: The conversation is not the viewer's.
            ConversationBusy: Its last message is still being answered.
            MessageInProgress: The same message is being answered by another process, which cannot be followed.
            InsufficientCredits: Nothing is left to pay with.
        """
        if self._is_draining:
            raise ShuttingDown
        fingerprint = _fingerprint(viewer.company_id, message)
        sent = await self._repository.find_sent(viewer.user_id, message.client_message_id)
        if sent is None:
            await admit()
            self._check_text(message.text)
            try:
                return await self._send_new(viewer, message, fingerprint, stream=stream)
            except (AlreadySent, ConversationBusy):
                # What keeps the conversation busy may be this message, sent twice at once.
                sent = await self._repository.find_sent(viewer.user_id, message.client_message_id)
                if sent is None:
                    raise
        if sent.fingerprint != fingerprint:
            raise IdempotencyConflict
        try:
            return await self._send_again(viewer, message, sent, stream=stream)
        except MessageInProgress:
            # The answer may have ended between the look into the database and the one into the runs; look again.
            sent = await self._repository.find_sent(viewer.user_id, message.client_message_id) or sent
        try:
            return await self._send_again(viewer, message, sent, stream=stream)
        except MessageInProgress:
            run = self._follow_elsewhere(viewer, sent)
            if self._elsewhere is not None and await self._elsewhere.is_joined(run):
                return run
        # It has ended, or was just being given up there: now the database knows.
        sent = await self._repository.find_sent(viewer.user_id, message.client_message_id) or sent
        return await self._send_again(viewer, message, sent, stream=stream)

    async def follow(self, viewer: Viewer, assistant_message_id: UUID) -> Run:
        """The run of one of the viewer's answers, whether it is being written or was stored long ago.

        Raises:
            AnswerNotFound: It is not the viewer's.
            MessageInProgress: Another process is writing it, or was until it ended, and it cannot be followed.
        """
        sent = await self._find_answer(viewer, assistant_message_id)
        running = self._runs.find(assistant_message_id)
        if running is not None:
            return running
        if sent.status in {MessageStatus.PENDING, MessageStatus.STREAMING}:
            # It may have ended between the look into the database and the one into the runs; look again.
            sent = await self._find_answer(viewer, assistant_message_id)
        if sent.status in {MessageStatus.PENDING, MessageStatus.STREAMING}:
            return self._follow_elsewhere(viewer, sent)
        return _told_run(viewer, sent)

    async def stop(self, viewer: Viewer, assistant_message_id: UUID) -> ChatAnswer:
        """End an answer that is being written, and keep and charge what there is of it; else tell how it ended.

        Raises:
            AnswerNotFound: It is not the viewer's.
            MessageInProgress: Another process is writing it, and cannot be reached.
            NothingToStop: It has failed.
        """
        run = await self.follow(viewer, assistant_message_id)
        run.attach()
        try:
            if self._runs.find(assistant_message_id) is run:
                self._runs.stop(assistant_message_id)
            elif self._elsewhere is not None and run.outcome is None:
                await self._elsewhere.stop(run)
            return await run.ended()
        except AnswerFailed:
            raise NothingToStop from None
        finally:
            run.detach()

    @property
    def is_draining(self) -> bool:
        """Whether no new messages are taken."""
        return self._is_draining

    async def drain(self, grace_seconds: float) -> None:
        """Take no new messages, let the running answers finish for a while, and interrupt the rest."""
        self._is_draining = True
        draining = [self._runs.drain(grace_seconds)]
        if self._elsewhere is not None:
            draining.append(self._elsewhere.drain(grace_seconds))
        await asyncio.gather(*draining)

    def _follow_elsewhere(self, viewer: Viewer, sent: Sent) -> Run:
        """The run of an answer that another process writes."""
        if self._elsewhere is None:
            raise MessageInProgress

        async def look() -> Run:
            return _told_run(viewer, await self._find_answer(viewer, sent.assistant_message_id))

        return self._elsewhere.follow(_run_of(viewer, sent), look)

    async def _find_answer(self, viewer: Viewer, assistant_message_id: UUID) -> Sent:
        sent = await self._repository.find_answer(viewer.company_id, viewer.user_id, assistant_message_id)
        if sent is None:
            raise AnswerNotFound
        return sent

    async def _send_new(self, viewer: Viewer, message: ChatSend, fingerprint: bytes, *, stream: bool) -> Run:
        context: list[ChatMessage] = []
        if message.conversation_id is not None:
            context = await self._context(viewer, message.conversation_id, before=None)
        run = Run(
            company_id=viewer.company_id,
            conversation_id=message.conversation_id or new_id(),
            user_message_id=new_id(),
            assistant_message_id=new_id(),
        )
        question = Question(
            company_id=viewer.company_id,
            user_id=viewer.user_id,
            conversation_id=run.conversation_id,
            title=" ".join(message.text.split())[:TITLE_CHARACTERS],
            user_message_id=run.user_message_id,
            assistant_message_id=run.assistant_message_id,
            text=message.text,
            client_message_id=message.client_message_id,
            fingerprint=fingerprint,
        )
        messages = [*context, ChatMessage("user", message.text)]
        with self._reserved(run):
            held = await self._repository.admit(question, self._max_cost(messages))
            if held is None:
                raise InsufficientCredits
        self._runs.start(run, self._request(viewer, run, messages, held, stream=stream))
        return run

    async def _send_again(self, viewer: Viewer, message: ChatSend, sent: Sent, *, stream: bool) -> Run:
        if sent.status in {MessageStatus.COMPLETED, MessageStatus.STOPPED}:
            return _told_run(viewer, sent)
        running = await self._runs.join(sent.assistant_message_id)
        if running is not None:
            return running
        if sent.status != MessageStatus.ERROR:
            raise MessageInProgress
        return await self._retry(viewer, message, sent, stream=stream)

    async def _retry(self, viewer: Viewer, message: ChatSend, sent: Sent, *, stream: bool) -> Run:
        """Try a failed answer anew, under the ids that it had."""
        run = _run_of(viewer, sent)
        run.attempt += 1
        with self._reserved(run):
            context = await self._context(viewer, sent.conversation_id, before=sent.user_message_id)
            messages = [*context, ChatMessage("user", message.text)]
            reopened = await self._repository.readmit(viewer.company_id, sent, self._max_cost(messages))
            if reopened is None:
                raise MessageInProgress
            run.attempt, held = reopened
            if held is None:
                raise InsufficientCredits
        self._runs.start(run, self._request(viewer, run, messages, held, stream=stream))
        return run

    @contextmanager
    def _reserved(self, run: Run) -> Iterator[None]:
        """Make a run known while it is admitted, and forget it when it is not."""
        self._runs.reserve(run)
        try:
            yield
        except RunInProgress:
            self._runs.discard(run)
            raise ConversationBusy from None
        except ConversationErased:
            self._runs.discard(run)
            raise ConversationNotFound from None
        except BaseException:
            self._runs.discard(run)
            raise

    async def _context(self, viewer: Viewer, conversation_id: UUID, *, before: UUID | None) -> list[ChatMessage]:
        context = await self._repository.find_context(
            viewer.company_id, viewer.user_id, conversation_id, before=before, limit=self._limits.context_messages
        )
        if context is None:
            raise ConversationNotFound
        return context

    def _max_cost(self, messages: list[ChatMessage]) -> Decimal:
        return self._prices.cost(max_prompt_tokens(messages), self._limits.max_completion_tokens)

    def _request(
        self, viewer: Viewer, run: Run, messages: list[ChatMessage], held_credits: Decimal, *, stream: bool
    ) -> ChatRequest:
        affordable = self._prices.affordable_completion_tokens(held_credits, max_prompt_tokens(messages))
        return ChatRequest(
            model=MODEL_GPT_5_2,
            messages=messages,
            stream=stream,
            max_completion_tokens=max(
                self._limits.min_completion_tokens, min(affordable, self._limits.max_completion_tokens)
            ),
            metadata=ChatMetadata(viewer.company_id, viewer.user_id, run.conversation_id, run.user_message_id),
        )

    def _check_text(self, text: str) -> None:
        if not text.strip():
            raise EmptyText
        if len(text) > self._limits.message_chars:
            raise TextTooLong(f"The text is longer than {self._limits.message_chars} characters.")


def _fingerprint(company_id: UUID, message: ChatSend) -> bytes:
    """What makes two sends the same: who pays, where it goes and what it says, not how the answer is fetched."""
    asked = (str(company_id), str(message.conversation_id or ""), message.text)
    return hashlib.sha256("\0".join(asked).encode()).digest()


def _run_of(viewer: Viewer, sent: Sent) -> Run:
    run = Run(
        company_id=viewer.company_id,
        conversation_id=sent.conversation_id,
        user_message_id=sent.user_message_id,
        assistant_message_id=sent.assistant_message_id,
    )
    run.attempt = sent.attempt
    return run


def _told_run(viewer: Viewer, sent: Sent) -> Run:
    """What the database tells of a run; one that has ended is as if it had been followed here all the time."""
    run = _run_of(viewer, sent)
    if sent.status not in {MessageStatus.PENDING, MessageStatus.STREAMING}:
        if sent.text:
            run.publish(sent.text)
        run.finish(stored_failure(sent.error_code) if sent.status == MessageStatus.ERROR else _stored_answer(sent))
    return run


def _stored_answer(sent: Sent) -> ChatAnswer:
    return ChatAnswer(
        conversation_id=sent.conversation_id,
        user_message_id=sent.user_message_id,
        assistant_message_id=sent.assistant_message_id,
        status="stopped" if sent.status == MessageStatus.STOPPED else "completed",
        text=sent.text,
        usage=msgspec.json.decode(sent.usage_json or b"{}", type=AnswerUsage),
        charge_credits=sent.charge_credits or Decimal(0),
        balance_credits=sent.balance_credits,
    )
