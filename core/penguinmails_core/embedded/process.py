"""Server processes: started quietly, watched, stopped with escalation, found again after a crash.

**Servers end with their parent.** Every server has a watchdog: a tiny `sh` that waits on a pipe whose other end only
the parent holds. When the parent ends, killed or not, the kernel closes the pipe and the watchdog stops the server.
PR_SET_PDEATHSIG would need no helper, but it fires when the *thread* that started the server ends, which with
`asyncio.to_thread` is long before the process does; it is Linux only, and needs Python code between fork and exec.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from penguinmails_core.embedded.account import Account
from penguinmails_core.embedded.errors import EmbeddedError

# (signal, seconds to wait for it to work), the gentlest first.
Escalation = Sequence[tuple[signal.Signals, float]]

_POLL = 0.02
_LOG_LIMIT = 10 * 1024 * 1024
# $1 the server, $2 the polite signal, $3 the rude one.
_WATCHDOG = """
read -r _
kill -"$2" "$1" 2>/dev/null || exit 0
for wait in 1 1 1 1 1 1 1 1 1 1; do sleep "$wait"; kill -0 "$1" 2>/dev/null || exit 0; done
kill -"$3" "$1" 2>/dev/null || exit 0
sleep 5
kill -KILL "$1" 2>/dev/null
"""


def clean_environment() -> dict[str, str]:
    """No PG* variables that would change the server, no secrets it has no business with, messages in English."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH") if name in os.environ}
    return {"PATH": os.defpath, **kept, "LC_ALL": "C", "TZ": "UTC"}


def run_tool(argv: Sequence[str | Path], account: Account, what: str, *, stdin: str = "", timeout: float = 120) -> str:
    """Runs a short program as `account`; returns what it printed. Raises `EmbeddedError` with `what` when it fails."""
    try:
        done: subprocess.CompletedProcess[str] = subprocess.run(
            [str(part) for part in argv],
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            cwd="/",
            env=clean_environment(),
            start_new_session=True,
            umask=0o077,
            **account.popen(),
        )
    except subprocess.TimeoutExpired as error:
        raise EmbeddedError(f"{what} took longer than {timeout:g} s") from error
    except OSError as error:
        raise EmbeddedError(f"{what}: {argv[0]} cannot be run as user {account.name}: {error.strerror}") from error
    if done.returncode != 0:
        raise EmbeddedError(f"{what} failed", output=done.stdout)
    return done.stdout


class ServerProcess:
    """A running server with its watchdog. `log` gets everything it prints."""

    def __init__(
        self,
        argv: Sequence[str | Path],
        *,
        account: Account,
        log: Path,
        escalation: Escalation,
        stdin: str | None = None,
    ) -> None:
        self._escalation = escalation
        if log.exists() and log.stat().st_size > _LOG_LIMIT:
            log.replace(log.with_name(log.name + ".1"))
        with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as output:
            self.log_start = output.seek(0, os.SEEK_END)
            try:
                # Own session: Ctrl-C in a terminal must reach the program, which then stops its servers in order.
                self._server = subprocess.Popen(
                    [str(part) for part in argv],
                    stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd="/",
                    env=clean_environment(),
                    start_new_session=True,
                    umask=0o077,
                    **account.popen(),
                )
            except OSError as error:
                raise EmbeddedError(f"{argv[0]} cannot be run as user {account.name}: {error.strerror}") from error
        self.pid = self._server.pid
        polite, rude = escalation[0][0], escalation[-2][0] if len(escalation) > 2 else signal.SIGKILL
        try:
            self._watchdog = self._watch(polite, rude, account)
        except BaseException:
            self._server.kill()
            self._server.wait()
            raise
        if stdin is not None and self._server.stdin is not None:
            with contextlib.suppress(BrokenPipeError), self._server.stdin as pipe:
                pipe.write(stdin.encode())

    def _watch(self, polite: signal.Signals, rude: signal.Signals, account: Account) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            ["/bin/sh", "-c", _WATCHDOG, "watchdog", str(self.pid), polite.name[3:], rude.name[3:]],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env=clean_environment(),
            start_new_session=True,
            **account.popen(),
        )

    def running(self) -> bool:
        """Whether the server still runs. Looks without collecting it: its number stays reserved for the watchdog."""
        if not hasattr(os, "waitid"):  # macOS before Python 3.13
            return self._server.poll() is None
        if self._server.returncode is not None:
            return False
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        try:
            return os.waitid(os.P_PID, self.pid, flags) is None
        except ChildProcessError:
            return False

    def wait_for(self, ready: Callable[[], bool], seconds: float) -> bool:
        """Returns when the server is `ready` or has ended; False when neither happened in time."""
        return wait_until(lambda: not self.running() or ready(), seconds)

    def stop(self) -> None:
        """Stops the server, more firmly each time it does not listen, and collects it. A stopped one is fine too."""
        self._disarm()
        try:
            for number, seconds in self._escalation:
                self._server.send_signal(number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._server.wait(seconds)
                    return
        except BaseException:  # a second Ctrl-C: no orphans, whatever happens
            self._server.kill()
            self._server.wait()
            raise
        raise EmbeddedError(f"process {self.pid} does not end, not even by SIGKILL; a disk or the kernel hangs")

    def kill(self) -> None:
        """SIGKILL, at once: what a crash looks like."""
        self._disarm()
        self._server.kill()
        self._server.wait()

    def _disarm(self) -> None:
        self._watchdog.kill()
        self._watchdog.wait()
        if self._watchdog.stdin is not None:
            self._watchdog.stdin.close()


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Asks `condition` often until it holds; False when it still does not after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL)
    return True


def command_line(pid: int) -> list[str]:
    """The arguments of process `pid`; empty when it is gone, a zombie, or not ours to see."""
    proc = Path("/proc")
    if (proc / "self/cmdline").exists():
        try:
            return [os.fsdecode(part) for part in (proc / str(pid) / "cmdline").read_bytes().split(b"\0") if part]
        except OSError:
            return []
    listed = subprocess.run(["ps", "-p", str(pid), "-o", "args="], capture_output=True, text=True, check=False)
    return listed.stdout.split()


def processes_in(folder: Path, program: str) -> list[int]:
    """Numbers of the processes called `program` that work in `folder` (Linux; elsewhere none are found)."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.readlink(entry / "cwd") == str(folder) and (entry / "comm").read_text().strip() == program:
                found.append(int(entry.name))
    return found


def stop_stranger(pid: int, escalation: Escalation) -> None:
    """Stops a process that this one did not start. Raises `EmbeddedError` when it cannot be stopped."""
    for number, seconds in escalation:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        except PermissionError as error:
            raise EmbeddedError(
                f"process {pid} is left over from an earlier run and belongs to another user; fix: sudo kill {pid}"
            ) from error
        if wait_until(lambda: not command_line(pid), seconds):
            return
    raise EmbeddedError(f"process {pid} is left over from an earlier run and does not end; fix: kill -9 {pid}")
