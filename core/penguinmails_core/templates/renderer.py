"""Rendering without waiting on the event loop: a few worker processes, started when first needed, each with a time and
a memory limit. One that does not answer in time is killed; the next request gets a fresh one."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson

from penguinmails_core.errors import Unavailable
from penguinmails_core.templates.worker import HEAD

log = logging.getLogger(__name__)

START_SECONDS = 30.0
_MODULE = "penguinmails_core.templates.worker"


@dataclass(frozen=True, slots=True)
class Rendered:
    """`missing` are variables that were needed, `errors` are {part, code, detail, line}: with either, the rest is of no
    use."""

    subject: str | None
    html: str | None
    text: str | None
    missing: tuple[str, ...] = ()
    errors: tuple[Mapping[str, Any], ...] = ()


class _Worker:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls) -> _Worker:
        """Nothing of our environment goes along: it may hold secrets."""
        path = os.pathsep.join(entry for entry in sys.path if entry)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # the working directory is nobody's library
            "-m",
            _MODULE,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={"PYTHONPATH": path, "PATH": os.environ.get("PATH", ""), "PYTHONDONTWRITEBYTECODE": "1"},
        )
        worker = cls(process)
        try:
            async with asyncio.timeout(START_SECONDS):
                await worker._read()
        except BaseException:
            await worker.stop()
            raise
        return worker

    async def ask(self, request: bytes) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(HEAD.pack(len(request)) + request)
        await self._process.stdin.drain()
        return await self._read()

    async def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        head = await self._process.stdout.readexactly(HEAD.size)
        answer: dict[str, Any] = orjson.loads(await self._process.stdout.readexactly(HEAD.unpack(head)[0]))
        return answer

    async def stop(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()
        if self._process.stdin is not None:
            self._process.stdin.close()
        await self._process.wait()


class Renderer:
    """`processes` at most work at a time; whoever comes then waits. `seconds`: what one template may take."""

    def __init__(self, *, processes: int = 2, seconds: float = 3.0) -> None:
        self._free: list[_Worker] = []
        self._slots = asyncio.Semaphore(processes)
        self._seconds = seconds
        self._closed = False

    async def check(self, version: Mapping[str, Any]) -> tuple[tuple[Mapping[str, Any], ...], tuple[str, ...]]:
        """What is wrong with a template, and which variables it uses."""
        answer = await self._ask({"do": "check", "version": version})
        if failed := _failure(answer, version):
            return (failed,), ()
        return tuple(answer["errors"]), tuple(answer["variables"])

    async def render(self, version: Mapping[str, Any], variables: Mapping[str, Any], seed: str = "") -> Rendered:
        """Raises `Unavailable` when no process can be started."""
        answer = await self._ask({"do": "render", "version": version, "variables": variables, "seed": seed})
        if failed := _failure(answer, version):
            return Rendered(None, None, None, (), (failed,))
        return Rendered(
            answer["subject"], answer["html"], answer["text"], tuple(answer["missing"]), tuple(answer["errors"])
        )

    async def lint(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """What `content_checks.lint` says; `failed` in it says that the message was too much."""
        return await self._ask({"do": "lint", "message": message})

    async def _ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        body = orjson.dumps(request)
        async with self._slots:
            worker = await self._worker()
            try:
                async with asyncio.timeout(self._seconds):
                    answer = await worker.ask(body)
            except (TimeoutError, asyncio.IncompleteReadError, ConnectionError):
                log.warning("templates: one took too long or too much memory; its process was ended")
                await worker.stop()
                return {"failed": "too_expensive"}
            except BaseException:  # whoever asked has gone: the answer that still comes is nobody else's
                await worker.stop()
                raise
            if answer.get("failed") == "too_expensive" or self._closed:
                await worker.stop()  # what it has taken is given back
            else:
                self._free.append(worker)
            return answer

    async def _worker(self) -> _Worker:
        if self._free:
            return self._free.pop()
        try:
            return await _Worker.start()
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            log.exception("templates: no process to render in")
            raise Unavailable("Templates cannot be rendered at the moment.", headers={"Retry-After": "2"}) from None

    async def close(self) -> None:
        self._closed = True
        while self._free:
            await self._free.pop().stop()


def _failure(answer: Mapping[str, Any], version: Mapping[str, Any]) -> Mapping[str, Any] | None:
    code = answer.get("failed")
    if code is None:
        return None
    detail = answer.get("detail") or "the template takes too long or too much memory"
    return {"part": version["format"], "code": code, "detail": detail, "line": None}
