"""Actions against another operator: they need a second operator who does the same, or the shell."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from b2b_chat.product.audit.actions import Action
from b2b_chat.product.audit.actors import Actor
from b2b_chat.product.operators.repository import OperatorRepository
from b2b_chat.product.refusals import Refusal
from b2b_chat.product.transactions import Transaction

APPROVAL_LASTS: Final = timedelta(hours=1)


class SecondOperatorRequired(Refusal):
    """One operator alone would act on another."""

    code, status = "second_operator_required", 403
    message = (
        "This concerns another operator and needs two. Your request is kept for an hour: a second operator must send "
        "the same request, or someone must run the command on the server."
    )


async def is_approved(tx: Transaction, actor: Actor, action: Action, target_id: UUID, now: datetime) -> bool:
    """Record an operator's request for an action; return whether two operators, not the target, have requested it.

    A shell on the server needs no one else. The caller commits in either case, and refuses after that.
    """
    if actor.kind != "operator" or actor.user_id is None:
        return actor.kind == "command_line"
    operators = tx[OperatorRepository]
    wanting = await operators.list_approving(action, target_id, since=now - APPROVAL_LASTS)
    if wanting - {actor.user_id, target_id}:
        await operators.forget_approvals(action, target_id)
        return True
    await operators.approve(action, target_id, actor.user_id, now)
    return False
