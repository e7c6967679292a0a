"""Generated pages are what the code says."""

from __future__ import annotations

import subprocess
import sys

from tests.conftest import ROOT


def test_the_configuration_reference_is_current() -> None:
    result = subprocess.run(
        [sys.executable, "scripts/generate_docs.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
