"""The rules of the house that tools can check: where SQL lives, what stays banned, which folders exist."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import COMPONENTS, ROOT

PACKAGES = sorted(ROOT.glob("*/penguinmails_*"))
SQL = re.compile(
    r"^\s*(with\s+\w+\s+as|select\s.+\sfrom\s|insert\s+into\s|update\s+\w+.*\sset\s|delete\s+from\s|truncate\s|create\s+(table|role)\s)",
    re.IGNORECASE | re.DOTALL,
)
MAY_HOLD_SQL = re.compile(r"(repository|_sql|register|kit/db)\.py$|/migrations/|_repository\.py$")


def sources() -> Iterator[Path]:
    for package in PACKAGES:
        yield from sorted(package.rglob("*.py"))


def _strings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    documented = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documented:
            yield node.lineno, node.value


def sql_outside_repositories(path: Path, text: str) -> list[int]:
    """Line numbers of string constants that look like SQL in a file that should not hold any."""
    if MAY_HOLD_SQL.search(path.as_posix()):
        return []
    return [line for line, value in _strings(ast.parse(text)) if SQL.match(value) and len(value) > 15]


def test_sql_lives_in_repositories() -> None:
    found = {
        str(path.relative_to(ROOT)): lines
        for path in sources()
        if (lines := sql_outside_repositories(path, path.read_text()))
    }
    assert not found, f"SQL belongs into repository.py or *_sql.py: {found}"


def test_the_sql_guard_finds_sql() -> None:
    text = 'QUERY = "select id from email_messages where true"\n'
    assert sql_outside_repositories(Path("core/penguinmails_core/emails/service.py"), text) == [1]
    assert sql_outside_repositories(Path("core/penguinmails_core/emails/repository.py"), text) == []


def test_nothing_uses_the_slow_middleware_base() -> None:
    assert [path for path in sources() if "import BaseHTTPMiddleware" in path.read_text()] == []


@pytest.mark.parametrize("component", COMPONENTS)
def test_component_folders_are_not_packages(component: str) -> None:
    assert not (ROOT / component / "__init__.py").exists()


def test_every_test_folder_is_a_package() -> None:
    folders = {path.parent for path in (ROOT / "tests").rglob("test_*.py")}
    assert [str(folder) for folder in sorted(folders) if not (folder / "__init__.py").exists()] == []
