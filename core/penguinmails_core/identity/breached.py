"""Passwords known from breaches, looked up offline.

Two forms are read, both as the well-known SHA-1 collections are published: one file of ``HASH`` or ``HASH:COUNT``
lines sorted by hash (searched by halves, so its size does not matter), or a folder with a file for each first five
digits (``5BAA6`` or ``5BAA6.txt``) holding the other 35.
"""

from __future__ import annotations

import os
from hashlib import sha1
from pathlib import Path

from penguinmails_core.config import ConfigError


class BreachedPasswords:
    """`path` is the file or the folder. Raises `ConfigError` when there is nothing there."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise ConfigError(f"PENGUINMAILS_AUTH_BREACHED_PASSWORDS: there is no {path}")
        self._path = path

    def contains(self, password: str) -> bool:
        """Reads the disk: call it in a thread."""
        digest = sha1(password.encode(), usedforsecurity=False).hexdigest().upper()
        if self._path.is_dir():
            return self._in_folder(digest)
        return self._in_file(digest.encode())

    def _in_folder(self, digest: str) -> bool:
        for name in (digest[:5], digest[:5] + ".txt"):
            path = self._path / name
            if path.is_file():
                lines = path.read_text("ascii").upper().splitlines()
                return any(line.partition(":")[0] == digest[5:] for line in lines)
        return False

    def _in_file(self, digest: bytes) -> bool:
        with self._path.open("rb") as file:
            low, high = 0, file.seek(0, os.SEEK_END)
            while low < high:
                middle = (low + high) // 2
                if middle:  # to the first line that starts at `middle` or behind it
                    file.seek(middle - 1)
                    file.readline()
                else:
                    file.seek(0)
                start, line = file.tell(), file.readline()
                found = line[:40].upper()
                if found == digest:
                    return True
                if not line or found > digest:
                    high = middle
                else:
                    low = start + len(line)
        return False
