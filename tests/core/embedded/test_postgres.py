from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
from pathlib import Path

import asyncpg
import pytest

from penguinmails_core.embedded import EmbeddedError, EmbeddedPostgres, ports
from penguinmails_core.embedded.account import server_account
from penguinmails_core.embedded.process import command_line, processes_in, wait_until
from tests.core.embedded.helpers import FAST, ask

DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")


def _postgres(folder: Path) -> EmbeddedPostgres:
    return EmbeddedPostgres(folder, settings=FAST)


def test_a_restart_keeps_data_port_and_password(folder: Path) -> None:
    with _postgres(folder) as first:
        dsn = first.dsn()
        assert ask(dsn, "create table kept (n int)", "insert into kept values (7) returning n") == 7
    assert not first.running
    with _postgres(folder) as second:
        assert second.dsn() == dsn
        assert ask(dsn, "select n from kept") == 7


def test_start_and_stop_may_be_repeated(folder: Path) -> None:
    postgres = _postgres(folder)
    postgres.stop()
    postgres.start()
    pid = postgres.pid
    postgres.start()
    assert postgres.pid == pid
    postgres.stop()
    postgres.stop()
    with pytest.raises(EmbeddedError, match="not started"):
        _ = postgres.pid


def test_the_cluster_is_utf8_durable_and_private(folder: Path) -> None:
    with EmbeddedPostgres(folder) as postgres:
        dsn = postgres.dsn()
        assert ask(dsn, "select current_database()") == "penguinmails"
        for name, value in {
            "server_encoding": "UTF8",
            "fsync": "on",
            "synchronous_commit": "on",
            "listen_addresses": "127.0.0.1",
            "max_connections": "200",
            "idle_in_transaction_session_timeout": "1min",
            "password_encryption": "scram-sha-256",
        }.items():
            assert ask(dsn, f"show {name}") == value, name
        assert ask(dsn, "select lower('ÄÖ')") == "äö"
        assert ask(dsn, "select string_agg(c, '' order by c) from unnest(array['b', 'A', 'a', 'B']) c") == "ABab"
        methods = ask(dsn, "select array_agg(distinct auth_method) from pg_hba_file_rules")
        assert methods == ["scram-sha-256"]
    state = folder / "postgres.json"
    assert stat.S_IMODE(state.stat().st_mode) == 0o600
    password = dsn.split(":")[2].split("@")[0]
    assert password in state.read_text()
    assert password not in postgres.log.read_text()


def test_a_wrong_password_is_refused(folder: Path) -> None:
    with _postgres(folder) as postgres:
        password = postgres.dsn().split(":")[2].split("@")[0]
        with pytest.raises(asyncpg.InvalidPasswordError):
            ask(postgres.dsn().replace(password, "guess"), "select 1")
        with pytest.raises(asyncpg.InvalidPasswordError):
            ask(postgres.dsn().replace(f":{password}", ""), "select 1")


def test_committed_data_survives_a_kill(folder: Path) -> None:
    with _postgres(folder) as postgres:
        dsn = postgres.dsn()
        ask(dsn, "create table kept as select generate_series(1, 1000) n", "select 1")
        postgres.kill()
        assert not postgres.running
        postgres.start()
        assert postgres.dsn() == dsn
        assert ask(dsn, "select count(*) from kept") == 1000


def test_a_server_killed_from_outside_in_mid_query_recovers(folder: Path) -> None:
    with _postgres(folder) as postgres:
        ask(postgres.dsn(), "create table kept as select 1 n", "select 1")
        # A backend that looks at nothing but its arithmetic outlives its postmaster.
        work = "select count(*) from (select generate_series(1, 10000000000)) s"
        psql: list[str | Path] = [postgres.bin_dir / "psql", "-X", "-d", postgres.dsn(), "-c", work]
        cluster = (folder / "home" / "data").resolve()
        with subprocess.Popen(psql, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as client:
            try:
                active = f"select exists (select from pg_stat_activity where query = '{work}')"
                assert wait_until(lambda: bool(ask(postgres.dsn(), active)), 30)
                os.kill(postgres.pid, signal.SIGKILL)
                assert wait_until(lambda: not postgres.running, 10)
                left = processes_in(cluster, "postgres")
                postgres.start()
                assert ask(postgres.dsn(), "select n from kept") == 1
                assert not [pid for pid in left if command_line(pid)]
            finally:
                client.kill()


def test_a_pid_file_naming_another_program_does_not_stop_the_start(folder: Path) -> None:
    with _postgres(folder) as postgres:
        pid_file = folder / "home" / "data" / "postmaster.pid"
        lines = pid_file.read_text().splitlines()
        postgres.kill()
        account = server_account(folder / "home")
        with subprocess.Popen(["sleep", "600"], cwd="/", **account.popen()) as innocent:
            try:
                pid_file.write_text("\n".join([str(innocent.pid), *lines[1:]]) + "\n")
                postgres.start()
                assert ask(postgres.dsn(), "select 1") == 1
                assert innocent.poll() is None
            finally:
                innocent.kill()


@pytest.mark.parametrize("content", ["", "\n", "garbage\n"])
def test_a_damaged_pid_file_does_not_stop_the_start(folder: Path, content: str) -> None:
    with _postgres(folder) as postgres:
        postgres.kill()
        (folder / "home" / "data" / "postmaster.pid").write_text(content)
        postgres.start()
        assert ask(postgres.dsn(), "select 1") == 1


def test_an_interrupted_first_start_is_begun_again(folder: Path) -> None:
    with _postgres(folder):
        pass
    cluster = folder / "home" / "data"
    cluster.rename(cluster.with_name("data.new"))
    with _postgres(folder) as postgres:
        assert ask(postgres.dsn(), "select 1") == 1
    assert not cluster.with_name("data.new").exists()


@pytest.mark.parametrize("damage", ["", "{", "[]", None])
def test_a_lost_password_is_replaced(folder: Path, damage: str | None) -> None:
    with _postgres(folder) as first:
        old = first.dsn()
        ask(old, "create table kept as select 7 n", "select 1")
    state = folder / "postgres.json"
    if damage is None:
        state.unlink()
    else:
        state.write_text(damage)
    with EmbeddedPostgres(folder, settings=FAST, port=first.port) as second:
        assert second.dsn() != old
        assert ask(second.dsn(), "select n from kept") == 7
        with pytest.raises(asyncpg.InvalidPasswordError):
            ask(old, "select 1")


def test_a_dropped_database_is_made_again(folder: Path) -> None:
    with _postgres(folder) as postgres:
        ask(postgres.dsn("postgres"), "drop database penguinmails", "select 1")
    with _postgres(folder) as postgres:
        assert ask(postgres.dsn(), "select 1") == 1


def test_a_taken_port_is_left_to_its_owner(folder: Path) -> None:
    with _postgres(folder) as postgres:
        port = postgres.port
    with socket.create_server(("127.0.0.1", port)):
        with _postgres(folder) as postgres:
            assert postgres.port != port
            assert ask(postgres.dsn(), "select 1") == 1
        with pytest.raises(EmbeddedError, match=f"port {port} for PostgreSQL is taken.*name another"):
            EmbeddedPostgres(folder, port=port).start()


def test_a_port_lost_between_choice_and_start_is_replaced(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with _postgres(folder) as postgres:
        port = postgres.port
    truth = ports.is_free
    monkeypatch.setattr(ports, "is_free", lambda asked: asked == port or truth(asked))
    with socket.create_server(("127.0.0.1", port)), _postgres(folder) as postgres:
        assert postgres.port != port
        assert ask(postgres.dsn(), "select 1") == 1


def test_a_second_server_on_the_same_folder_is_refused(folder: Path) -> None:
    with _postgres(folder) as first:
        with pytest.raises(EmbeddedError, match=f"already in use by process {os.getpid()}; stop that one first"):
            _postgres(folder).start()
        assert ask(first.dsn(), "select 1") == 1


def test_a_bad_setting_is_shown_with_the_servers_words(folder: Path) -> None:
    postgres = EmbeddedPostgres(folder, settings={"shared_bufers": "1GB"})
    with pytest.raises(EmbeddedError, match='unrecognized configuration parameter "shared_bufers"'):
        postgres.start()
    assert not postgres.running


def test_binaries_that_are_none_are_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EmbeddedError, match="does not hold the PostgreSQL tools postgres, initdb, psql"):
        EmbeddedPostgres(folder, binaries=folder).start()
    monkeypatch.setenv("PENGUINMAILS_POSTGRES_BIN", str(folder))
    with pytest.raises(EmbeddedError, match=f"PENGUINMAILS_POSTGRES_BIN={folder} does not hold"):
        EmbeddedPostgres(folder).start()


def test_files_that_are_no_cluster_are_not_touched(folder: Path) -> None:
    home = folder / "home"
    (home / "data").mkdir(parents=True)
    server_account(home).give(home)
    precious = home / "data" / "precious.txt"
    precious.write_text("mine")
    with pytest.raises(EmbeddedError, match="is not the data of a PostgreSQL server; remove it, or choose another"):
        _postgres(folder).start()
    assert precious.read_text() == "mine"


def test_postgresql_15(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not (DEBIAN_15 / "postgres").exists():
        pytest.skip(f"no PostgreSQL 15 in {DEBIAN_15}")
    monkeypatch.setenv("PENGUINMAILS_POSTGRES_BIN", str(DEBIAN_15))
    with _postgres(folder) as postgres:
        assert ask(postgres.dsn(), "show server_version_num").startswith("15")
        assert ask(postgres.dsn(), "show server_encoding") == "UTF8"
        assert ask(postgres.dsn(), "select lower('ÄÖ')") == "äö"
        postgres.kill()
        postgres.start()
        assert ask(postgres.dsn(), "select 1") == 1
    monkeypatch.delenv("PENGUINMAILS_POSTGRES_BIN")
    with pytest.raises(EmbeddedError, match=r"made by PostgreSQL 15, the server is \d+; set PENGUINMAILS_POSTGRES_BIN"):
        _postgres(folder).start()
