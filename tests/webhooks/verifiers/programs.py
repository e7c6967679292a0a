"""Each verifier as a program: it reads requests as JSON and says of each `ok` or a code."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import penguinmails_webhooks
from tests.contract.node import node
from tests.fixtures.programs import program

DRIVERS = Path(__file__).parent / "drivers"
SOURCES = Path(penguinmails_webhooks.__file__).parent / "verifier_files"


def need(name: str) -> str:
    """Its path. Go is no part of the toolchains: without it its verifier is not tried, in CI either."""
    if name == "go" and shutil.which(name) is None:
        pytest.skip("go is not installed (https://go.dev/doc/install); its verifier was not tried")
    return program(name, hint=f"sh scripts/toolchains.sh {name}")


def judge(language: str, requests: Sequence[dict[str, Any]], folder: Path) -> list[str]:
    """What the verifier in `language` says of each request. `folder` is where things may be built."""
    stdin = json.dumps(list(requests))
    done = PROGRAMS[language](stdin, folder)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", done.stderr
    said: list[str] = json.loads(done.stdout)
    return said


def _run(command: Sequence[str], stdin: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, input=stdin, cwd=cwd, capture_output=True, text=True, timeout=100, check=False)


def _python(stdin: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return _run([sys.executable, "-W", "error", "-B", str(DRIVERS / "driver.py"), str(SOURCES)], stdin, folder)


def _javascript(stdin: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return node(DRIVERS / "driver.mjs", SOURCES, stdin=stdin)


def _php(stdin: str, folder: Path) -> subprocess.CompletedProcess[str]:
    strict = ("-d", "error_reporting=-1", "-d", "display_errors=stderr")
    return _run([need("php"), *strict, str(DRIVERS / "driver.php"), str(SOURCES)], stdin, folder)


def _ruby(stdin: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return _run([need("ruby"), "-w", str(DRIVERS / "driver.rb"), str(SOURCES)], stdin, folder)


def _go(stdin: str, folder: Path) -> subprocess.CompletedProcess[str]:
    go = need("go")
    (folder / "webhook").mkdir(exist_ok=True)
    (folder / "go.mod").write_text("module verifier\n\ngo 1.18\n")
    shutil.copy(DRIVERS / "driver.go", folder / "main.go")
    shutil.copy(SOURCES / "verify_webhook.go", folder / "webhook" / "verify_webhook.go")
    vetted = _run([go, "vet", "./..."], "", folder)
    assert vetted.returncode == 0, vetted.stderr
    return _run([go, "run", "."], stdin, folder)


PROGRAMS = {"python": _python, "javascript": _javascript, "php": _php, "ruby": _ruby, "go": _go}
