"""The store: order, bounds, subscribers, and the folder that survives a restart and a crash."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from penguinmails_sender.inbox.store import CaptureStore
from penguinmails_sender.smtpd.received import Received


def received(raw: bytes = b"Subject: x\r\n\r\nhi\r\n", sender: str = "a@b.test") -> Received:
    when = datetime(2026, 11, 24, 12, 0, 0, 123_000, tzinfo=UTC)
    return Received(sender, ("c@d.test", "ü@d.test"), raw, when, "127.0.0.1:9", "host", True)


def raws(store: CaptureStore) -> list[bytes]:
    return [message.raw for message in store.newest_first()]


async def test_ids_sort_by_arrival() -> None:
    store = CaptureStore()
    ids = [store.add(received()).id for _ in range(500)]
    assert ids == sorted(set(ids))
    assert all(message_id.startswith("cap_") for message_id in ids)


async def test_oldest_go_when_there_are_too_many() -> None:
    store = CaptureStore(max_messages=3)
    for number in range(5):
        store.add(received(b"%d" % number))
    assert raws(store) == [b"4", b"3", b"2"]
    assert store.bytes == 3


async def test_oldest_go_when_there_are_too_many_bytes() -> None:
    store = CaptureStore(max_bytes=10)
    for number in range(4):
        store.add(received(b"%d" % number * 4))
    assert raws(store) == [b"3333", b"2222"]
    store.add(received(b"x" * 50))
    assert raws(store) == [b"x" * 50]


async def test_delete_and_clear_keep_the_count_right() -> None:
    store = CaptureStore(max_messages=2)
    first, second = store.add(received(b"1")), store.add(received(b"22"))
    assert store.delete(first.id) is True
    assert store.delete(first.id) is False
    assert store.get(first.id) is None
    assert (len(store), store.bytes) == (1, 2)
    store.add(received(b"333"))
    assert store.get(second.id) is second
    assert store.clear() == 2
    assert (len(store), store.bytes, raws(store)) == (0, 0, [])


@pytest.mark.parametrize("bounds", [{"max_messages": 0}, {"max_bytes": 0}])
def test_senseless_bounds_are_refused(bounds: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        CaptureStore(**bounds)  # type: ignore[arg-type]


async def test_newest_first_and_since_survive_deletion() -> None:
    store = CaptureStore()
    one, two, three = (store.add(received(raw)) for raw in (b"1", b"2", b"3"))
    store.delete(two.id)
    assert [message.raw for message in store.newest_first(before=two.id)] == [b"1"]
    assert [message.raw for message in store.since(two.id)] == [b"3"]
    assert store.since(three.id) == []
    assert [message.id for message in store.since(one.id)] == [three.id]


async def test_subscribers_hear_everything_in_order() -> None:
    store = CaptureStore()
    with store.subscribe() as changes:
        message = store.add(received())
        store.delete(message.id)
        store.clear()
        store.close()
        heard = [await changes.next() for _ in range(4)]
    assert [change and change.kind for change in heard] == ["added", "deleted", "cleared", None]
    with store.subscribe() as late:
        assert await late.next() is None


async def test_a_slow_subscriber_is_told_that_it_missed_something() -> None:
    store = CaptureStore()
    with store.subscribe() as changes:
        for number in range(300):
            store.add(received(b"%d" % number))
        first = await changes.next()
        assert changes.lagged is True
        assert first is not None
        assert first.message is not None
        assert first.message.raw == b"44"  # 300 - 256


async def test_wait_for() -> None:
    store = CaptureStore()
    waiting = asyncio.create_task(store.wait_for(lambda message: message.raw == b"2"))
    await asyncio.sleep(0)
    store.add(received(b"1"))
    second = store.add(received(b"2"))
    assert await waiting is second
    assert await store.wait_for() is second
    with pytest.raises(TimeoutError, match="the inbox holds 2"):
        await store.wait_for(lambda message: message.raw == b"3", timeout=0.01)
    closing = asyncio.create_task(store.wait_for(lambda message: False))
    await asyncio.sleep(0)
    store.close()
    with pytest.raises(TimeoutError, match="closed"):
        await closing


async def test_search_text_holds_addresses_subject_and_bodies() -> None:
    raw = b'From: "Ada" <ada@acme.test>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\nBody TEXT\r\n'
    message = CaptureStore().add(received(raw, "bounce+1@rp.test"))
    for word in ("ada@acme.test", "grüße", "body text", "bounce+1@rp.test", "c@d.test"):
        assert word in message.search
    assert message.summary.subject == "Grüße"


async def test_restart_keeps_messages(tmp_path: Path) -> None:
    folder = tmp_path / "inbox"
    store = CaptureStore(folder=folder)
    kept = [store.add(received(raw)) for raw in (b"1\r\n", b"2\n\xff", b"3")]
    store.delete(kept[1].id)
    again = CaptureStore(folder=folder)
    assert [(message.id, message.received) for message in again.newest_first()] == [
        (kept[2].id, kept[2].received),
        (kept[0].id, kept[0].received),
    ]
    assert again.add(received()).id > kept[2].id
    assert folder.stat().st_mode & 0o777 == 0o700
    again.clear()
    assert len(CaptureStore(folder=folder)) == 0
    assert [file.name for file in folder.iterdir()] == ["index.jsonl"]


async def test_bounds_hold_on_disk_and_at_load(tmp_path: Path) -> None:
    store = CaptureStore(folder=tmp_path, max_messages=3)
    for number in range(5):
        store.add(received(b"%d" % number))
    assert len(list(tmp_path.glob("*.eml"))) == 3
    assert raws(CaptureStore(folder=tmp_path, max_messages=2)) == [b"4", b"3"]
    assert len(list(tmp_path.glob("*.eml"))) == 2


async def test_a_crash_leaves_whole_messages_only(tmp_path: Path) -> None:
    store = CaptureStore(folder=tmp_path)
    whole = store.add(received(b"whole"))
    store.add(received(b"no line"))
    index = tmp_path / "index.jsonl"
    lines = index.read_bytes().splitlines(keepends=True)
    index.write_bytes(lines[0] + lines[1][:40] + b"\n" + b'[1]\n{"id": "../evil"}\n{"id": 5}\n')
    (tmp_path / "cap_00000000000000000000000000.eml.part").write_bytes(b"half")
    again = CaptureStore(folder=tmp_path)
    assert [message.id for message in again.newest_first()] == [whole.id]
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([f"{whole.id}.eml", "index.jsonl"])
    assert index.read_bytes() == lines[0]
