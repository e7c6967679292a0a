"""From claimed rows to envelopes: content, headers, MIME, DKIM."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from penguinmails_core.content.service import ContentService, MessageContent
from penguinmails_core.domains.service import signing_keys
from penguinmails_core.emails.payload import message_id
from penguinmails_core.kit import ids
from penguinmails_core.kit.addresses import parse_mailbox
from penguinmails_core.kit.crypto import SecretBox
from penguinmails_core.kit.db import Database
from penguinmails_core.sending import repository
from penguinmails_core.tracking.repository import keep_links
from penguinmails_sender.dkim import DkimKey, sign
from penguinmails_sender.engine.outcomes import Job
from penguinmails_sender.engine.personal import Personalizer
from penguinmails_sender.intake.verp import TOKEN_HEADER, Verp
from penguinmails_sender.intake.verp import Kind as VerpKind
from penguinmails_sender.message import Attachment, Mailbox, OutgoingMessage
from penguinmails_sender.mime import build
from penguinmails_sender.mime.links import MarkedHtml
from penguinmails_sender.smtp import Envelope

MessageKey = tuple[UUID, UUID]
_KEY_SECONDS = 60.0
_MOST_KEYS = 1000
_TOKEN_HEADER = TOKEN_HEADER.lower()


@dataclass(slots=True, eq=False)
class Group:
    """Recipients of one message and lane that were claimed together: one SMTP transaction. `content` is None when it is
    lost."""

    jobs: list[Job]
    content: MessageContent | None
    visible: list[Any]
    marked: MarkedHtml | None = None

    @property
    def row(self) -> Any:
        return self.jobs[0].row

    @property
    def key(self) -> MessageKey:
        return self.row["organization_id"], self.row["message_id"]

    @property
    def size(self) -> int:
        """Octets of text, HTML and attachments."""
        size: int = self.row["size_bytes"]
        return size


class KeyRing:
    """Opened DKIM keys of domains, kept for a minute: opening costs more than signing with Ed25519."""

    def __init__(self, database: Database, box: SecretBox) -> None:
        self._database = database
        self._box = box
        self._kept: OrderedDict[tuple[UUID, str], tuple[float, list[DkimKey]]] = OrderedDict()
        self._loading: dict[tuple[UUID, str], asyncio.Task[list[DkimKey]]] = {}

    async def keys(self, organization_id: UUID, domain: str) -> list[DkimKey]:
        """Empty when the domain is not verified or has no active key. Raises `CryptoError` and `DkimKeyError`."""
        name = (organization_id, domain)
        kept = self._kept.get(name)
        if kept is not None and kept[0] > time.monotonic():
            return kept[1]
        # A claim brings a hundred messages of one domain at once: its keys are opened once for all of them.
        task = self._loading.get(name)
        if task is None:
            task = self._loading[name] = asyncio.create_task(self._load(organization_id, domain))
            task.add_done_callback(lambda done: self._loaded(name, done))
        return await asyncio.shield(task)

    def _loaded(self, name: tuple[UUID, str], task: asyncio.Task[list[DkimKey]]) -> None:
        self._loading.pop(name, None)
        if not task.cancelled():
            task.exception()  # whoever waited has it; nobody waiting is no reason to warn

    async def _load(self, organization_id: UUID, domain: str) -> list[DkimKey]:
        found = await signing_keys(self._database.worker, self._box, organization_id, domain)
        keys = [DkimKey.from_private(key.private_key, key.selector, domain) for key in found]
        # "None" is not remembered: a domain that has just been verified may send at once.
        if keys:
            self._kept[(organization_id, domain)] = (time.monotonic() + _KEY_SECONDS, keys)
        while len(self._kept) > _MOST_KEYS:
            self._kept.popitem(last=False)
        return keys


def group_jobs(jobs: Sequence[Job], personal: Personalizer | None = None) -> list[Group]:
    """Recipients of one message together, in the order of the claim; those of other lanes take another connection, and
    each is alone where they get different octets."""
    groups: list[Group] = []
    shared: dict[tuple[UUID, UUID, str], Group] = {}
    for job in jobs:
        if personal is not None and personal.wanted(job.row):
            groups.append(Group([job], None, []))
            continue
        key = (job.row["organization_id"], job.row["message_id"], job.row["lane"])
        group = shared.get(key)
        if group is None:
            shared[key] = Group([job], None, [])
            groups.append(shared[key])
        else:
            group.jobs.append(job)
    return groups


async def load(
    database: Database, content: ContentService, groups: Sequence[Group], personal: Personalizer | None = None
) -> None:
    """Fill in what live messages need, in bulk. Raises `Unavailable` when the content tier is away."""
    by_key: dict[MessageKey, list[Group]] = {}
    for group in groups:
        if group.row["mode"] == "live":
            by_key.setdefault(group.key, []).append(group)
    if not by_key:
        return
    keys = list(by_key)
    loaded = await content.load_many(keys)
    visible = await repository.visible_recipients(database.worker, [k[0] for k in keys], [k[1] for k in keys])
    seen: dict[MessageKey, list[Any]] = {}
    for row in visible:
        seen.setdefault((row["organization_id"], row["message_id"]), []).append(row)
    for key, same in by_key.items():
        for group in same:
            group.content = loaded.get(key)
            group.visible = seen.get(key, [])
    if personal is not None:
        await _mark(database, by_key, personal)


async def _mark(database: Database, by_key: Mapping[MessageKey, Sequence[Group]], personal: Personalizer) -> None:
    """Find links to follow, and keep where they lead before anybody gets them."""
    marked: dict[MessageKey, MarkedHtml] = {}
    for key, same in by_key.items():
        content = same[0].content
        found = personal.mark(same[0].row, content.html) if content is not None else None
        if found is not None:
            marked[key] = found
            for group in same:
                group.marked = found
    if marked:
        urls = [found.urls for found in marked.values()]
        await keep_links(database.worker, [key[0] for key in marked], [key[1] for key in marked], urls)


def compose(group: Group, token: str) -> OutgoingMessage:
    """The message as every attempt sends it: same Message-ID, same date, same octets. `token` stands in a header too,
    since complaints show the message and not its return path."""
    row, content = group.row, group.content
    assert content is not None
    email_id = ids.encode("msg", row["message_id"])
    to = tuple(Mailbox(item["address"], item["name"]) for item in group.visible if item["kind"] == "to")
    cc = tuple(Mailbox(item["address"], item["name"]) for item in group.visible if item["kind"] == "cc")
    reply_to = (parse_mailbox(value) for value in row["reply_to"])
    return OutgoingMessage(
        message_id=message_id(email_id, row["from_domain"]),
        date=row["scheduled_at"] or row["created_at"],
        from_=Mailbox(row["from_address"], row["from_name"]),
        to=to,
        cc=cc,
        reply_to=tuple(Mailbox(mailbox.address, mailbox.name) for mailbox in reply_to),
        subject=row["subject"],
        text=content.text,
        html=content.html,
        headers=(
            *((name, value) for name, value in content.headers.items() if name.lower() != _TOKEN_HEADER),
            (TOKEN_HEADER, token),
        ),
        attachments=tuple(
            Attachment(item.filename, item.content_type, item.data or b"", item.content_id)
            for item in content.attachments
        ),
    )


def seal(group: Group, keys: Sequence[DkimKey], verp: Verp, personal: Personalizer | None = None) -> Envelope:
    """Build, sign and address. Raises ValueError (`MimeError`, `AddressError`) for a message that cannot be written."""
    row = group.row
    # As on every attempt, whoever is left: servers that greylist go by the sender, too.
    alone = bool(row["options"]) or (len(group.jobs) == 1 and len(group.visible) <= 1 and row["kind"] != "bcc")
    if alone:
        token = verp.token(VerpKind.RECIPIENT, row["organization_id"], row["id"])
    else:
        token = verp.token(VerpKind.MESSAGE, row["organization_id"], row["message_id"])
    message = compose(group, token)
    if personal is not None and personal.wanted(group.row):
        message = personal.apply(message, group.row, group.marked)
    addresses = tuple(job.row["address"] for job in group.jobs)
    smtputf8 = message.needs_smtputf8 or not all(address.isascii() for address in addresses)
    sender = verp.address(token, row["from_domain"])
    envelope_id = ids.encode("msg", row["message_id"])
    return Envelope(sender, addresses, sign(build(message), keys), smtputf8, envelope_id)
