"""What every refusal of product_api has in common: a code that clients may rely on."""

from typing import ClassVar, Literal, TypeAlias

from b2b_chat.kit import errors

Code: TypeAlias = Literal[
    "already_invited",
    "already_member",
    "answer_cut",
    "answer_empty",
    "answer_not_found",
    "api_key_not_found",
    "asset_not_found",
    "balance_out_of_range",
    "body_too_large",
    "client_disconnected",
    "company_blocked",
    "company_not_found",
    "content_filtered",
    "context_length_exceeded",
    "conversation_busy",
    "conversation_not_found",
    "credits_held",
    "cross_site_request",
    "database_unavailable",
    "empty_text",
    "external_id_conflict",
    "gateway_refused",
    "gateway_timeout",
    "gateway_unavailable",
    "idempotency_conflict",
    "insufficient_credits",
    "internal_error",
    "interrupted",
    "invalid_proof",
    "invalid_request",
    "invalid_unicode",
    "invite_closed",
    "invite_not_found",
    "last_owner",
    "ledger_entry_not_found",
    "limits_unavailable",
    "masking_unavailable",
    "member_not_found",
    "message_in_progress",
    "message_rejected",
    "method_not_allowed",
    "model_unavailable",
    "no_company",
    "not_found",
    "not_ready",
    "nothing_to_stop",
    "nul_character",
    "operator_not_found",
    "operator_required",
    "personal_data_blocked",
    "rate_limited",
    "role_too_high_for_key",
    "role_too_low",
    "scope_missing",
    "session_not_found",
    "session_required",
    "shutting_down",
    "text_too_long",
    "too_deeply_nested",
    "too_many_invites",
    "unauthenticated",
    "unsupported_media_type",
    "user_blocked",
    "user_not_found",
]
"""The code of a refusal. A misspelt one is an error of types."""


class Refusal(errors.Refusal):
    """An expected failure of product_api."""

    code: ClassVar[Code]
