"""What a server remembers between starts (its port and password), and the lock that keeps a second one out."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penguinmails_core.embedded.errors import EmbeddedError

_PASSWORD_BYTES = 24


def new_password() -> str:
    """32 characters of the URL-safe alphabet: needs no quoting in a URL, in SQL or in a configuration file."""
    return secrets.token_urlsafe(_PASSWORD_BYTES)


@dataclass
class State:
    """One server's memory, a JSON file readable by its owner only (mode 0600)."""

    path: Path
    port: int | None = None
    password: str | None = None

    @classmethod
    def load(cls, path: Path) -> State:
        """The state kept in `path`; empty when there is none or it is damaged (it can all be made anew)."""
        state = cls(path)
        try:
            data: Any = json.loads(path.read_text())
        except (FileNotFoundError, ValueError):
            return state
        if isinstance(data, dict):
            if isinstance(data.get("port"), int):
                state.port = data["port"]
            if isinstance(data.get("password"), str):
                state.password = data["password"] or None
        return state

    def save(self) -> None:
        """Replaces the file in one step, on disk before it returns: a cluster without its password is no use."""
        draft = self.path.with_name(self.path.name + ".new")
        with contextlib.suppress(FileNotFoundError):
            draft.unlink()
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump({"port": self.port, "password": self.password}, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path)


class FolderLock:
    """An exclusive `flock` on a file. The kernel drops it when the process ends, however it ends, so it is never stale.

    The descriptor is not inherited by programs started later; a child made by a plain `fork` would share the lock.
    """

    def __init__(self, path: Path, what: str) -> None:
        self._path = path
        self._what = what
        self._fd: int | None = None

    def acquire(self) -> None:
        """Raises `EmbeddedError` when another process, or another object of this one, holds the lock."""
        if self._fd is not None:
            return
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except PermissionError as error:
            raise EmbeddedError(
                f"{self._path} belongs to another user; run as the user who made this folder, or choose another folder"
            ) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
            os.close(fd)
            by = f" by process {holder}" if holder.isdigit() else ""
            raise EmbeddedError(
                f"{self._what} in {self._path.parent} is already in use{by}; stop that one first, "
                "or choose another folder"
            ) from error
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        self._fd = fd

    def release(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
