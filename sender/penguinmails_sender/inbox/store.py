"""What the capture inbox holds: the newest messages, bounded in number and bytes, optionally kept in a folder.

Everything runs on one event loop and nothing here waits for anything, so there are no locks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Literal, Self
from uuid import UUID

from penguinmails_core.kit import ids
from penguinmails_sender.inbox.folder import Folder
from penguinmails_sender.inbox.message_view import Summary, search_text, summarize
from penguinmails_sender.inbox.verdict import SignatureVerdict
from penguinmails_sender.smtpd.received import Received

ID_PREFIX = "cap"
MAX_MESSAGES = 1_000
MAX_BYTES = 256 * 1024 * 1024
_QUEUE = 256


@dataclass(slots=True)
class CapturedMessage:
    """A kept message. `dkim` is None until the signatures were checked; `summary` and `search` are made when asked."""

    id: str
    received: Received
    dkim: list[SignatureVerdict] | None = None
    _summary: Summary | None = field(default=None, repr=False)
    _search: str | None = field(default=None, repr=False)

    @property
    def raw(self) -> bytes:
        return self.received.raw

    @property
    def size(self) -> int:
        return len(self.received.raw)

    @property
    def summary(self) -> Summary:
        if self._summary is None:
            self._summary = summarize(self.received.raw)
        return self._summary

    @property
    def search(self) -> str:
        """Lower-case text to search in: addresses, subject, the start of the bodies."""
        if self._search is None:
            envelope = "\n".join((self.received.envelope_sender, *self.received.recipients)).lower()
            self._search = envelope + "\n" + search_text(self.received.raw)
        return self._search


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that happened to the store. `message` is set for "added" and "deleted"."""

    kind: Literal["added", "deleted", "cleared"]
    message: CapturedMessage | None = None


class Subscription:
    """Changes from now on, in order. Iterate; the end comes when the store closes.

    At most 256 changes wait. A reader slower than that loses the oldest and finds `lagged` set.
    """

    def __init__(self, store: CaptureStore) -> None:
        self._store = store
        self._queue: asyncio.Queue[Change | None] = asyncio.Queue(_QUEUE)
        self.lagged = False

    def put(self, change: Change | None) -> None:
        if self._queue.full():
            self._queue.get_nowait()
            self.lagged = True
        self._queue.put_nowait(change)

    async def next(self) -> Change | None:
        """The next change, or None when the store is closed."""
        return await self._queue.get()

    def __enter__(self) -> Self:
        self._store._subscriptions.add(self)
        if self._store.closed:
            self.put(None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._store._subscriptions.discard(self)


class CaptureStore:
    """Holds at most `max_messages` messages of at most `max_bytes` together; the oldest go first (the newest stays
    even when it alone is larger). With `folder`, messages survive a restart as ``<id>.eml`` and ``index.jsonl``.
    """

    def __init__(
        self, *, max_messages: int = MAX_MESSAGES, max_bytes: int = MAX_BYTES, folder: Path | None = None
    ) -> None:
        if max_messages < 1 or max_bytes < 1:
            raise ValueError("max_messages and max_bytes must be at least 1")
        self.max_messages = max_messages
        self.max_bytes = max_bytes
        self.closed = False
        self.bytes = 0
        self._messages: dict[str, CapturedMessage] = {}  # oldest first; ids sort the same way
        self._last = UUID(int=0)
        self._subscriptions: set[Subscription] = set()
        self._folder = Folder(folder) if folder is not None else None
        if self._folder is not None:
            for message_id, received in self._folder.load():
                self._keep(CapturedMessage(message_id, received))
                self._last = ids.decode(ID_PREFIX, message_id)
            self._trim()

    def __len__(self) -> int:
        return len(self._messages)

    def add(self, received: Received) -> CapturedMessage:
        """Keep a message and tell the subscribers. Raises OSError when the folder cannot be written."""
        fresh = ids.new_uuid()
        # Two messages in one millisecond, or a clock set back: order of arrival must stay the order of ids.
        self._last = fresh if fresh > self._last else UUID(int=self._last.int + 1)
        message = CapturedMessage(ids.encode(ID_PREFIX, self._last), received)
        if self._folder is not None:
            self._folder.save(message.id, received)
        self._keep(message)
        self._trim()
        self._publish(Change("added", message))
        return message

    def receive(self, received: Received) -> None:
        """`add` in the shape of the SMTP server's `on_message`."""
        self.add(received)

    def get(self, message_id: str) -> CapturedMessage | None:
        return self._messages.get(message_id)

    def newest_first(self, *, before: str | None = None) -> Iterator[CapturedMessage]:
        """All messages, or only those older than the id `before` (which need not exist any more)."""
        for message in reversed(list(self._messages.values())):
            if before is None or message.id < before:
                yield message

    def since(self, message_id: str) -> list[CapturedMessage]:
        """The messages newer than an id, oldest first."""
        newer: list[CapturedMessage] = []
        for message in self.newest_first():
            if message.id <= message_id:
                break
            newer.append(message)
        return newer[::-1]

    def delete(self, message_id: str) -> bool:
        message = self._messages.get(message_id)
        if message is None:
            return False
        self._drop(message)
        self._publish(Change("deleted", message))
        return True

    def clear(self) -> int:
        """Delete everything; the number of messages that were there."""
        count = len(self._messages)
        self._messages.clear()
        self.bytes = 0
        if self._folder is not None:
            self._folder.clear()
        self._publish(Change("cleared"))
        return count

    def subscribe(self) -> Subscription:
        """Use as ``with store.subscribe() as changes: ... await changes.next()``."""
        return Subscription(self)

    async def wait_for(
        self,
        predicate: Callable[[CapturedMessage], bool] = lambda _: True,
        timeout: float = 10.0,  # noqa: ASYNC109 (tests read better with the limit in the call)
    ) -> CapturedMessage:
        """The newest message that fits, waiting up to `timeout` seconds for it. Raises TimeoutError."""
        with self.subscribe() as changes:
            for message in self.newest_first():
                if predicate(message):
                    return message
            try:
                async with asyncio.timeout(timeout):
                    while (change := await changes.next()) is not None:
                        if change.kind == "added" and change.message is not None and predicate(change.message):
                            return change.message
            except TimeoutError:
                raise TimeoutError(f"no such message within {timeout:g} s; the inbox holds {len(self)}") from None
        raise TimeoutError("the inbox was closed while waiting")

    def close(self) -> None:
        """End all subscriptions. Messages stay readable."""
        self.closed = True
        for subscription in self._subscriptions:
            subscription.put(None)

    def _keep(self, message: CapturedMessage) -> None:
        self._messages[message.id] = message
        self.bytes += message.size

    def _drop(self, message: CapturedMessage) -> None:
        del self._messages[message.id]
        self.bytes -= message.size
        if self._folder is not None:
            self._folder.delete(message.id)

    def _trim(self) -> None:
        while len(self._messages) > self.max_messages or (self.bytes > self.max_bytes and len(self._messages) > 1):
            self._drop(next(iter(self._messages.values())))

    def _publish(self, change: Change) -> None:
        for subscription in self._subscriptions:
            subscription.put(change)
