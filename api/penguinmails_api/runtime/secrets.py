"""The keys that seal secrets at rest: from the configuration, or made once for an embedded stack."""

from __future__ import annotations

import os
from pathlib import Path

from penguinmails_core.config import ConfigError, StackSettings
from penguinmails_core.kit.crypto import CryptoError, SecretBox, new_secret_key, parse_secret_keys

_FILE = "secret-keys"


def secret_box(keys: str) -> SecretBox:
    """Raises `ConfigError` when the keys cannot be used."""
    try:
        return SecretBox(parse_secret_keys(keys))
    except CryptoError as error:
        raise ConfigError(str(error)) from None


def configured_keys(settings: StackSettings) -> str:
    """`PENGUINMAILS_SECRET_KEYS`. Raises `ConfigError` when it is missing: there is no default secret."""
    if settings.secret_keys is None:
        raise ConfigError("set PENGUINMAILS_SECRET_KEYS; `penguinmails secret-key` prints a new one")
    return settings.secret_keys.get_secret_value()


def local_keys(root: Path) -> str:
    """The keys of an embedded stack, kept beside its data and readable by its owner only; made on first use."""
    path = root / _FILE
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        pass
    root.mkdir(parents=True, exist_ok=True)
    key = new_secret_key()
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    with os.fdopen(descriptor, "w") as file:
        file.write(key + "\n")
    return key
