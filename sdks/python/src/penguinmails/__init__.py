"""Python SDK for PenguinMails."""

from penguinmails._version import VERSION as __version__

__all__ = ["__version__"]
