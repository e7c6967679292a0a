"""The `penguinmails` command as a user runs it: a process with its own folder and a clean environment."""

from __future__ import annotations

import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

COMMAND = (sys.executable, "-P", "-m", "penguinmails_api.cli")
START_SECONDS = 60.0
STOP_SECONDS = 60.0


def clean_environment(folder: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Ours without any PenguinMails setting, so that nothing of the developer's machine leaks in."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PENGUINMAILS_") and name not in ("DATABASE_URL", "REDIS_URL")
    }
    return (
        kept | {"TMPDIR": str(folder), "NO_COLOR": "1", "COLUMNS": "120", "PYTHONWARNINGS": "error"} | dict(extra or {})
    )


def run(
    *arguments: str, folder: Path, env: Mapping[str, str] | None = None, seconds: float = START_SECONDS, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """One command to its end, in `folder`, with `stdin` on standard input."""
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env=clean_environment(folder, env),
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )


def new_folder() -> Path:
    """A folder that PostgreSQL's own user can reach, too (pytest's are closed to others)."""
    folder = Path(tempfile.mkdtemp(prefix="pm-e2e-"))
    folder.chmod(0o755)
    return folder


def _hear_interrupts() -> None:
    """A shell starts what runs in the background deaf to Ctrl-C, and the deafness is inherited."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Program:
    """``with Program("sandbox", "--json") as program``: `line()` gives standard output line by line.

    Leaving kills what is still there and removes `folder`, when it was made here.
    """

    def __init__(self, *arguments: str, folder: Path | None = None, env: Mapping[str, str] | None = None) -> None:
        self._own_folder = folder is None
        self.folder = folder or new_folder()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __exit__
        self.process = subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=self.folder,
            env=clean_environment(self.folder, env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            preexec_fn=_hear_interrupts,
        )
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def line(self, seconds: float = START_SECONDS) -> str:
        """The next line of standard output. Raises AssertionError with standard error when none comes."""
        try:
            line = self._lines.get(timeout=seconds)
        except queue.Empty:
            raise AssertionError(f"no line within {seconds} s; standard error:\n{self.errors()}") from None
        assert line is not None, f"standard output ended; standard error:\n{self.errors()}"
        return line

    def rest(self) -> list[str]:
        """The lines that were not asked for; call it when the process has ended."""
        self._reader.join(STOP_SECONDS)
        lines = []
        while not self._lines.empty():
            if (line := self._lines.get()) is not None:
                lines.append(line)
        return lines

    def errors(self) -> str:
        self._errors.seek(0)
        return self._errors.read().decode("utf-8", "replace")

    def close_stdin(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and give the exit code."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        return self.process.wait(STOP_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._reader.join(STOP_SECONDS)
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()
        self._errors.close()
        if self._own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)


def descendants(pid: int) -> set[int]:
    """All processes that `pid` started, directly or not."""
    children: dict[int, list[int]] = {}
    for child, parent in _processes():
        children.setdefault(parent, []).append(child)
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        for child in children.get(waiting.pop(), []):
            if child not in found:
                found.add(child)
                waiting.append(child)
    return found


def alive(pids: Sequence[int] | set[int]) -> set[int]:
    return {child for child, _ in _processes()} & set(pids)


def _processes() -> list[tuple[int, int]]:
    """(pid, parent) of everything that runs; the dead that nobody has buried yet do not count."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,stat="], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in listed.splitlines()]
    return [(int(row[0]), int(row[1])) for row in rows if not row[2].startswith("Z")]
