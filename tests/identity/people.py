"""People for tests, and a browser-like HTTP client for the pages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from uuid import UUID

import httpx

from penguinmails_api.gateway import Gateway
from penguinmails_api.services import Services
from penguinmails_core.identity.accounts import create_person
from penguinmails_core.identity.sessions import Browser
from penguinmails_core.system_mail.service import ORGANIZATION_ID

PASSWORD = "correct horse battery staple"
HERE = Browser("192.0.2.7", "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0")


@dataclass(frozen=True, slots=True)
class Person:
    id: UUID
    email: str
    password: str = PASSWORD


async def make_person(
    services: Services,
    email: str = "ada@example.com",
    *,
    organization_id: UUID | None = None,
    role: str = "owner",
    name: str | None = "Ada Lovelace",
) -> Person:
    """Somebody who has chosen their password."""
    user_id, token = await create_person(
        services.database, email, name=name, organization_id=organization_id, role=role
    )
    await services.identity.accounts.reset_password(token, PASSWORD)
    return Person(user_id, email)


class Surfer:
    """The pages as a browser calls them: cookies kept, redirects shown, forms sent with their hidden fields."""

    def __init__(self, gateway: Gateway, *, address: str = "192.0.2.7", base: str = "http://localhost:8025") -> None:
        transport = httpx.ASGITransport(gateway, client=(address, 40000))
        self.http = httpx.AsyncClient(transport=transport, base_url=base)
        self.base = base

    async def get(self, path: str) -> httpx.Response:
        return await self.http.get(path, headers={"Sec-Fetch-Site": "none"})

    async def token(self, path: str = "/login") -> str:
        """The form token of a page."""
        page = await self.get(path)
        found = re.search(r'name="form_token" value="([0-9a-f]{64})"', page.text)
        assert found is not None, page.text
        return found[1]

    async def post(
        self,
        path: str,
        fields: dict[str, str],
        *,
        page: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        """Sends a form that `page` (default: the path itself) holds."""
        sent = {"form_token": await self.token(page or path)} | fields
        same_origin = {"Sec-Fetch-Site": "same-origin", "Origin": self.base}
        return await self.http.post(path, data=sent, headers=same_origin if headers is None else headers)

    async def sign_in(self, person: Person, **fields: str) -> httpx.Response:
        return await self.post("/login", {"email": person.email, "password": person.password} | fields)

    async def close(self) -> None:
        await self.http.aclose()


async def system_mail(services: Services, to: str) -> list[str]:
    """Texts of what our own sender accepted for somebody, the newest first; waits for what is under way."""
    await services.identity.notices.drain()
    rows = await services.database.worker.fetch(
        "select m.id from email_messages m join email_recipients r on r.message_id = m.id "
        "where m.organization_id = $1 and r.address = $2 order by m.id desc",
        ORGANIZATION_ID,
        to,
    )
    texts = []
    for row in rows:
        content = await services.content.load(ORGANIZATION_ID, row["id"])
        assert content is not None
        assert content.text is not None
        texts.append(content.text)
    return texts


async def link_in_mail(services: Services, to: str) -> str:
    """The path and query of the link in the newest message to somebody."""
    text = (await system_mail(services, to))[0]
    found = re.search(r"^https?://[^/\s]+(/\S*)$", text, re.MULTILINE)
    assert found is not None, text
    return found[1]
