"""Sudo mode: keys, secrets and deletion need a fresh sign-in with the strongest factor that the person owns."""

from __future__ import annotations

from datetime import datetime, timedelta

from penguinmails_core.errors import ReauthenticationRequired
from penguinmails_core.identity.sessions import STRONG, Session


def fresh(session: Session, *, owns_second_factor: bool, within: timedelta, now: datetime) -> bool:
    """Whether `session` is in sudo mode. A password alone is enough only for who has nothing stronger."""
    if session.auth_time + within <= now:
        return False
    return not owns_second_factor or bool(STRONG & set(session.amr))


def require(session: Session, *, owns_second_factor: bool, within: timedelta, now: datetime) -> None:
    """Raises `ReauthenticationRequired`."""
    if not fresh(session, owns_second_factor=owns_second_factor, within=within, now=now):
        minutes = int(within.total_seconds() // 60)
        raise ReauthenticationRequired(
            f"This needs a sign-in of the last {minutes} minutes with your strongest factor. "
            "Confirm it is you at /login/confirm, then try again."
        )
