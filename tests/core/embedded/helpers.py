"""Asking the servers something, and running a stack in another process."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncpg

# Throwaway data: nobody pulls the plug of the machine, and a killed process loses nothing by it.
FAST = {"fsync": "off", "full_page_writes": "off"}

_PROGRAM = """
import encodings.idna, json, os, sys
from pathlib import Path
from penguinmails_core.embedded import EmbeddedError, EmbeddedStack
if uid := int(sys.argv[3]):  # only now: that user may not be able to read Python's own files
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)
stack = EmbeddedStack(Path(sys.argv[1]), postgres_settings=json.loads(sys.argv[2]))
try:
    stack.start()
except EmbeddedError as error:
    print(json.dumps({"error": str(error)}), flush=True)
    raise SystemExit(1)
servers = (stack.postgres, stack.valkey)
print(json.dumps({
    "uid": os.geteuid(), "database_url": stack.database_url, "redis_url": stack.redis_url,
    "pids": [server.pid for server in servers],
    "watchdogs": [server._process._watchdog.pid for server in servers],
}), flush=True)
sys.stdin.read()
stack.stop()
"""


def ask(dsn: str, *statements: str) -> Any:
    """Runs the statements; returns the single value of the last one."""

    async def run() -> Any:
        connection = await asyncpg.connect(dsn, timeout=10)
        try:
            for statement in statements[:-1]:
                await connection.execute(statement)
            return await connection.fetchval(statements[-1])
        finally:
            await connection.close()

    return asyncio.run(run())


class OtherProcess:
    """A Python process that runs a stack in `root` until its standard input closes. `report` is what it printed.

    `uid`: the user (and group) it becomes; 0 leaves it as it is.
    """

    def __init__(self, root: Path, *, uid: int = 0) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, str(root), json.dumps(FAST), str(uid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            _, errors = self.process.communicate()
            raise AssertionError(f"the stack did not start: {errors}")
        self.report: dict[str, Any] = json.loads(line)

    def finish(self) -> int:
        self.process.communicate(timeout=60)
        return self.process.returncode

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=60)
