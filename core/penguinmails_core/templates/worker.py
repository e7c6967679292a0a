"""The process that renders: JSON frames in, JSON frames out, until its input ends.

`python -m penguinmails_core.templates.worker`. It holds no secrets, no connections and little memory: a template that
gets past the engine's limits takes this process down and nothing else.
"""

from __future__ import annotations

import os
import struct
import sys
from contextlib import suppress
from typing import IO, Any

import orjson

HEAD = struct.Struct(">I")
MAX_MEMORY = 512 * 1024 * 1024  # of address space


def limit_memory() -> None:
    with suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def answer(request: dict[str, Any]) -> dict[str, Any]:
    from penguinmails_core.content_checks import lint
    from penguinmails_core.templates import engine

    try:
        if request["do"] == "lint":
            return lint.lint(request["message"])
        if request["do"] == "check":
            return engine.check(request["version"])
        return engine.render(request["version"], request["variables"], request["seed"])
    except (MemoryError, RecursionError):
        return {"failed": "too_expensive"}
    except Exception as error:  # a filter that meets what it did not expect is the template's fault, not ours
        return {"failed": "liquid_error", "detail": f"{type(error).__name__}: {str(error)[:200]}"}


def serve(incoming: IO[bytes], outgoing: IO[bytes]) -> None:
    def put(value: dict[str, Any]) -> None:
        body = orjson.dumps(value)
        outgoing.write(HEAD.pack(len(body)) + body)
        outgoing.flush()

    from penguinmails_core.content_checks import lint  # noqa: F401  (before the first request, as the engine)
    from penguinmails_core.templates import engine  # noqa: F401  (before the first request, which has a time limit)

    limit_memory()
    put({"ready": os.getpid()})
    while len(head := incoming.read(HEAD.size)) == HEAD.size:
        put(answer(orjson.loads(incoming.read(HEAD.unpack(head)[0]))))


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)
