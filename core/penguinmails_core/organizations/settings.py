"""The settings of an organization, and of which organizations a person may choose."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.audit import service as audit
from penguinmails_core.audit.actor import Resource
from penguinmails_core.errors import FieldError, Forbidden, NotFound, Unprocessable
from penguinmails_core.events import repository as events
from penguinmails_core.events.types import EventType
from penguinmails_core.kit.ids import Prefix, encode
from penguinmails_core.kit.texts import text_errors, timezone_errors
from penguinmails_core.members.authority import authority_of, refuse_test_mode
from penguinmails_core.models import Organization
from penguinmails_core.organizations import repository
from penguinmails_core.organizations.service import MAX_NAME
from penguinmails_core.principal import Principal
from penguinmails_core.scopes import Scope

DATE_FORMATS = ("iso", "day_first", "month_first")
SETTINGS = ("name", "timezone", "date_format", "currency", "event_retention_days")
MAX_RETENTION_DAYS = 90
_CURRENCY = re.compile(r"[A-Z]{3}").fullmatch


async def get(session: AsyncSession, principal: Principal) -> Organization:
    organization = await repository.get(session, principal.organization_id)
    if organization is None:
        raise NotFound("There is no such organization any more.")
    return organization


async def update(session: AsyncSession, principal: Principal, given: Mapping[str, Any]) -> Organization:
    """`given` holds what is to be changed of `SETTINGS`. Raises `Forbidden` for who is bound to a workspace,
    `LiveModeRequired`, `Unprocessable`."""
    refuse_test_mode(principal)
    if principal.workspace_id is not None:
        raise Forbidden("You are bound to one workspace; the settings of the organization are for all of them.")
    await authority_of(session, principal, Scope.ORGANIZATIONS_WRITE)
    organization = await get(session, principal)
    await session.refresh(organization)
    _check(given)
    before = audit.facts(organization, *SETTINGS)
    for name, value in given.items():
        setattr(organization, name, value.strip() if name == "name" else value)
    if audit.facts(organization, *SETTINGS) == before:
        return organization
    organization.updated_at = func.now()
    await session.flush()
    await session.refresh(organization)
    after, resource = audit.facts(organization, *SETTINGS), Resource(Prefix.ORGANIZATION, organization.id)
    await _tell(session, organization, [name for name in SETTINGS if before[name] != after[name]])
    await audit.record(session, principal, "organization.updated", resource, before, after)
    return organization


async def _tell(session: AsyncSession, organization: Organization, changed: list[str]) -> None:
    organization.event_sequence = (organization.event_sequence or 0) + 1
    told = {name: getattr(organization, name) for name in SETTINGS} | {"changed": changed}
    events.add(
        session,
        organization_id=organization.id,
        workspace_id=None,
        mode="live",
        event=EventType.ORGANIZATION_UPDATED,
        resource_id=organization.id,
        sequence=organization.event_sequence,
        payload={"organization_id": encode(Prefix.ORGANIZATION, organization.id)} | told,
    )
    await session.flush()
    await session.refresh(organization, ["updated_at"])


def _check(given: Mapping[str, Any]) -> None:
    errors: list[FieldError] = []
    if "name" in given:
        errors += text_errors("/name", given["name"], most=MAX_NAME)
    if "timezone" in given:
        errors += timezone_errors("/timezone", given["timezone"])
    if "date_format" in given and given["date_format"] not in DATE_FORMATS:
        detail = f"`date_format` is one of {', '.join(DATE_FORMATS)}."
        errors.append(FieldError("/date_format", "invalid", detail))
    if "currency" in given and not _CURRENCY(given["currency"]):
        detail = "`currency` is a code of ISO 4217 in upper case, such as EUR."
        errors.append(FieldError("/currency", "invalid", detail))
    if "event_retention_days" in given and not 1 <= given["event_retention_days"] <= MAX_RETENTION_DAYS:
        detail = f"`event_retention_days` is 1 to {MAX_RETENTION_DAYS}."
        errors.append(FieldError("/event_retention_days", "out_of_range", detail))
    if errors:
        detail = errors[0].detail if len(errors) == 1 else f"{len(errors)} fields need attention; see `errors`."
        raise Unprocessable(detail, errors=errors)
