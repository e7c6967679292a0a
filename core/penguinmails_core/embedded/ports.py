"""Free TCP ports on the loopback address."""

from __future__ import annotations

import random
import socket

from penguinmails_core.embedded.errors import EmbeddedError

LOOPBACK = "127.0.0.1"
# Below the range that Linux (32768) and macOS (49152) give to outgoing connections: such a connection can then never
# sit on the port of a server that is being restarted.
_FIRST, _LAST = 20_000, 32_000
_TRIES = 200


def is_free(port: int) -> bool:
    """Whether a server could listen on 127.0.0.1:`port` now. Asked the way servers do it, with SO_REUSEADDR."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port that was free a moment ago; whoever listens on it must be ready to lose the race and ask again.

    Raises `OSError` when no free port was found.
    """
    for _ in range(_TRIES):
        port = random.randint(_FIRST, _LAST)
        if is_free(port):
            return port
    raise OSError(f"no free TCP port between {_FIRST} and {_LAST} on {LOOPBACK}")


def choose_port(server: str, fixed: int | None, last: int | None, *, first: bool) -> int:
    """The port for a start: `fixed` when given, else the `last` one used if it is free and this is the `first` try.

    Raises `EmbeddedError` when the fixed port is taken.
    """
    if fixed is not None:
        if not is_free(fixed):
            raise EmbeddedError(f"port {fixed} for {server} is taken by another program; stop it, or name another port")
        return fixed
    if first and last is not None and is_free(last):
        return last
    return free_port()


def port_is_lost(output: str) -> bool:
    """Whether a server's log says that somebody else took its port first."""
    return any(words in output for words in ("Address already in use", "could not bind", "Failed listening on port"))
