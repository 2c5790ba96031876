"""Webhooks by the Standard Webhooks algorithm. The vector is that specification's own example."""

import base64
import hmac
import json
from hashlib import sha256

import pytest

from b2b_chat_client import NotConfigured, WebhookRejected, webhooks

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"test": 2432232314}'
HEADERS = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
NOW = 1614265330


def verified(body: bytes | str = BODY, secret: str = SECRET, now: float = NOW, **changes: str) -> object:
    headers = {**HEADERS, **{f"webhook-{name}": value for name, value in changes.items()}}
    return webhooks.verify(body, headers, secret, unix_seconds=now)


def test_the_specifications_example_is_accepted() -> None:
    assert verified() == json.loads(BODY)
    assert verified(BODY.decode()) == json.loads(BODY)
    assert webhooks.verify(BODY, {name.title(): v for name, v in HEADERS.items()}, SECRET, unix_seconds=NOW)


def test_while_a_secret_is_renewed_either_signature_is_enough() -> None:
    assert verified(signature=f"v1,AAAA v2,zzz v1,* {HEADERS['webhook-signature']}")


@pytest.mark.parametrize("now", [NOW - 300, NOW + 300])
def test_clocks_may_differ_a_little(now: int) -> None:
    assert verified(now=now)


@pytest.mark.parametrize(
    "changes",
    [
        {"body": BODY + b" "},
        {"secret": "whsec_" + base64.b64encode(b"another").decode()},
        {"id": "msg_other"},
        {"timestamp": "1614265331"},
        {"timestamp": "soon"},
        {"timestamp": "\u0661"},
        {"signature": ""},
        {"signature": HEADERS["webhook-signature"].replace("v1,", "v1a,")},
        {"now": NOW + 301},
        {"now": NOW - 301},
    ],
    ids=repr,
)
def test_what_is_not_the_servers_or_too_old_is_rejected(changes: dict[str, object]) -> None:
    with pytest.raises(WebhookRejected):
        verified(**changes)  # type: ignore[arg-type] # each change has the type of its argument


def test_headers_must_be_there_and_the_body_be_json() -> None:
    with pytest.raises(WebhookRejected, match="webhook-id"):
        webhooks.verify(BODY, {}, SECRET)
    digest = hmac.digest(base64.b64decode(SECRET.removeprefix("whsec_")), b"m.1614265330.no", sha256)
    signature = f"v1,{base64.b64encode(digest).decode()}"
    with pytest.raises(WebhookRejected, match="JSON"):
        verified(b"no", id="m", signature=signature)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_***"])
def test_a_secret_that_is_none_is_no_secret(secret: str) -> None:
    with pytest.raises(NotConfigured):
        verified(secret=secret)
