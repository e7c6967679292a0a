"""What an embedded server says when it cannot do its work."""

from __future__ import annotations

from pathlib import Path

_TAIL_BYTES = 16_384


def log_tail(log: Path, lines: int = 15, *, start: int = 0) -> str:
    """The last `lines` lines that `log` got after byte `start`; empty when there is no log."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(start, size - _TAIL_BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


class EmbeddedError(Exception):
    """An embedded server cannot start, run or stop.

    The message says what happened and how to fix it, and ends with the server's last log lines when there are any.
    """

    def __init__(self, message: str, *, log: Path | None = None, output: str | None = None) -> None:
        tail = output.strip() if output is not None else log_tail(log) if log is not None else ""
        if tail:
            origin = f"last lines of {log}" if log is not None else "it said"
            message += f"\n{origin}:\n" + "\n".join("  " + line for line in tail.splitlines())
        super().__init__(message)
