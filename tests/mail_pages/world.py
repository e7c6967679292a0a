"""A message that was sent, and what its recipient and their mail program do with its links."""

from __future__ import annotations

from typing import Any, Self
from uuid import UUID

import httpx

from penguinmails_api.gateway import Gateway
from penguinmails_api.services import Services
from penguinmails_core.kit.ids import new_uuid
from penguinmails_core.unsubscribes.links import Subscriber
from tests.fixtures.factories import Recipient, Tenant, make_email


class Mail:
    def __init__(self, services: Services, gateway: Gateway, tenant: Tenant) -> None:
        self.services = services
        self.tenant = tenant
        self._http = httpx.AsyncClient(transport=httpx.ASGITransport(gateway), base_url="http://localhost")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def subscriber(
        self, address: str = "ada@example.com", list_name: str | None = None, *, campaign: bool = True
    ) -> Subscriber:
        """Of a delivered message."""
        recipient = Recipient(address, "delivered")
        message_class = "campaign" if campaign else "transactional"
        message = await make_email(self.services.database, self.tenant, [recipient], message_class=message_class)
        if list_name is not None:
            options = {"unsubscribe": {"list": list_name}}
            await self.services.database.worker.execute(
                "update email_messages set options = $2 where id = $1", message, options
            )
        return Subscriber(self.tenant.id, recipient.id, address.lower(), list_name, campaign)

    def nobody(self) -> Subscriber:
        """Of a message that is gone."""
        return Subscriber(self.tenant.id, new_uuid(), "gone@example.com")

    def path(self, subscriber: Subscriber) -> str:
        links = self.services.unsubscribe_links
        assert links is not None
        return links.url(subscriber).removeprefix(self.services.public.base)

    def preferences(self, subscriber: Subscriber) -> str:
        links = self.services.unsubscribe_links
        assert links is not None
        return links.preferences_url(subscriber).removeprefix(self.services.public.base)

    async def scopes(self) -> list[tuple[str, str]]:
        """What is suppressed now."""
        return sorted((row["scope"], row["scope_value"]) for row in await self.suppressions())

    async def request(self, method: str, path: str, body: str | bytes = b"", **headers: str) -> httpx.Response:
        return await self._http.request(method, path, content=body, headers=headers)

    async def one_click(self, path: str, **headers: str) -> httpx.Response:
        """As a mail program does it (RFC 8058 §8.2)."""
        headers = {"Content-Type": "application/x-www-form-urlencoded", **headers}
        return await self.request("POST", path, "List-Unsubscribe=One-Click", **headers)

    async def press(self, path: str, step: str, *lists: str) -> httpx.Response:
        """The button of our page, with boxes that are checked."""
        body = "&".join([f"step={step}", *(f"list={name}" for name in lists)])
        return await self.request("POST", path, body, **{"Content-Type": "application/x-www-form-urlencoded"})

    async def rows(self, query: str, *arguments: Any) -> list[Any]:
        return list(await self.services.database.worker.fetch(query, *arguments))

    async def suppressions(self) -> list[Any]:
        return await self.rows("select * from suppressions where lifted_at is null order by id")

    async def events(self, resource_id: UUID | None = None) -> list[Any]:
        """All but the first, which tells that the message was queued."""
        query = (
            "select * from events where type <> 'email.queued' and ($1::uuid is null or resource_id = $1) order by id"
        )
        return await self.rows(query, resource_id)

    async def suppress(self, address: str, reason: str) -> None:
        await self.services.database.worker.execute(
            "insert into suppressions (organization_id, id, address, reason) values ($1, $2, $3, $4)",
            self.tenant.id,
            new_uuid(),
            address,
            reason,
        )
