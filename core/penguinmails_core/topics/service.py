"""Topics: what people can choose on the preference page, in words of the sender's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.audit import service as audit
from penguinmails_core.audit.actor import Resource
from penguinmails_core.emails.options import LIST_NAME, MAX_LIST_CHARACTERS
from penguinmails_core.errors import Conflict, FieldError, NotFound, Unprocessable
from penguinmails_core.kit.ids import Prefix, new_uuid
from penguinmails_core.kit.pages import cut
from penguinmails_core.kit.texts import text_errors
from penguinmails_core.models import Topic
from penguinmails_core.principal import Principal
from penguinmails_core.topics import repository

MAX_TOPICS = 100
MAX_NAME, MAX_DESCRIPTION = 100, 300
_AUDITED = ("list", "name", "description", "public")


async def get(session: AsyncSession, principal: Principal, topic_id: UUID, *, lock: bool = False) -> Topic:
    """Raises `NotFound`."""
    topic = await repository.get(session, principal, topic_id, lock=lock)
    if topic is None:
        raise NotFound("There is no such topic.")
    return topic


async def list_topics(
    session: AsyncSession,
    principal: Principal,
    *,
    limit: int,
    after: UUID | None = None,
    before: UUID | None = None,
) -> tuple[list[Topic], bool]:
    """A page, the newest first, and whether there is more in the direction of travel."""
    found = await repository.list_topics(session, principal, limit=limit + 1, after=after, before=before)
    return cut(found, limit, backwards=before is not None)


async def create(session: AsyncSession, principal: Principal, given: Mapping[str, Any]) -> Topic:
    """`given`: list, name, description, public. Raises `Conflict` for a list that has a topic and at `MAX_TOPICS`,
    `Unprocessable`."""
    _check(given)
    if await repository.count(session, principal) >= MAX_TOPICS:
        raise Conflict(
            f"There are {MAX_TOPICS} topics, which is the most. Delete one first.", extra={"limit": MAX_TOPICS}
        )
    topic = Topic(organization_id=principal.organization_id, id=new_uuid(), mode=principal.mode, **given)
    session.add(topic)
    try:
        await session.flush()
    except IntegrityError:
        raise Conflict(f"The list {given['list']} has a topic already.") from None
    await session.refresh(topic)
    await audit.record(session, principal, "topic.created", _resource(topic), after=audit.facts(topic, *_AUDITED))
    return topic


async def update(session: AsyncSession, principal: Principal, topic_id: UUID, given: Mapping[str, Any]) -> Topic:
    """`given` holds what is to be changed: name, description, public. Raises `NotFound`, `Unprocessable`."""
    topic = await get(session, principal, topic_id, lock=True)
    _check(given)
    before = audit.facts(topic, *_AUDITED)
    for name, value in given.items():
        setattr(topic, name, value)
    await session.flush()
    await session.refresh(topic)
    after = audit.facts(topic, *_AUDITED)
    if after != before:
        await audit.record(session, principal, "topic.updated", _resource(topic), before, after)
    return topic


async def delete(session: AsyncSession, principal: Principal, topic_id: UUID) -> None:
    """Whoever left the list stays off it. Raises `NotFound`."""
    topic = await get(session, principal, topic_id, lock=True)
    before = audit.facts(topic, *_AUDITED)
    await session.delete(topic)
    await session.flush()
    await audit.record(session, principal, "topic.deleted", _resource(topic), before=before)


def _check(given: Mapping[str, Any]) -> None:
    errors: list[FieldError] = []
    if "list" in given and not LIST_NAME.fullmatch(given["list"]):
        detail = (
            f"`list` is 1 to {MAX_LIST_CHARACTERS} lower-case letters, digits, dots, hyphens and underscores, and "
            "begins and ends with a letter or digit."
        )
        errors.append(FieldError("/list", "invalid_list", detail))
    for name, most in (("name", MAX_NAME), ("description", MAX_DESCRIPTION)):
        if given.get(name) is not None:
            errors += text_errors(f"/{name}", given[name], most=most)
    if errors:
        raise Unprocessable(errors[0].detail, errors=errors)


def _resource(topic: Topic) -> Resource:
    return Resource(Prefix.TOPIC, topic.id)
