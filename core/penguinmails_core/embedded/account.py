"""Which user the servers run as, and folders that user can reach.

PostgreSQL refuses to run as root. A root parent therefore starts the servers as an existing unprivileged user and
keeps what only the parent needs (state, locks, logs) to itself. An ordinary user runs them as themselves.
"""

from __future__ import annotations

import hashlib
import logging
import os
import pwd
import secrets
import shutil
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penguinmails_core.embedded.errors import EmbeddedError

logger = logging.getLogger(__name__)

# `initdb` looks its user up by name, so a bare number will not do; these exist without any tool to make them.
_CANDIDATES = ("penguinmails", "postgres", "nobody")
# Where a root-run stack keeps server files when its own folder is closed to other users (a checkout in /root).
_FALLBACK_HOMES = (Path("/var/lib/penguinmails"), Path("/var/tmp/penguinmails"))  # noqa: S108 (root-owned, checked)


@dataclass(frozen=True, slots=True)
class Account:
    """The user of the servers. `uid` is None when they run as the calling user."""

    name: str
    uid: int | None = None
    gid: int | None = None

    def popen(self) -> dict[str, Any]:
        """Arguments for `subprocess` that make the child run as this user and nobody else's groups."""
        if self.uid is None:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def give(self, path: Path) -> None:
        """Makes `path` (not what is in it) belong to this user."""
        if self.uid is not None:
            try:
                os.chown(path, self.uid, self.gid if self.gid is not None else -1)
            except OSError as error:  # root in a user namespace that maps no other users
                raise EmbeddedError(
                    f"{path} cannot be given to user {self.name}, who runs the server: {error.strerror}; "
                    "run as an ordinary user, or set DATABASE_URL and REDIS_URL to running servers"
                ) from error


def server_account(data: Path) -> Account:
    """The user for the server whose files are in `data`: the owner of existing files, else the first that fits.

    Raises `EmbeddedError` when the files belong to somebody this process cannot act as.
    """
    try:
        owner = data.stat() if data.exists() else None
    except PermissionError as error:
        raise EmbeddedError(
            f"{data} is closed to user {_user_name(os.geteuid())}; run as the user who made it, "
            "or choose another folder"
        ) from error
    if os.geteuid() != 0:
        if owner is not None and owner.st_uid != os.geteuid():
            raise EmbeddedError(
                f"{data} belongs to user {_user_name(owner.st_uid)}, but this process runs as "
                f"{_user_name(os.geteuid())}; run as that user, or choose another folder"
            )
        return Account(_user_name(os.geteuid()))
    if owner is not None and owner.st_uid != 0:
        return Account(_user_name(owner.st_uid), owner.st_uid, owner.st_gid)
    for name in _CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise EmbeddedError(
        "PostgreSQL does not run as root and none of the users " + ", ".join(_CANDIDATES) + " exists; "
        "run as an ordinary user, or make one: useradd --system penguinmails"
    )


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def closed_parent(path: Path, account: Account) -> Path | None:
    """The first folder on the way to `path` (itself included) that `account` may not enter; None when all are open."""
    if account.uid is None:
        return None
    resolved = path.resolve()
    for folder in (*reversed(resolved.parents), resolved):
        try:
            info = folder.stat()
        except FileNotFoundError:
            return None
        if not stat.S_ISDIR(info.st_mode):
            return None
        if info.st_uid == account.uid:
            allowed = info.st_mode & stat.S_IXUSR
        elif info.st_gid == account.gid:
            allowed = info.st_mode & stat.S_IXGRP
        else:
            allowed = info.st_mode & stat.S_IXOTH
        if not allowed:
            return folder
    return None


def open_folder(path: Path, account: Account) -> None:
    """Makes `path`, and lets `account` pass through it (never list it). Folders above it that were there stay as is."""
    path = path.resolve()
    made = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise EmbeddedError(f"{path} is not a folder; remove it, or choose another folder") from error
    except OSError as error:
        raise EmbeddedError(
            f"{path} cannot be made: {error.strerror}; choose a folder that user {_user_name(os.geteuid())} can write"
        ) from error
    if account.uid is not None:
        for folder in {path, *made}:
            folder.chmod(stat.S_IMODE(folder.stat().st_mode) | 0o011)


def server_folder(path: Path, account: Account) -> Path:
    """A folder at `path` that belongs to `account` (mode 0700) and that it can reach; returns where it really is.

    When a parent is closed to `account`, the folder is made in /var/lib/penguinmails and `path` becomes a link to it:
    opening a foreign parent, say /root, to everybody would be worse.
    """
    if not path.exists():
        path.unlink(missing_ok=True)  # a link whose target somebody removed
        if closed_parent(path.parent, account) is None:
            path.mkdir(mode=0o700)
        else:
            target = _fallback_home(account, path) / f"{path.name}-{secrets.token_hex(6)}"
            target.mkdir(mode=0o700)
            path.symlink_to(target)
            logger.warning("%s is closed to user %s: %s is kept in %s", path.parent, account.name, path.name, target)
        account.give(path.resolve())
    elif (closed := closed_parent(path, account)) is not None:
        raise EmbeddedError(
            f"user {account.name}, who runs the server, may not enter {closed}; fix: chmod o+x {closed}, "
            f"or choose another folder than {path}"
        )
    return path.resolve()


def reachable_copy(folder: Path, account: Account, *, beside: Sequence[Path] = (), skip: Sequence[str] = ()) -> Path:
    """`folder` itself when `account` can reach it, else a copy where it can (made once for each version of it).

    `beside`: folders next to it that it cannot do without. `skip`: names inside that it can.
    """
    if closed_parent(folder, account) is None:
        return folder
    stamp = f"{folder.resolve()}:{folder.stat().st_mtime_ns}"
    home = _fallback_home(account, folder) / f"programs-{hashlib.sha256(stamp.encode()).hexdigest()[:16]}"
    if not home.exists():
        draft = home.with_name(f"{home.name}.{secrets.token_hex(4)}")
        for source in (folder, *beside):
            shutil.copytree(source, draft / source.name, symlinks=True, ignore=shutil.ignore_patterns(*skip))
        for path in (draft, *draft.rglob("*")):  # a strict umask at installation closed more than the way
            if not path.is_symlink():
                mode = stat.S_IMODE(path.stat().st_mode)
                path.chmod(mode | 0o444 | (0o111 if mode & stat.S_IXUSR else 0))
        try:
            draft.rename(home)
        except OSError:  # another process was faster
            shutil.rmtree(draft, ignore_errors=True)
    return home / folder.name


def _fallback_home(account: Account, wanted: Path) -> Path:
    for home in _FALLBACK_HOMES:
        try:
            home.mkdir(mode=0o755, exist_ok=True)
        except OSError:
            continue
        if home.stat().st_uid == 0 and not home.is_symlink() and closed_parent(home, account) is None:
            return home
    raise EmbeddedError(
        f"user {account.name}, who runs the server, may not enter {closed_parent(wanted, account)}, and none of "
        + ", ".join(str(home) for home in _FALLBACK_HOMES)
        + " can be used instead; choose a folder that every user may enter, or run as an ordinary user"
    )
