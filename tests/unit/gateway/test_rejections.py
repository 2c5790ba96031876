"""Whose fault an error is, wherever it says so."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2b_chat.contract.errors import FAILURES, Code
from b2b_chat.gateway.rejections import code_of_error, code_of_rejection, has_error

TPM = (
    "Request too large for gpt-5.2 in organization org-x on tokens per min (TPM): Limit 30000, Requested 31538. The "
    "input or output tokens must be reduced in order to run successfully."
)
RPM = (
    "Rate limit reached for gpt-5.2 in organization org-x on requests per min (RPM): Limit 500, Used 500, Requested 1. "
    "Please try again in 120ms. You can increase your rate limit by adding a payment method to your account at "
    "https://platform.openai.com/account/billing."
)
USED_UP = "You exceeded your current quota, please check your plan and billing details."
TOO_LONG = "This model's maximum context length is 128000 tokens. However, your messages resulted in 128007 tokens."


def error(code: Any = None, kind: Any = "invalid_request_error", message: Any = "no", **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code, **more}}


BY_STATUS: list[tuple[int, Code]] = [
    (302, "upstream_not_found"),
    (400, "upstream_rejected"),
    (401, "upstream_authentication"),
    (402, "upstream_quota_exhausted"),
    (403, "upstream_permission"),
    (404, "upstream_not_found"),
    (405, "upstream_not_found"),
    (408, "upstream_timeout"),
    (409, "upstream_conflict"),
    (413, "upstream_payload_too_large"),
    (418, "upstream_rejected"),
    (422, "upstream_unprocessable"),
    (429, "upstream_rate_limited"),
    (451, "upstream_permission"),
    (500, "upstream_failed"),
    (501, "upstream_failed"),
    (502, "upstream_failed"),
    (503, "upstream_unavailable"),
    (504, "upstream_timeout"),
    (524, "upstream_failed"),
    (529, "upstream_unavailable"),
    (599, "upstream_failed"),
]


@pytest.mark.parametrize(("status", "code"), BY_STATUS)
@pytest.mark.parametrize("body", [b"", b"no", b"{}", b"null", b"[]", b"7", b'{"error":null}', b"\xff\xfe", b"{" * 9999])
def test_a_status_alone_is_enough(status: int, code: Code, body: bytes) -> None:
    assert code_of_rejection(status, body) == code


@pytest.mark.parametrize(("status", "code"), BY_STATUS)
def test_a_page_of_a_proxy_is_not_read(status: int, code: Code) -> None:
    page = b"\n<html><body>content policy, insufficient credits, invalid api key</body></html>"
    assert code_of_rejection(status, page) == code


PERSONS: list[tuple[int, dict[str, Any], Code]] = [
    (400, error("context_length_exceeded"), "context_length_exceeded"),
    (400, error("string_above_max_length"), "context_length_exceeded"),
    (400, error("array_above_max_length"), "context_length_exceeded"),
    (400, error(None, message=TOO_LONG), "context_length_exceeded"),
    (500, error(None, "server_error", TOO_LONG), "context_length_exceeded"),
    (400, {"object": "error", "message": TOO_LONG, "type": "BadRequestError", "code": 400}, "context_length_exceeded"),
    (400, error(None, message="prompt is too long: 210000 tokens > 200000 maximum"), "context_length_exceeded"),
    (400, error(None, message="The input exceeds the model's context length"), "context_length_exceeded"),
    (429, error("rate_limit_exceeded", "tokens", TPM), "context_length_exceeded"),
    (413, error("rate_limit_exceeded", "tokens", TPM), "context_length_exceeded"),
    (429, error(None, "tokens", "Limit: 6000, Requested: 6001"), "context_length_exceeded"),
    (413, error("tokens_limit_reached", None), "context_length_exceeded"),
    (413, {"type": "error", "error": {"type": "request_too_large", "message": "no"}}, "context_length_exceeded"),
    (400, error("invalid_prompt"), "content_filtered"),
    (400, error("content_filter", None), "content_filtered"),
    (400, error("content_policy_violation"), "content_filtered"),
    (400, error(None, None, innererror={"code": "ResponsibleAIPolicyViolation"}), "content_filtered"),
    (400, error("moderation_blocked"), "content_filtered"),
    (403, error(403, None, "Your input was flagged", metadata={"reasons": ["violence"]}), "content_filtered"),
    (403, error(403, None, "Your input was flagged by moderation"), "content_filtered"),
    (
        400,
        error(None, message="Invalid prompt: potentially violating our usage policy."),
        "content_filtered",
    ),
    (400, error("data_inspection_failed"), "content_filtered"),
    (400, {"detail": "The request was rejected by the safety system."}, "content_filtered"),
]
ACCOUNTS: list[tuple[int, Any, Code]] = [
    (402, error("unknown_error", message="Insufficient Balance"), "upstream_quota_exhausted"),
    (400, error("unknown_error", message="Insufficient Balance"), "upstream_quota_exhausted"),
    (429, error("insufficient_quota", "insufficient_quota", USED_UP), "upstream_quota_exhausted"),
    (429, error(None, "insufficient_quota"), "upstream_quota_exhausted"),
    (429, error(None, None, USED_UP), "upstream_quota_exhausted"),
    (429, error("billing_hard_limit_reached"), "upstream_quota_exhausted"),
    (403, error("billing_not_active"), "upstream_quota_exhausted"),
    (400, error(None, message="Your credit balance is too low to access the API."), "upstream_quota_exhausted"),
    (500, error(402, message="no"), "upstream_quota_exhausted"),
    (500, error("402", message="no"), "upstream_quota_exhausted"),
    (400, {"code": 402, "message": "no"}, "upstream_quota_exhausted"),
    (400, {"detail": "Payment Required"}, "upstream_quota_exhausted"),
    (400, {"detail": {"code": "insufficient_balance"}}, "upstream_quota_exhausted"),
    (400, {"error": "insufficient_quota"}, "upstream_quota_exhausted"),
    (400, {"error": {"error": {"code": "insufficient_quota"}}}, "upstream_quota_exhausted"),
    (400, "Not enough credits.", "upstream_quota_exhausted"),
    (401, error("invalid_api_key"), "upstream_authentication"),
    (400, error(None, message="Incorrect API key provided: sk-…"), "upstream_authentication"),
    (400, [{"error": {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT"}}],
     "upstream_authentication"),
    (401, {"detail": "Not authenticated"}, "upstream_authentication"),
    (400, {"error": "Unauthorized"}, "upstream_authentication"),
    (403, {"type": "error", "error": {"type": "authentication_error"}}, "upstream_authentication"),
    (403, error("account_deactivated"), "upstream_authentication"),
    (401, error(None, message="Your organization org-x has been disabled."), "upstream_authentication"),
    (403, error("unsupported_country_region_territory", "request_forbidden"), "upstream_permission"),
    (400, error(None, message="User location is not supported for the API use."), "upstream_permission"),
    (400, error(None, message="Country, region, or territory not supported"), "upstream_permission"),
    (500, error("permission_denied"), "upstream_permission"),
    (404, error("model_not_found"), "upstream_not_found"),
    (400, error(None, message="The model `gpt-5.2` does not exist or you do not have access to it."),
     "upstream_not_found"),
    (404, error("DeploymentNotFound", None), "upstream_not_found"),
    (400, {"message": "Unknown model gpt-5.2", "code": "bad"}, "upstream_not_found"),
    (400, {"errors": [{"message": "no such model"}]}, "upstream_not_found"),
]  # fmt: skip
PASSING: list[tuple[int | None, Any, Code]] = [
    (429, error("rate_limit_exceeded", "requests", RPM), "upstream_rate_limited"),
    (429, error(None, "tokens", "Limit 30000, Used 29000, Requested 2000."), "upstream_rate_limited"),
    (400, error("rate_limit_exceeded"), "upstream_rate_limited"),
    (None, error("rate_limit_exceeded"), "upstream_rate_limited"),
    (None, error("RESOURCE_EXHAUSTED"), "upstream_rate_limited"),
    (None, error(429), "upstream_rate_limited"),
    (408, error(None, "server_error", "The request timed out. Please try again."), "upstream_timeout"),
    (None, error(None, "server_error"), "upstream_failed"),
    (None, error(None, "service_unavailable_error"), "upstream_unavailable"),
    (None, {"type": "error", "error": {"type": "overloaded_error"}}, "upstream_unavailable"),
    (None, error("timeout"), "upstream_timeout"),
    (None, error(503), "upstream_unavailable"),
    (None, error(503.0), "upstream_unavailable"),
    (200, {"code": 500, "message": "no"}, "upstream_failed"),
    (None, {"error": "no"}, "upstream_failed"),
    (None, {"error": True}, "upstream_failed"),
    (503, error(None, "server_error"), "upstream_unavailable"),
    (429, error(500), "upstream_rate_limited"),
    (None, error(99999999999999999999), "upstream_failed"),
    (None, error("9" * 5000), "upstream_failed"),
]


@pytest.mark.parametrize(("status", "body", "code"), [*PERSONS, *ACCOUNTS, *PASSING])
def test_every_error_has_a_name(status: int | None, body: Any, code: Code) -> None:
    assert code_of_error(status, body) == code
    assert code_of_rejection(status, json.dumps(body).encode()) == code
    assert code in FAILURES


@pytest.mark.parametrize(("status", "body", "code"), [*PERSONS, *ACCOUNTS, *PASSING])
def test_an_error_is_an_error_with_a_good_status_too(status: int | None, body: Any, code: Code) -> None:
    assert has_error(body) is not isinstance(body, str)
    # Only where the status is all there is to go by does it matter that there is none.
    assert code_of_error(None, body) in {code, "upstream_failed", "upstream_rate_limited", "upstream_rejected",
                                         "upstream_permission"} or status == 408  # fmt: skip


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"choices": [{"delta": {}}], "message": "a", "code": 400, "detail": "b"},
        {"error": None},
        {"error": {}},
        {"error": ""},
        {"error": False},
        {"error": {"message": "", "code": None}},
        {"type": "keepalive", "sequence_number": 3},
        {"code": 0, "message": "ok"},
        {"code": 200, "msg": "success"},
        {"code": "200", "msg": "success"},
        {"message": "working on it"},
        {"usage": {"prompt_tokens": 1}},
        [],
        ["busy"],
        [{}],
        "error",
        None,
        7,
    ],
)
def test_what_reports_no_error_is_none(document: Any) -> None:
    assert not has_error(document)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(
            st.sampled_from(["error", "code", "type", "message", "detail", "status", "x"]), inner, max_size=5
        )
    ),
    max_leaves=20,
)


@given(status=st.none() | st.integers(300, 599), document=anything)
def test_no_error_is_without_a_name(status: int | None, document: Any) -> None:
    has_error(document)
    assert code_of_error(status, document) in FAILURES
