"""Every action that the audit log knows, in one place for those who search it."""

from enum import StrEnum


class Action(StrEnum):
    """What was done, as `thing.verb`."""

    INVITE_CREATE = "invite.create"
    INVITE_RESEND = "invite.resend"
    INVITE_REVOKE = "invite.revoke"
    INVITE_ACCEPT = "invite.accept"
    MEMBER_CHANGE_ROLE = "member.change_role"
    MEMBER_BLOCK = "member.block"
    MEMBER_UNBLOCK = "member.unblock"
    MEMBER_REMOVE = "member.remove"
    API_KEY_CREATE = "api_key.create"
    API_KEY_REVOKE = "api_key.revoke"
    COMPANY_CREATE = "company.create"
    COMPANY_BLOCK = "company.block"
    COMPANY_UNBLOCK = "company.unblock"
    CREDITS_ADD = "credits.add"
    CREDITS_ADJUST = "credits.adjust"
    USER_BLOCK = "user.block"
    USER_UNBLOCK = "user.unblock"
    OPERATOR_CREATE = "operator.create"
    OPERATOR_REMOVE = "operator.remove"
    OPERATOR_KEY_CREATE = "operator_key.create"
    OPERATOR_KEY_REVOKE = "operator_key.revoke"
    COMPANY_READ = "company.read"
    USER_READ = "user.read"
    LEDGER_READ = "ledger.read"
    AUDIT_READ = "audit.read"
    AUDIT_EXPORT = "audit.export"
