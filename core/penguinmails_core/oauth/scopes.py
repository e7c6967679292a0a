"""Scopes that apps can have: the API's own, one to one, and those of OpenID Connect."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from penguinmails_core.scopes import ALL_SCOPES, DESCRIPTIONS, Scope

OPENID, PROFILE, EMAIL, OFFLINE_ACCESS = "openid", "profile", "email", "offline_access"
IDENTITY_SCOPES: dict[str, str] = {
    OPENID: "Know which account is yours",
    PROFILE: "Read your name",
    EMAIL: "Read your e-mail address",
    OFFLINE_ACCESS: "Keep its access while you are away",
}
"""Of OpenID Connect Core §5.4 and §11. They open nothing of the API. `offline_access` is taken and changes nothing: an
app gets refresh tokens when it was registered for them."""

SUPPORTED: tuple[str, ...] = (*map(str, ALL_SCOPES), *IDENTITY_SCOPES)

# What hands out access, or changes who has it: no app that registered itself gets these, approved or not.
_NEVER_DYNAMIC = frozenset(
    (Scope.API_KEYS_WRITE, Scope.OAUTH_APPS_WRITE, Scope.MEMBERS_WRITE, Scope.ORGANIZATIONS_WRITE)
)
# Without approval: reading, except keys, apps and logs. Nothing that sends.
_PRIVILEGED_READ = frozenset((Scope.AUDIT_LOGS_READ, Scope.LOGS_READ, Scope.API_KEYS_READ, Scope.OAUTH_APPS_READ))
_UNAPPROVED = frozenset(
    scope for scope in ALL_SCOPES if scope.endswith(":read") and scope not in _PRIVILEGED_READ
) | frozenset(IDENTITY_SCOPES)


def describe(scope: str) -> str:
    """In plain words, for the consent page."""
    return IDENTITY_SCOPES.get(scope) or DESCRIPTIONS[Scope(scope)]


def in_order(scopes: Iterable[str]) -> list[str]:
    """Without repeats, as the list of supported scopes goes."""
    wanted = set(scopes)
    return [scope for scope in SUPPORTED if scope in wanted]


def api_scopes(scopes: Iterable[str]) -> frozenset[str]:
    return frozenset(scopes) - frozenset(IDENTITY_SCOPES)


def unapproved_part(scopes: Sequence[str]) -> list[str]:
    """What an app that registered itself gets before an owner approves it."""
    return in_order(set(scopes) & _UNAPPROVED)


def dynamic_part(scopes: Sequence[str]) -> list[str]:
    """The most that an app that registered itself can ever get."""
    return in_order(set(scopes) - _NEVER_DYNAMIC)


def unknown(scopes: Iterable[str]) -> list[str]:
    return sorted(set(scopes) - set(SUPPORTED))
