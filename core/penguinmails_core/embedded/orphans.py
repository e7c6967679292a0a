"""What an earlier run of PostgreSQL, killed with everything around it, may have left in its data folder.

Called with the folder's lock held, so nothing found here belongs to a living program of ours: it is stopped, not
adopted, because a server that is not our child could neither be watched nor be trusted to have today's settings.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from pathlib import Path

from penguinmails_core.embedded.errors import EmbeddedError
from penguinmails_core.embedded.process import Escalation, command_line, processes_in, stop_stranger, wait_until

logger = logging.getLogger(__name__)

_PROGRAMS = {"postgres", "postmaster"}
# Larger than any process number (pid_max is at most 2^22 on Linux, 99999 on macOS).
_NOBODYS_PID = 2**31 - 1


def clear_previous_run(cluster: Path, escalation: Escalation) -> None:
    """Leaves `cluster` as a server that is not running would: stops an orphaned postmaster, disowns a number that now
    belongs to another program, ends leftover backends.

    A `postmaster.pid` of a dead process is left to PostgreSQL, which reads from it whether the old shared memory is
    still in use. Raises `EmbeddedError` when an orphan cannot be stopped.
    """
    pid_file = cluster / "postmaster.pid"
    try:
        lines = pid_file.read_text().splitlines()
    except FileNotFoundError:
        return
    if not lines or not lines[0].strip().lstrip("-").isdigit():  # the machine went down while it was written
        pid_file.unlink()
        return
    pid = abs(int(lines[0]))
    arguments = command_line(pid)
    if arguments and _is_ours(arguments, pid, cluster):
        logger.warning("stopping PostgreSQL process %d, left over from an earlier run", pid)
        stop_stranger(pid, escalation)
    elif arguments:  # PostgreSQL would refuse to start while that program runs
        lines[0] = str(_NOBODYS_PID)
        pid_file.write_text("\n".join(lines) + "\n")
    _end_backends(cluster)


def _is_ours(arguments: list[str], pid: int, cluster: Path) -> bool:
    if Path(arguments[0]).name not in _PROGRAMS:
        return False
    if str(cluster) in arguments:
        return True
    try:
        return Path(os.readlink(f"/proc/{pid}/cwd")) == cluster
    except OSError:
        return False


def _end_backends(cluster: Path) -> None:
    """Backends notice the death of their postmaster when they next wait, which in a long query may be minutes away.
    A crashed cluster replays its log anyway, so ending them at once loses nothing."""
    for pid in processes_in(cluster, "postgres"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if not wait_until(lambda: not processes_in(cluster, "postgres"), 10):
        raise EmbeddedError(f"PostgreSQL processes of an earlier run still work in {cluster} and do not end")
