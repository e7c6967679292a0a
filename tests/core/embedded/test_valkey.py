from __future__ import annotations

import os
import signal
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError

from penguinmails_core.embedded import EmbeddedError, EmbeddedValkey
from penguinmails_core.embedded.process import command_line, wait_until


@contextmanager
def _client(url: str) -> Iterator[Redis]:
    client = Redis.from_url(url)
    try:
        yield client
    finally:
        client.close()


def test_it_answers_and_forgets(folder: Path) -> None:
    with EmbeddedValkey(folder) as first:
        url = first.url
        with _client(url) as client:
            assert client.set("key", "value")
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
            assert client.config_get("bind") == {"bind": "127.0.0.1"}
            assert client.config_get("save") == {"save": ""}
            assert client.config_get("appendonly") == {"appendonly": "no"}
    assert not first.running
    with EmbeddedValkey(folder) as second:
        assert second.url == url
        with _client(url) as client:
            assert client.get("key") is None


def test_the_password_is_required_and_hidden(folder: Path) -> None:
    with EmbeddedValkey(folder) as valkey:
        password = valkey.url.split(":")[2].split("@")[0]
        for wrong in (f":{password}@", ""), (password, "guess"):
            with _client(valkey.url.replace(*wrong)) as client, pytest.raises(AuthenticationError):
                client.ping()
        assert password not in " ".join(command_line(valkey.pid))
    assert password not in valkey.log.read_text()
    assert stat.S_IMODE((folder / "valkey.json").stat().st_mode) == 0o600


def test_it_starts_again_after_a_kill(folder: Path) -> None:
    with EmbeddedValkey(folder) as valkey:
        url = valkey.url
        valkey.kill()
        assert not valkey.running
        valkey.start()
        os.kill(valkey.pid, signal.SIGKILL)
        assert wait_until(lambda: not valkey.running, 10)
        valkey.start()
        assert valkey.url == url
        with _client(url) as client:
            assert client.ping()


def test_a_taken_port_is_left_to_its_owner(folder: Path) -> None:
    with EmbeddedValkey(folder) as valkey:
        port = valkey.port
    with socket.create_server(("127.0.0.1", port)):
        with EmbeddedValkey(folder) as valkey:
            assert valkey.port != port
        with pytest.raises(EmbeddedError, match=f"port {port} for Valkey is taken"):
            EmbeddedValkey(folder, port=port).start()


def test_a_port_lost_between_choice_and_start_is_replaced(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from penguinmails_core.embedded import ports

    with EmbeddedValkey(folder) as valkey:
        port = valkey.port
    truth = ports.is_free
    monkeypatch.setattr(ports, "is_free", lambda asked: asked == port or truth(asked))
    with socket.create_server(("127.0.0.1", port)), EmbeddedValkey(folder) as valkey:
        assert valkey.port != port


def test_a_second_server_on_the_same_folder_is_refused(folder: Path) -> None:
    with (
        EmbeddedValkey(folder),
        pytest.raises(EmbeddedError, match=r"the Valkey server in .* is already in use by process"),
    ):
        EmbeddedValkey(folder).start()


def test_a_program_that_is_no_server_is_shown_with_its_words(folder: Path) -> None:
    program = folder / "valkey-server"
    program.write_text("#!/bin/sh\necho it is broken\nexit 3\n")
    program.chmod(0o755)
    with pytest.raises(EmbeddedError, match=r"did not start.*\n.*\n  it is broken"):
        EmbeddedValkey(folder / "data", binary=program).start()
    with pytest.raises(EmbeddedError, match="is not a program"):
        EmbeddedValkey(folder / "data", binary=folder / "absent").start()
