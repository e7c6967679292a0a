"""The copy-paste verifiers as package data: what docs, the portal and the tests show and run are the same files."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources

_FOLDER = "verifier_files"


@dataclass(frozen=True, slots=True)
class Verifier:
    """`language` as code fences name it, `title` for people, `needs` what it runs on; `usage` calls it in a receiver
    of a well-known framework."""

    language: str
    title: str
    filename: str
    needs: str
    source: str
    usage: str


_KNOWN = (
    ("python", "Python", "verify_webhook.py", "Python 3.9, standard library (`cryptography` for Ed25519)", "usage.py"),
    ("javascript", "JavaScript", "verify_webhook.mjs", "Node 18, no dependencies", "usage.mjs"),
    ("php", "PHP", "verify_webhook.php", "PHP 8.0, no dependencies", "usage.php"),
    ("ruby", "Ruby", "verify_webhook.rb", "Ruby 2.7, no gems but its own", "usage.rb"),
    ("go", "Go", "verify_webhook.go", "Go 1.18, standard library", "usage.go.txt"),
)


@cache
def verifiers() -> tuple[Verifier, ...]:
    """Five languages, each a file to copy."""
    return tuple(
        Verifier(language, title, filename, needs, _text(filename), _text(usage))
        for language, title, filename, needs, usage in _KNOWN
    )


def _text(filename: str) -> str:
    return (resources.files("penguinmails_webhooks") / _FOLDER / filename).read_text("utf-8")
