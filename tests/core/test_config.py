"""Settings: durations people write, and typos that would otherwise be silent."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import ValidationError
from pydantic_settings import BaseSettings

from penguinmails_core.config import CONCERNS, ConfigError, SenderSettings, check_environment, known_names


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30", 30), ("1.5s", 1.5), ("250ms", 0.25), ("5m", 300), ("2h", 7200), ("7d", 604800), ("PT1M", 60)],
)
def test_durations(monkeypatch: pytest.MonkeyPatch, text: str, seconds: float) -> None:
    monkeypatch.setenv("PENGUINMAILS_SENDER_LEASE", text)
    assert SenderSettings().lease == timedelta(seconds=seconds)


def test_a_bad_value_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENGUINMAILS_SENDER_LEASE", "soon")
    with pytest.raises(ValidationError, match="lease"):
        SenderSettings()


def test_a_misspelled_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="PENGUINMAILS_SENDER_LEASE"):
        check_environment({"PENGUINMAILS_SENDER_LAESE": "1"})
    check_environment({"PENGUINMAILS_SENDER_LEASE": "1", "PATH": "/bin"})


def test_every_setting_says_what_it_is() -> None:
    assert len(known_names()) == sum(len(concern.model_fields) for concern in CONCERNS)
    assert all(known_names().values())


def test_there_are_no_default_secrets() -> None:
    for concern in CONCERNS:
        for name, field in concern.model_fields.items():
            if "SecretStr" in str(field.annotation):
                assert field.default is None, f"{concern.__name__}.{name}"


def test_no_setting_is_forgotten() -> None:
    """One that is read and not known would be refused as a misspelling, and the server would not start."""
    assert {kind for kind in BaseSettings.__subclasses__() if kind.__module__.startswith("penguinmails_")} == set(
        CONCERNS
    )
    check_environment({"PENGUINMAILS_SPAMD_URL": "spamd://127.0.0.1:783"})
