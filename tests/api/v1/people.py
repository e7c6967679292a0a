"""A tenant with people in it, each signed in."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from penguinmails_api.services import Services
from penguinmails_core.kit import ids
from tests.fixtures.client import ApiClient
from tests.fixtures.factories import Tenant
from tests.fixtures.people import Person, make_member, sign_in


@dataclass(frozen=True, slots=True)
class World:
    services: Services
    client: ApiClient
    tenant: Tenant

    async def join(
        self,
        role: str = "member",
        *,
        email: str | None = None,
        custom_role_id: UUID | None = None,
        workspaces: dict[UUID, str] | None = None,
    ) -> tuple[Person, ApiClient]:
        """A new member, and their browser."""
        person = await make_member(
            self.services.database,
            self.tenant.id,
            role,
            email=email,
            custom_role_id=custom_role_id,
            workspaces=workspaces,
        )
        return person, await sign_in(self.services, self.client, person.user_id, self.tenant.id)


def member_path(person: Person) -> str:
    return f"/v1/members/{ids.encode('mem', person.member_id)}"
