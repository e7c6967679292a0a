"""Messages in a folder: ``<id>.eml`` holds the bytes as received, ``index.jsonl`` one line of envelope for each.

A message counts when both are there. The .eml is complete (written aside, then renamed) before its line is added, so a
crash leaves at most a file without a line, which the next start removes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from penguinmails_core.kit import ids
from penguinmails_core.kit.clock import rfc3339
from penguinmails_sender.smtpd.received import Received

_INDEX = "index.jsonl"


class Folder:
    """One inbox's folder, made when absent (mode 0700: mail is private). Raises OSError when it cannot be used."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def load(self) -> Iterator[tuple[str, Received]]:
        """All messages, oldest first. Lines and files that do not belong together are cleaned away."""
        lines: dict[str, bytes] = {}
        loaded: list[tuple[str, Received]] = []
        index = self._path / _INDEX
        for line in index.read_bytes().splitlines() if index.exists() else ():
            entry = _parse(line)
            if entry is not None:
                lines[entry["id"]] = line
        for message_id in sorted(lines):
            received = self._read(message_id, orjson.loads(lines[message_id]))
            if received is not None:
                loaded.append((message_id, received))
        known = {message_id for message_id, _ in loaded}
        for file in self._path.glob("cap_*"):
            if file.name.removesuffix(".eml") not in known:
                file.unlink()
        self._write(_INDEX, b"".join(lines[message_id] + b"\n" for message_id, _ in loaded))
        yield from loaded

    def save(self, message_id: str, received: Received) -> None:
        self._write(message_id + ".eml", received.raw)
        entry = {
            "id": message_id,
            "envelope_sender": received.envelope_sender,
            "recipients": received.recipients,
            "received_at": rfc3339(received.received_at),
            "remote": received.remote,
            "helo": received.helo,
            "tls": received.tls,
        }
        with (self._path / _INDEX).open("ab") as index:
            index.write(orjson.dumps(entry) + b"\n")

    def delete(self, message_id: str) -> None:
        """Its line in the index dies with the file, at the next start."""
        (self._path / (message_id + ".eml")).unlink(missing_ok=True)

    def clear(self) -> None:
        for file in self._path.glob("cap_*.eml"):
            file.unlink(missing_ok=True)
        self._write(_INDEX, b"")

    def _write(self, name: str, data: bytes) -> None:
        aside = self._path / (name + ".part")
        aside.write_bytes(data)
        os.replace(aside, self._path / name)

    def _read(self, message_id: str, entry: dict[str, Any]) -> Received | None:
        try:
            raw = (self._path / (message_id + ".eml")).read_bytes()
            return Received(
                envelope_sender=str(entry["envelope_sender"]),
                recipients=tuple(str(recipient) for recipient in entry["recipients"]),
                raw=raw,
                received_at=datetime.fromisoformat(entry["received_at"]),
                remote=str(entry["remote"]),
                helo=str(entry["helo"]),
                tls=bool(entry["tls"]),
            )
        except (OSError, KeyError, TypeError, ValueError):
            return None


def _parse(line: bytes) -> dict[str, Any] | None:
    """A line of the index, or None for one that a crash cut short. The id becomes a file name, so it is checked."""
    try:
        entry = orjson.loads(line)
        ids.decode("cap", entry["id"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return entry if isinstance(entry, dict) else None
