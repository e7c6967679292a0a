"""The version of the specification that this server speaks; `PenguinMails-Version` echoes it."""

from __future__ import annotations

VERSION = "2026-11-24"
