"""Whole stacks: their parent killed, run by root and by an ordinary user, in folders that are hard to reach."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from pathlib import Path

import pytest

from penguinmails_core.embedded import EmbeddedError, EmbeddedStack
from penguinmails_core.embedded import account as accounts
from penguinmails_core.embedded.account import Account, closed_parent, reachable_copy
from penguinmails_core.embedded.cluster import find_binaries
from penguinmails_core.embedded.process import command_line, wait_until
from tests.core.embedded.helpers import FAST, OtherProcess, ask

ROOT = os.geteuid() == 0
NOBODY = 65534


def _stack(folder: Path) -> EmbeddedStack:
    return EmbeddedStack(folder, postgres_settings=FAST)


def _gone(pids: list[int]) -> bool:
    return not any(command_line(pid) for pid in pids)


def test_everything_is_under_one_folder(folder: Path) -> None:
    with _stack(folder) as stack:
        assert stack.running
        assert sorted(path.name for path in folder.iterdir()) == ["logs", "postgres", "run", "valkey"]
        assert ask(stack.database_url, "show data_directory") == str(folder / "postgres" / "home" / "data")
    assert not stack.running


async def test_it_may_be_started_and_stopped_from_other_threads(folder: Path) -> None:
    stack = _stack(folder)
    await asyncio.to_thread(stack.start)
    try:
        assert await asyncio.to_thread(ask, stack.database_url, "select 1") == 1
        assert stack.running
    finally:
        await asyncio.to_thread(stack.stop)
    assert not stack.running


def test_servers_end_with_their_killed_parent_and_start_again(folder: Path) -> None:
    other = OtherProcess(folder)
    url, pids = other.report["database_url"], other.report["pids"]
    ask(url, "create table kept as select 7 n", "select 1")
    other.kill()
    assert wait_until(lambda: _gone(pids), 30)
    assert wait_until(lambda: _gone(other.report["watchdogs"]), 30)
    with _stack(folder) as stack:
        assert stack.database_url == url
        assert ask(url, "select n from kept") == 7


def test_a_start_at_once_after_the_parent_was_killed(folder: Path) -> None:
    other = OtherProcess(folder)
    other.kill()
    with _stack(folder) as stack:
        assert ask(stack.database_url, "select 1") == 1


def test_orphans_are_replaced(folder: Path) -> None:
    other = OtherProcess(folder)
    url, pids = other.report["database_url"], other.report["pids"]
    ask(url, "create table kept as select 7 n", "select 1")
    for pid in other.report["watchdogs"]:
        os.kill(pid, signal.SIGKILL)
    other.kill()
    try:
        assert all(command_line(pid) for pid in pids), "the servers were to live on without parent and watchdog"
        with _stack(folder) as stack:
            assert _gone(pids)
            assert (stack.database_url, stack.redis_url) == (url, other.report["redis_url"])
            assert ask(url, "select n from kept") == 7
    finally:
        for pid in filter(command_line, pids):
            os.kill(pid, signal.SIGKILL)


def test_a_second_stack_is_refused_and_the_first_goes_on(folder: Path) -> None:
    other = OtherProcess(folder)
    with pytest.raises(EmbeddedError, match=f"already in use by process {other.process.pid}; stop that one first"):
        _stack(folder).start()
    assert ask(other.report["database_url"], "select 1") == 1
    assert other.finish() == 0
    assert _gone(other.report["pids"] + other.report["watchdogs"])


def test_a_failed_start_leaves_nothing_running(folder: Path) -> None:
    (folder / "valkey").write_text("in the way")
    stack = _stack(folder)
    with pytest.raises(EmbeddedError, match="valkey is not a folder; remove it, or choose another"):
        stack.start()
    assert not stack.postgres.running
    (folder / "valkey").unlink()
    with stack:
        assert stack.running


def test_an_ordinary_user_runs_it(folder: Path) -> None:
    nobody = Account("nobody", NOBODY, NOBODY) if ROOT else Account("self")
    if closed := closed_parent(find_binaries(None, Account("self")), nobody):
        pytest.skip(f"user nobody may not enter {closed}, where the servers' programs are")
    home = folder / "home of a user"
    home.mkdir(mode=0o700)
    nobody.give(home)
    other = OtherProcess(home, uid=nobody.uid or 0)
    assert other.report["uid"] == (NOBODY if ROOT else os.geteuid())
    assert ask(other.report["database_url"], "select 1") == 1
    assert other.finish() == 0
    assert {path.owner() for path in home.rglob("*")} == {home.owner()}


def _needs_root() -> None:
    if not ROOT:
        pytest.skip("needs root: only root changes users")


def test_root_runs_the_servers_as_somebody_else(folder: Path) -> None:
    _needs_root()
    with _stack(folder) as stack:
        for pid in (stack.postgres.pid, stack.valkey.pid):
            status = Path(f"/proc/{pid}/status").read_text()
            uid = next(line for line in status.splitlines() if line.startswith("Uid:")).split()[1:]
            assert "0" not in uid
            groups = next(line for line in status.splitlines() if line.startswith("Groups:")).split()[1:]
            assert groups == []


def test_another_users_folder_is_refused(folder: Path) -> None:
    _needs_root()
    with _stack(folder):
        pass
    nobody = Account("nobody", NOBODY, NOBODY)
    if closed := closed_parent(find_binaries(None, Account("self")), nobody):
        pytest.skip(f"user nobody may not enter {closed}, where the servers' programs are")
    for mode in (0o755, 0o700):
        folder.chmod(mode)
        other = OtherProcess(folder, uid=nobody.uid or 0)
        assert "choose another folder" in other.report["error"]
        assert other.finish() == 1


def test_a_folder_closed_to_the_servers_gets_a_home_elsewhere(folder: Path) -> None:
    _needs_root()
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    root = closed / "stack"
    homes = [root / "postgres" / "home", root / "valkey" / "home"]
    try:
        with _stack(root) as stack:
            ask(stack.database_url, "create table kept as select 7 n", "select 1")
        with _stack(root) as stack:
            assert ask(stack.database_url, "select n from kept") == 7
        assert closed.stat().st_mode & 0o777 == 0o700
        assert [home.is_symlink() for home in homes] == [True, True]
        assert [home.resolve().stat().st_mode & 0o777 for home in homes] == [0o700, 0o700]
    finally:
        for home in homes:
            shutil.rmtree(home.resolve(), ignore_errors=True)


def test_a_folder_closed_later_is_named_with_the_fix(folder: Path) -> None:
    _needs_root()
    with _stack(folder / "stack"):
        pass
    folder.chmod(0o700)
    with pytest.raises(EmbeddedError, match=f"may not enter {folder}; fix: chmod o\\+x {folder}"):
        _stack(folder / "stack").start()


def test_programs_in_a_closed_folder_are_copied_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _needs_root()
    monkeypatch.setattr(accounts, "_FALLBACK_HOMES", (folder / "elsewhere",))
    nobody = Account("nobody", NOBODY, NOBODY)
    programs = folder / "closed" / "programs"
    programs.mkdir(parents=True)
    (programs / "server").write_text("#!/bin/sh\n")
    (programs / "include").mkdir()
    assert reachable_copy(programs, nobody) == programs
    programs.parent.chmod(0o700)
    copy = reachable_copy(programs, nobody, skip=["include"])
    assert [path.name for path in copy.iterdir()] == ["server"]
    assert closed_parent(copy, nobody) is None
    assert reachable_copy(programs, nobody, skip=["include"]) == copy
    assert len(list((folder / "elsewhere").iterdir())) == 1


def test_the_built_in_programs_work_from_a_closed_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _needs_root()
    monkeypatch.setattr(accounts, "_FALLBACK_HOMES", (folder / "elsewhere",))
    original = find_binaries(None, Account("self"))
    package = original.parents[1]
    closed = folder / "closed"
    shutil.copytree(package, closed / package.name, ignore=shutil.ignore_patterns("include"))
    libraries = package.with_name(package.name + ".libs")
    if libraries.is_dir():
        shutil.copytree(libraries, closed / libraries.name)
    for path in (closed, *closed.rglob("*")):  # as installed by a root with umask 077
        path.chmod(0o700 if path.is_dir() else path.stat().st_mode & 0o700)
    binaries = closed / original.relative_to(package.parent)
    with EmbeddedStack(closed / "stack", binaries=binaries, postgres_settings=FAST) as stack:
        assert stack.postgres.bin_dir.is_relative_to(folder / "elsewhere")
        assert ask(stack.database_url, "select 1") == 1
