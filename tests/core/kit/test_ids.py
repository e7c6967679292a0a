"""TypeIDs and UUIDv7."""

from __future__ import annotations

import os
import time
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penguinmails_core.kit import ids


@given(st.uuids())
def test_typeid_round_trips(value: uuid.UUID) -> None:
    text = ids.encode("msg", value)
    assert len(text) == 30
    assert ids.decode("msg", text) == value


def test_known_vectors_of_the_typeid_specification() -> None:
    assert ids.encode("x", uuid.UUID(int=0)) == "x_00000000000000000000000000"
    assert ids.encode("x", uuid.UUID(int=2**128 - 1)) == "x_7zzzzzzzzzzzzzzzzzzzzzzzzz"
    assert ids.encode("x", uuid.UUID("0110c853-1d09-52d8-d73e-1194e95b5f19")) == "x_0123456789abcdefghjkmnpqrs"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "msg",
        "msg_",
        "evt_00000000000000000000000000",
        "msg_8zzzzzzzzzzzzzzzzzzzzzzzzz",  # 129 bits
        "msg_0000000000000000000000000",  # 25 characters
        "msg_0000000000000000000000000O",
        "msg_0000000000000000000000000i",
        "MSG_00000000000000000000000000",
    ],
)
def test_malformed_ids_are_refused(text: str) -> None:
    with pytest.raises(ids.IdError):
        ids.decode("msg", text)


def test_new_uuids_are_version_7_and_sort_by_time() -> None:
    value = ids.new_uuid()
    assert value.version == 7
    assert value.variant == uuid.RFC_4122
    assert abs((value.int >> 80) - time.time_ns() // 1_000_000) < 5_000
    assert ids.uuid_at(1) < ids.uuid_at(2)
    assert len({ids.new_uuid() for _ in range(1000)}) == 1000


def test_random_uuids_are_version_4() -> None:
    assert ids.random_uuid().version == 4


def test_a_forked_process_makes_ids_of_its_own() -> None:
    ids.random_uuid()  # there is entropy left over
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writer, ids.random_uuid().bytes)
        os._exit(0)
    os.waitpid(pid, 0)
    theirs = os.read(reader, 16)
    os.close(reader)
    os.close(writer)
    assert theirs != ids.random_uuid().bytes


def test_the_next_id_is_a_neighbour_and_still_a_uuid7() -> None:
    first = ids.new_uuid()
    second = ids.next_uuid(first)
    assert second.int == first.int + 1
    assert (second.version, second.variant) == (7, uuid.RFC_4122)
    assert second > first


def test_the_counter_does_not_run_into_the_variant() -> None:
    last = uuid.UUID(bytes=ids.new_uuid().bytes[:8] + b"\xbf" + b"\xff" * 7)
    following = ids.next_uuid(last)
    assert (following.version, following.variant) == (7, uuid.RFC_4122)
    assert following != last
