"""SNS asks once whether its messages are wanted; we say yes after the request was proven and kept."""

from __future__ import annotations

from penguinmails_core.errors import Unavailable
from penguinmails_core.inbound.records import Discard, ReceivedMessage
from penguinmails_core.kit.http import OutgoingError, OutgoingHttp
from penguinmails_webhooks.inbound.readers import parsed
from penguinmails_webhooks.inbound.sns import CONFIRMATION, Fetch, is_of_sns


def fetch_by(http: OutgoingHttp) -> Fetch:
    """Certificates over the SSRF-safe client."""

    async def fetch(url: str) -> bytes:
        try:
            found = await http.get(url)
        except OutgoingError as error:
            raise Unavailable(f"Amazon's certificate cannot be fetched: {error}. Send it again.") from None
        if found.status != 200:
            raise Unavailable(f"Amazon's certificate cannot be fetched: {found.status}. Send it again.")
        return found.body

    return fetch


class SnsConfirmation:
    """Calls the URL that a `SubscriptionConfirmation` names. It is signed, and must lead to SNS all the same."""

    name = "sns_confirmation"

    def __init__(self, http: OutgoingHttp) -> None:
        self._http = http

    def wants(self, scheme: str, event: str | None) -> bool:
        return (scheme, event) == ("sns", CONFIRMATION)

    async def handle(self, message: ReceivedMessage) -> None:
        document = parsed(message.body)
        url = document.get("SubscribeURL") if isinstance(document, dict) else None
        if not is_of_sns(url):
            raise Discard("SubscribeURL does not lead to SNS")
        answer = await self._http.get(str(url))
        if not 200 <= answer.status < 300:
            raise ConnectionError(f"SNS answered {answer.status}")
