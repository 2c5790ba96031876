"""What is composed of companies, operators, credits and audit: what admins and operators do."""

from typing import Any, Final

from b2b_chat.kit.clock import Clock, utc_now
from b2b_chat.kit.keyed_hash import KeyedHash
from b2b_chat.product.audit.routes import CompanyAuditRoutes, OperatorAuditRoutes
from b2b_chat.product.audit.service import Audit
from b2b_chat.product.companies.invites import InviteOptions, Invites
from b2b_chat.product.companies.keys import CompanyKeys
from b2b_chat.product.companies.members import Members
from b2b_chat.product.companies.routes import (
    AcceptanceRoutes,
    ApiKeyRoutes,
    CompanyRoutes,
    InvitePageRoutes,
    InviteRoutes,
    MemberRoutes,
)
from b2b_chat.product.companies.service import Companies
from b2b_chat.product.limits.service import Limits
from b2b_chat.product.mail.service import Outbox
from b2b_chat.product.operators.routes import OperatorCompanyRoutes, OperatorHealthRoutes, OperatorUserRoutes
from b2b_chat.product.operators.service import Users
from b2b_chat.product.settings import ProductSettings
from b2b_chat.product.transactions import TransactionFactory

ADMINISTRATION_ROUTES: Final = (
    CompanyRoutes,
    MemberRoutes,
    InviteRoutes,
    AcceptanceRoutes,
    InvitePageRoutes,
    ApiKeyRoutes,
    CompanyAuditRoutes,
    OperatorCompanyRoutes,
    OperatorUserRoutes,
    OperatorAuditRoutes,
    OperatorHealthRoutes,
)


class Administration:
    """The services behind these routes, of one process."""

    def __init__(
        self,
        settings: ProductSettings,
        transaction: TransactionFactory,
        outbox: Outbox,
        limits: Limits,
        *,
        clock: Clock = utc_now,
    ) -> None:
        self.audit = Audit(transaction)
        self.services: dict[str, Any] = {
            "audit": self.audit,
            "companies": Companies(transaction, clock=clock),
            "members": Members(transaction, clock=clock),
            "invites": Invites(
                transaction,
                KeyedHash(settings.invite_token_secret, settings.invite_token_secret_previous, purpose="invite link"),
                outbox,
                limits,
                InviteOptions(
                    lifetime_seconds=settings.invite_lifetime_seconds,
                    max_open=settings.max_open_invites,
                    public_url=settings.public_url.rstrip("/"),
                ),
                clock=clock,
            ),
            "company_keys": CompanyKeys(transaction, clock=clock),
            "users": Users(transaction, clock=clock),
        }
        """By the names under which the routes ask for them."""
