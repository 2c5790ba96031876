"""Sending a message, following its answer, and stopping it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final, NamedTuple
from uuid import UUID

from b2b_chat.kit.database import new_id
from b2b_chat.kit.visible import is_blank
from b2b_chat.product.chat.admission import Admit, Headers, Tally
from b2b_chat.product.chat.answer_log import AnswerLog, MessageInProgress
from b2b_chat.product.chat.failures import AnswerFailed
from b2b_chat.product.chat.locate import Elsewhere, Failed, Here, Locator, Stored, empty_log, state_of
from b2b_chat.product.chat.orders import Order, order_of_message
from b2b_chat.product.chat.prompts import Prompts, TextTooLong
from b2b_chat.product.chat.refusals import AnswerNotFound, EmptyText, IdempotencyConflict, NothingToStop, ShuttingDown
from b2b_chat.product.chat.relay.following import Following
from b2b_chat.product.chat.repository import (
    AlreadySent,
    AttemptTaken,
    ConversationErased,
    Question,
    RunInProgress,
    RunRepository,
    Sent,
)
from b2b_chat.product.chat.run import Run
from b2b_chat.product.chat.runs import AlreadyRunning, Runs
from b2b_chat.product.chat.schemas import AnswerState, ChatAnswer, ChatSend
from b2b_chat.product.conversations.service import ConversationBusy, ConversationNotFound
from b2b_chat.product.refusals import Refusal
from b2b_chat.product.settings import ProductSettings
from b2b_chat.product.viewer import Viewer

_MAX_LOOKS: Final = 3
"""How often a message is looked for that moves while it is being found."""


class Accepted(NamedTuple):
    """A message that is being answered or has been, and the headers of the limits where it was counted."""

    log: AnswerLog
    headers: Headers


class Chat:
    """Sending messages to the assistant."""

    def __init__(
        self,
        repository: RunRepository,
        runs: Runs,
        prompts: Prompts,
        settings: ProductSettings,
        elsewhere: Following | None = None,
    ) -> None:
        self._is_draining = False
        self._elsewhere, self._repository, self._runs = elsewhere, repository, runs
        self._locator, self._prompts = Locator(runs, elsewhere), prompts
        self._max_message_chars = settings.max_message_chars

    async def send(self, viewer: Viewer, message: ChatSend, *, stream: bool, admit: Admit) -> Accepted:
        """Have a message answered, and return the log of its answer, whether begun now or before.

        The same client message id and text give the same ids, and cost once: a stored answer is returned, a running
        one joined, a failed one tried anew.

        `admit` counts each call to the model against the rate limits: a new message, and another try of a failed one.
        An answer that is stored or being written is never limited.

        Raises:
            RateLimited: The viewer, their company or their address sends too many.
            EmptyText, TextTooLong: The text cannot be a message.
            PersonalDataBlocked: The text has data of a kind that the company does not let be sent.
            MaskingUnavailable: The texts cannot be looked through.
            ShuttingDown: The process is about to end.
            IdempotencyConflict: The id was used for another message.
            ConversationNotFound: The conversation is not the viewer's.
            ConversationBusy: Its last message is still being answered.
            MessageInProgress: The same message is being answered by another process, which cannot be followed.
            InsufficientCredits, CreditsHeld: Too little is left to pay with, or is available now.
            TooManyOpenAnswers: As many of the viewer's answers are being written as may be.
            CompanyBusy: As many of the company's are, while others want some.
            GatewayUnavailable: As many are as the connections to the gateway allow.
        """
        return await self._send(viewer, order_of_message(viewer.company_id, message), stream=stream, admit=admit)

    async def send_call(self, viewer: Viewer, order: Order, *, stream: bool, admit: Admit) -> Accepted:
        """Have a call answered that brings its own context, options and tools (`orders.order_of_call`), as `send` does.

        Raises:
            UnmaskableContent: It has images, and the rules hide what they may show; or JSON that is nested too deeply.
            OptionsUnsupported: The gateway is too old for it. Nothing is stored or held.
            Refusal: As `send`.
        """
        return await self._send(viewer, order, stream=stream, admit=admit)

    async def _send(self, viewer: Viewer, order: Order, *, stream: bool, admit: Admit) -> Accepted:
        if self._is_draining:
            raise ShuttingDown
        tally = Tally(admit)
        # Nearly all messages are new, and the statement that stores them notices those that are not. So nothing is
        # looked up beforehand; but whatever a message is refused for, it may have been sent before.
        try:
            headers = await tally.count()
            if order.call is None:
                self._check_text(order.text)
            return Accepted(await self._send_new(viewer, order, stream=stream), headers)
        except (AlreadySent, Refusal):
            sent = await self._repository.find_sent(viewer.user_id, viewer.sender_id, order.client_message_id)
            if sent is None:
                raise
        try:
            if sent.fingerprint != order.fingerprint:
                raise IdempotencyConflict
            return await self._send_again(viewer, order, sent, stream=stream, tally=tally)
        finally:
            await tally.take_back()

    async def follow(self, viewer: Viewer, assistant_message_id: UUID) -> AnswerLog:
        """Return the log of one of the viewer's answers, whether it is being written or was stored long ago.

        Raises:
            AnswerNotFound: It is not the viewer's.
            MessageInProgress: Another process is writing it, or was until it ended, and it cannot be followed.
        """

        async def read() -> Sent:
            sent = await self._repository.find_answer(viewer.company_id, viewer.user_id, assistant_message_id)
            if sent is None:
                raise AnswerNotFound
            return sent

        return (await self._locator.locate(await read(), read)).log

    async def answer(self, viewer: Viewer, assistant_message_id: UUID) -> AnswerState:
        """Return one of the viewer's answers as it is now.

        Raises:
            AnswerNotFound: It is not the viewer's.
        """
        sent = await self._repository.find_answer(viewer.company_id, viewer.user_id, assistant_message_id)
        if sent is None:
            raise AnswerNotFound
        return state_of(sent, self._runs.find(assistant_message_id))

    async def stop(self, viewer: Viewer, assistant_message_id: UUID) -> ChatAnswer:
        """End an answer that is being written, and keep and charge what there is of it; else return how it ended.

        Raises:
            AnswerNotFound: It is not the viewer's.
            MessageInProgress: Another process is writing it, and cannot be reached.
            NothingToStop: It has failed.
        """
        log = await self.follow(viewer, assistant_message_id)
        log.attach()
        try:
            run = self._runs.find(assistant_message_id)
            if run is not None and run.log is log:
                run.stop()
            elif self._elsewhere is not None and log.outcome is None:
                await self._elsewhere.stop(log)
            return await log.ended()
        except AnswerFailed:
            raise NothingToStop from None
        finally:
            log.detach()

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

    async def _send_new(self, viewer: Viewer, order: Order, *, stream: bool) -> AnswerLog:
        prompt = await self._prompts.prompt_of(viewer, order)
        log = AnswerLog(
            company_id=viewer.company_id,
            conversation_id=order.conversation_id or new_id(),
            user_message_id=new_id(),
            assistant_message_id=new_id(),
        )
        log.wanted_tokens = prompt.max_completion_tokens
        question = Question(
            company_id=viewer.company_id,
            user_id=viewer.user_id,
            sender_id=viewer.sender_id,
            conversation_id=log.conversation_id,
            title=order.title,
            user_message_id=log.user_message_id,
            assistant_message_id=log.assistant_message_id,
            text=order.text,
            tokens=prompt.question_tokens if order.call is None else None,  # what is stored of a call is not its text
            client_message_id=order.client_message_id,
            fingerprint=order.fingerprint,
            masks=prompt.masks,
            origin=order.origin,
        )
        with self._reserved(log, order) as run:
            held = await self._repository.admit(question, self._prompts.bounds(prompt))
        self._runs.start(run, self._prompts.request(viewer, log, prompt, held, stream=stream))
        return log

    async def _send_again(self, viewer: Viewer, order: Order, sent: Sent, *, stream: bool, tally: Tally) -> Accepted:
        """Return the log of a message that was sent before, wherever it is; a failed one is tried anew."""

        async def read() -> Sent:
            return await self._repository.find_sent(viewer.user_id, viewer.sender_id, order.client_message_id) or sent

        for _ in range(_MAX_LOOKS):
            match await self._locator.locate(sent, read):
                case Here(run) if run.is_given_up:
                    with suppress(AnswerFailed):
                        await run.log.ended()
                case Here(run):
                    return Accepted(run.log, {})
                case Stored(log):
                    return Accepted(log, {})
                case Elsewhere(log):
                    if self._elsewhere is not None and await self._elsewhere.is_joined(log):
                        return Accepted(log, {})
                case Failed(sent):
                    with suppress(AlreadyRunning, AttemptTaken):
                        return await self._retry(viewer, order, sent, stream=stream, tally=tally)
            # It has just ended, or was tried anew by another request: now the database or the runs know.
            sent = await read()
        raise MessageInProgress

    async def _retry(self, viewer: Viewer, order: Order, sent: Sent, *, stream: bool, tally: Tally) -> Accepted:
        """Try a failed answer anew, under the ids that it had.

        Raises:
            AlreadyRunning, AttemptTaken: Another request does so.
        """
        log = empty_log(sent, attempt=sent.attempt + 1)
        with self._reserved(log, order) as run:
            headers = await tally.spend()
            prompt = await self._prompts.prompt_of(viewer, order, sent_before=sent)
            log.wanted_tokens = prompt.max_completion_tokens
            log.attempt, held = await self._repository.readmit(sent, viewer.user_id, self._prompts.bounds(prompt))
        self._runs.start(run, self._prompts.request(viewer, log, prompt, held, stream=stream))
        return Accepted(log, headers)

    @contextmanager
    def _reserved(self, log: AnswerLog, order: Order) -> Iterator[Run]:
        """Make a run known while it is admitted, and forget it when it is not."""
        run = self._runs.reserve(log, ends_unread=order.ends_unread)
        try:
            yield run
        except RunInProgress:
            self._runs.discard(run)
            raise ConversationBusy from None
        except ConversationErased:
            self._runs.discard(run)
            raise ConversationNotFound from None
        except BaseException:
            self._runs.discard(run)
            raise

    def _check_text(self, text: str) -> None:
        if is_blank(text):
            raise EmptyText
        if len(text) > self._max_message_chars:
            raise TextTooLong(f"The text is longer than {self._max_message_chars} characters.")
