"""Guards and fixtures for every test. Real servers only: one embedded PostgreSQL and Valkey per pytest worker."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
COMPONENTS = ("core", "api", "graphql", "webhooks", "sender", "integrations", "openapi", "sdks", "docs")

pytest_plugins = ["tests.fixtures.stack"]


def pytest_configure() -> None:
    # Tests that try every operation wait for its answer, and that of an event stream ends by its lifetime.
    os.environ.setdefault("PENGUINMAILS_API_STREAM_LIFETIME", "300ms")
    for folder in COMPONENTS:
        if (ROOT / folder / "__init__.py").exists():
            raise pytest.UsageError(f"{folder}/__init__.py must not exist: it shadows packages (docs/layout.md)")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What a test has measured (`record_property("summary", ...)`), from whichever worker ran it."""
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, text in getattr(report, "user_properties", ()):
                if name == "summary" and getattr(report, "when", "") == "call":
                    terminalreporter.section(report.nodeid)
                    terminalreporter.write_line(str(text))
