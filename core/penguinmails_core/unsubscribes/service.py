"""A person's wish not to be mailed, and its end: suppression, events and audit record in one transaction.

Nobody signs in for it: the link proves who it is (RFC 8058 §3.1 forbids cookies and anything else). Asking twice
changes nothing and tells nothing.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.audit import service as audit
from penguinmails_core.audit.actor import Actor, Resource
from penguinmails_core.emails.payload import data_of
from penguinmails_core.events import repository as events
from penguinmails_core.events.types import EventType
from penguinmails_core.kit import ids
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.models import EmailMessage, EmailRecipient, Suppression
from penguinmails_core.suppressions.payload import make_evidence
from penguinmails_core.suppressions.telling import tell
from penguinmails_core.topics import repository as topics_repository
from penguinmails_core.unsubscribes import repository
from penguinmails_core.unsubscribes.links import CAMPAIGNS, Subscriber

MAX_LISTS = 50  # on one page
OWN_WISH = frozenset({"unsubscribe", "complaint"})
WORDS = {
    "one_click": "unsubscribed with one click (RFC 8058)",
    "link": "unsubscribed on the page that a link in the message leads to",
    "mailto": "unsubscribed by mail to the address of List-Unsubscribe",
    "preferences": "unsubscribed on the preference page",
}


async def is_unsubscribed(session: AsyncSession, subscriber: Subscriber) -> bool:
    """Whether the person's own wish stops mail such as the one that the link was in."""
    return await has_left(session, subscriber, subscriber.scope)


async def has_left(session: AsyncSession, subscriber: Subscriber, scope: tuple[str, str]) -> bool:
    """Whether the person's own wish stops all mail of that scope."""
    rows = await repository.in_force(session, subscriber)
    return any(_is_own_wish(row) and _covers(row, scope, subscriber.campaign) for row in rows)


async def unsubscribe(
    session: AsyncSession, subscriber: Subscriber, method: str, scope: tuple[str, str] | None = None
) -> bool:
    """Whether anything changed; `method` is a key of `WORDS`, `scope` what is left, as the link says unless given.

    A wish has no end. In its own scope it outlives what others may lift: it takes the place of an entry made by hand.
    """
    scope = scope or subscriber.scope
    await repository.lock(session, subscriber)
    if await has_left(session, subscriber, scope):
        return False
    found = await repository.message_of(session, subscriber)
    await repository.make_way(session, subscriber, scope)
    row = await repository.suppress(session, _values(subscriber, found, method, scope))
    if row is None:
        return False
    tell(session, row, EventType.SUPPRESSION_CREATED)
    if found is not None:  # long gone mail has no more events; the suppression is told all the same
        name = scope[1] if scope[0] == "list" else None
        await _tell_of_message(session, *found, method=method, list=name)
    return True


async def resubscribe(session: AsyncSession, subscriber: Subscriber, scope: tuple[str, str] | None = None) -> bool:
    """The person wants such mail again; whether anything changed. Only their own unsubscribing is taken back: not a
    complaint, not a bounce, not what the sender put on the list."""
    scope = scope or subscriber.scope
    await repository.lock(session, subscriber)
    rows = [
        row
        for row in await repository.in_force(session, subscriber)
        if row.reason == "unsubscribe" and _covers(row, scope, subscriber.campaign)
    ]
    for row in rows:
        row.lifted_at = utcnow()
        row.lifted_by = None
        row.event_sequence += 1
        await session.flush()
        tell(session, row, EventType.SUPPRESSION_LIFTED, consent=True)
        after = audit.facts(row, "address", "reason", "scope", "scope_value") | {"consent": True}
        actor = Actor.system(subscriber.organization_id, "the person, by a link in their mail")
        resource = Resource(Prefix.SUPPRESSION, row.id, row.workspace_id)
        await audit.record(session, actor, "suppression.lifted", resource, after=after)
    return bool(rows)


@dataclass(frozen=True, slots=True)
class Preference:
    """One list, and whether its mail is sent to the person. `title` and `description` are of the topic, if there is
    one."""

    name: str
    wanted: bool
    title: str
    description: str | None = None


async def preferences(session: AsyncSession, subscriber: Subscriber) -> list[Preference]:
    """Of the lists that are offered to everybody, that the person had mail of, that the link names, and that they
    left; by title."""
    rows = [row for row in await repository.in_force(session, subscriber) if _is_own_wish(row)]
    names = set(await repository.lists_of(session, subscriber, MAX_LISTS))
    names |= {row.scope_value for row in rows if row.scope == "list"}
    if subscriber.list is not None:
        names.add(subscriber.list)
    topics = {topic.list: topic for topic in await topics_repository.live(session, subscriber.organization_id)}
    names |= {topic.list for topic in topics.values() if topic.public}
    found = []
    for name in names:
        wanted = not any(_covers(row, ("list", name), subscriber.campaign) for row in rows)
        topic = topics.get(name)
        title, description = (topic.name, topic.description) if topic is not None else (name, None)
        found.append(Preference(name, wanted, title, description))
    return sorted(found, key=lambda item: (item.title.casefold(), item.name))


async def choose(session: AsyncSession, subscriber: Subscriber, wanted: Set[str]) -> bool:
    """Of the lists of `preferences`, mail of those in `wanted` only; whether anything changed. Who had left everything
    and takes one list back goes on without the others."""
    items = await preferences(session, subscriber)
    changed = False
    if any(item.name in wanted for item in items):
        changed = await resubscribe(session, subscriber, CAMPAIGNS)
    for item in items:
        scope = ("list", item.name)
        if item.name in wanted:
            changed |= await resubscribe(session, subscriber, scope)
        else:
            changed |= await unsubscribe(session, subscriber, "preferences", scope)
    return changed


async def leave_everything(session: AsyncSession, subscriber: Subscriber) -> bool:
    """All campaign mail, and all lists; whether anything changed."""
    changed = await unsubscribe(session, subscriber, "preferences", CAMPAIGNS)
    for preference in await preferences(session, subscriber):
        changed |= await unsubscribe(session, subscriber, "preferences", ("list", preference.name))
    return changed


def _covers(row: Suppression, scope: tuple[str, str], campaign: bool) -> bool:
    """Whether `row` stops all mail of `scope`; `campaign`: lists are of campaign mail."""
    if row.scope == "organization" or (row.scope, row.scope_value) == scope:
        return True
    return scope[0] == "list" and campaign and (row.scope, row.scope_value) == CAMPAIGNS


def _is_own_wish(row: Suppression) -> bool:
    return row.reason in OWN_WISH and row.expires_at is None


def _values(
    subscriber: Subscriber,
    found: tuple[EmailMessage, EmailRecipient] | None,
    method: str,
    scope: tuple[str, str],
) -> dict[str, Any]:
    message = found[0] if found is not None else None
    evidence = make_evidence(
        email_id=message.id if message is not None else None,
        recipient_id=subscriber.recipient_id,
        reply=WORDS[method],
    )
    return {
        "organization_id": subscriber.organization_id,
        "id": ids.new_uuid(),
        "mode": "live",
        "workspace_id": message.workspace_id if message is not None else None,
        "address": subscriber.address,
        "reason": "unsubscribe",
        "scope": scope[0],
        "scope_value": scope[1],
        "evidence": evidence,
        "event_sequence": 1,
    }


async def _tell_of_message(
    session: AsyncSession, message: EmailMessage, recipient: EmailRecipient, **what: Any
) -> None:
    data = data_of(message, recipient)
    events.add(
        session,
        organization_id=message.organization_id,
        workspace_id=message.workspace_id,
        mode=message.mode,
        event=EventType.EMAIL_UNSUBSCRIBED,
        resource_id=recipient.id,
        sequence=await repository.next_sequence(session, recipient),
        payload=data | what,
    )
