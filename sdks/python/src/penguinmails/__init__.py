"""Python SDK for PenguinMails, the self-hosted API platform for outbound email.

from penguinmails import PenguinMails

client = PenguinMails()  # reads PENGUINMAILS_API_KEY and PENGUINMAILS_BASE_URL
email = client.emails.send(from_="you@your.domain", to="ada@example.com", subject="Hello", text="Hi Ada!")
"""

from penguinmails import webhooks
from penguinmails._client import AsyncPenguinMails, PenguinMails
from penguinmails._errors import (
    APIConnectionError,
    APIResponseError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    FieldError,
    InternalServerError,
    InvalidWebhookSignatureError,
    NotFoundError,
    PayloadTooLargeError,
    PenguinMailsError,
    PermissionDeniedError,
    RateLimitError,
    UnprocessableEntityError,
)
from penguinmails._logging import setup as _setup_logging
from penguinmails._pages import AsyncPage, AsyncPaginator, Page
from penguinmails._request import RawResponse, RequestOptions, omit
from penguinmails._version import VERSION as __version__
from penguinmails.attachments import Attachment
from penguinmails.webhooks import WebhookEvent

__all__ = [
    "APIConnectionError",
    "APIResponseError",
    "APIStatusError",
    "APITimeoutError",
    "AsyncPage",
    "AsyncPaginator",
    "AsyncPenguinMails",
    "Attachment",
    "AuthenticationError",
    "BadRequestError",
    "ConflictError",
    "FieldError",
    "InternalServerError",
    "InvalidWebhookSignatureError",
    "NotFoundError",
    "Page",
    "PayloadTooLargeError",
    "PenguinMails",
    "PenguinMailsError",
    "PermissionDeniedError",
    "RateLimitError",
    "RawResponse",
    "RequestOptions",
    "UnprocessableEntityError",
    "WebhookEvent",
    "__version__",
    "omit",
    "webhooks",
]

_setup_logging()
