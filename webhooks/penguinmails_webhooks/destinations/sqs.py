"""Amazon SQS, and what speaks its protocol (ElasticMQ, LocalStack): one message for each event.

The body is the event; `webhook-*` headers and the type are message attributes. Of a FIFO queue (its name ends in
``.fifo``) the event's id is the deduplication id, so that a repeat within five minutes is dropped by SQS, and what the
endpoint keeps in order is a group.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import orjson

from penguinmails_core.errors import FieldError
from penguinmails_core.kit.http import HttpResult, OutgoingHttp
from penguinmails_core.kit.http_guard import BrokenResponse, InvalidRequest, OutgoingError, check_url
from penguinmails_webhooks.destinations.base import Limits, Message, Rejected, Target, TooLarge, url_errors
from penguinmails_webhooks.destinations.sigv4 import signed

_HOST = re.compile(r"sqs\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?\Z")
_REGION = re.compile(r"[a-z0-9-]{1,40}\Z")
_KEY_ID = re.compile(r"[A-Za-z0-9_]{16,128}\Z")
MAX_BYTES = 1_048_576  # body and attributes ("Amazon SQS message quotas")
# What will be wrong the next time, too.
_FINAL = ("InvalidMessageContents", "InvalidParameterValue", "UnsupportedOperation", "InvalidAttributeValue")


def check(url: str, settings: Mapping[str, Any], secret: str | None, *, allow_private: bool) -> list[FieldError]:
    """As `registry.check`."""
    errors = []
    try:
        check_url(url, allow_private=allow_private)
        parts = urlsplit(url)
        if parts.query or len(parts.path.strip("/").split("/")) < 2:
            detail = "`url` is the URL of the queue: https://sqs.REGION.amazonaws.com/ACCOUNT/NAME."
            errors.append(FieldError("/url", "invalid_url", detail))
    except OutgoingError as error:
        errors += url_errors(error)
    region = settings.get("region") or _region_of(url)
    if region is None or not _REGION.match(region):
        detail = "`region` is one of Amazon's, such as eu-west-1; it is read from the URL of their own queues."
        errors.append(FieldError("/destination/region", "required" if region is None else "invalid", detail))
    if not _KEY_ID.match(settings.get("access_key_id") or ""):
        detail = "`access_key_id` is that of a user who may do sqs:SendMessage."
        errors.append(FieldError("/destination/access_key_id", "required", detail))
    if secret is None:
        detail = "`secret` is the secret access key."
        errors.append(FieldError("/destination/secret", "required", detail))
    return errors


class Sqs:
    kind = "sqs"

    def __init__(self, limits: Limits, http: OutgoingHttp) -> None:
        self._limits = limits
        self._http = http

    async def send(self, target: Target, message: Message) -> dict[str, Any]:
        body = orjson.dumps(_request(target, message))
        parts = urlsplit(target.url)
        url = f"{parts.scheme}://{parts.netloc}/"
        headers = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "AmazonSQS.SendMessage"}
        sent = signed(
            url,
            headers,
            body,
            region=target.settings.get("region") or _region_of(target.url) or "us-east-1",
            service="sqs",
            access_key_id=target.settings["access_key_id"],
            secret_access_key=target.secret or "",
            now=datetime.now(UTC),
        )
        return _answer(await self._http.post(url, body=body, headers=sent, repeatable=True))

    async def close(self) -> None:
        """The client is the caller's."""


def _region_of(url: str) -> str | None:
    match = _HOST.match(urlsplit(url).hostname or "")
    return match[1] if match else None


def _request(target: Target, message: Message) -> dict[str, Any]:
    attributes = {"type": message.type, **message.headers}
    size = len(message.body) + sum(len(name) + len(value) + 6 for name, value in attributes.items())
    if size > MAX_BYTES:
        raise TooLarge(f"the event has {size} bytes; SQS takes {MAX_BYTES}. Ask for thin payloads")
    found: dict[str, Any] = {
        "QueueUrl": target.url,
        "MessageBody": message.body.decode(),
        "MessageAttributes": {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()},
    }
    if urlsplit(target.url).path.endswith(".fifo"):
        found |= {"MessageDeduplicationId": message.id, "MessageGroupId": message.group}
    return found


def _answer(result: HttpResult) -> dict[str, Any]:
    try:
        document = orjson.loads(result.body)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        raise BrokenResponse(f"SQS answered {result.status} and no JSON; is the URL that of a queue?")
    if result.status == 200 and isinstance(document.get("MessageId"), str):
        kept = {"message_id": document["MessageId"]}
        return kept | ({"sequence_number": document["SequenceNumber"]} if document.get("SequenceNumber") else {})
    kind = str(document.get("__type", "")).rpartition("#")[2][:100]
    text = str(document.get("message") or document.get("Message") or "")[:300]
    if kind.rpartition(".")[2] in _FINAL:
        raise InvalidRequest(f"SQS answered {result.status} {kind}: {text}")
    raise Rejected(f"SQS answered {result.status} {kind}: {text}")
