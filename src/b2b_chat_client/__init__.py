"""The Python client of b2b-chat."""

from b2b_chat_client import types, webhooks
from b2b_chat_client.call import Page
from b2b_chat_client.client import AsyncB2BChat, B2BChat
from b2b_chat_client.errors import (
    AnswerFailed,
    AnswerRestarted,
    APIError,
    B2BChatError,
    Conflict,
    ConnectionFailed,
    Forbidden,
    InsufficientCredits,
    InvalidRequest,
    NotConfigured,
    NotFound,
    RateLimited,
    ServerFailed,
    TimedOut,
    Unauthenticated,
    UnexpectedResponse,
    WebhookRejected,
)
from b2b_chat_client.events import Delta, Final, Restart, Start, StreamEvent
from b2b_chat_client.listing import AsyncListing, Listing
from b2b_chat_client.streams import AnswerStream, AsyncAnswerStream
from b2b_chat_client.version import __version__

__all__ = [
    "APIError",
    "AnswerFailed",
    "AnswerRestarted",
    "AnswerStream",
    "AsyncAnswerStream",
    "AsyncB2BChat",
    "AsyncListing",
    "B2BChat",
    "B2BChatError",
    "Conflict",
    "ConnectionFailed",
    "Delta",
    "Final",
    "Forbidden",
    "InsufficientCredits",
    "InvalidRequest",
    "Listing",
    "NotConfigured",
    "NotFound",
    "Page",
    "RateLimited",
    "Restart",
    "ServerFailed",
    "Start",
    "StreamEvent",
    "TimedOut",
    "Unauthenticated",
    "UnexpectedResponse",
    "WebhookRejected",
    "__version__",
    "types",
    "webhooks",
]
