"""`/auth/second-factor`: your own second factor."""

from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from b2b_chat.kit.openapi import EmptyOperation
from b2b_chat.product.audit.actions import Action
from b2b_chat.product.errors import documents
from b2b_chat.product.guards import by_session
from b2b_chat.product.limits.service import RateLimited
from b2b_chat.product.second_factor.schemas import (
    RecoveryCodes,
    SecondFactorCode,
    SecondFactorSetUp,
    SecondFactorStatus,
)
from b2b_chat.product.second_factor.service import (
    SecondFactorNotNeeded,
    SecondFactorNotSetUp,
    SecondFactors,
    SecondFactorWrong,
)
from b2b_chat.product.viewer import StepUpRequired, Viewer


class SecondFactorRoutes(Controller):
    """Your second factor: codes of an authenticator app."""

    path = "/auth/second-factor"
    tags = ("auth",)
    guards = (by_session,)
    security = ({"SessionCookie": []},)
    opt = {"before_second_factor": True}  # noqa: RUF012 - Litestar reads it, nobody writes it

    @get("/", operation_id="getSecondFactor")
    async def status(
        self, viewer: NamedDependency[Viewer], second_factors: NamedDependency[SecondFactors]
    ) -> SecondFactorStatus:
        """Show whether a second factor is asked of you, whether you have one, and when this session proved it."""
        return await second_factors.status(viewer)

    @post(
        "/enrolment",
        operation_id="beginSecondFactor",
        responses=documents(SecondFactorNotNeeded, StepUpRequired),
    )
    async def begin(
        self, viewer: NamedDependency[Viewer], second_factors: NamedDependency[SecondFactors]
    ) -> SecondFactorSetUp:
        """Get a secret for an authenticator app. It counts once a code of it is confirmed.

        In place of one that you have, you get another only soon after you proved it.
        """
        return await second_factors.begin(viewer)

    @post(
        "/enrolment/confirmation",
        operation_id="confirmSecondFactor",
        status_code=200,
        opt={"audited": Action.SECOND_FACTOR_SET_UP},
        responses=documents(SecondFactorNotSetUp, SecondFactorWrong, RateLimited, StepUpRequired),
    )
    async def confirm(
        self,
        viewer: NamedDependency[Viewer],
        data: JSONBody[SecondFactorCode],
        second_factors: NamedDependency[SecondFactors],
    ) -> RecoveryCodes:
        """Let the new secret count, by a code from the app, and get the recovery codes. Older ones are void."""
        return await second_factors.confirm(viewer, data.code)

    @post(
        "/proof",
        operation_id="proveSecondFactor",
        status_code=204,
        operation_class=EmptyOperation,
        opt={"audited": Action.SECOND_FACTOR_PROVE},
        responses=documents(SecondFactorNotSetUp, SecondFactorWrong, RateLimited),
    )
    async def prove(
        self,
        viewer: NamedDependency[Viewer],
        data: JSONBody[SecondFactorCode],
        second_factors: NamedDependency[SecondFactors],
    ) -> None:
        """Prove your second factor in this session, by a code from the app or a recovery code. Each works once."""
        await second_factors.prove(viewer, data.code)
