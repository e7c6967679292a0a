"""Why signing in does not work: one stable word, what happened, and what to do, for the owner of the mailbox.

What providers say is matched by rules, the special ones first; their words are kept in the detail.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from penguinmails_core.mailboxes.records import Check

FIXES = {
    "dns": "Check the spelling of the host.",
    "forbidden_address": "Use a host with a public address, or ask the operator of this server to allow private ones.",
    "refused": "Check host and port: usual are 465 and 587 for SMTP, 993 and 143 for IMAP.",
    "timeout": "Check host and port, and whether a firewall lets this server in.",
    "unreachable": "Check host and port.",
    "tls_certificate": "Use the host name that the certificate is made for, or have the certificate renewed.",
    "tls_failed": "Check `tls`: `implicit` is for ports 465 and 993, `starttls` for 587 and 143.",
    "starttls_missing": "Use `implicit` with port 465 (SMTP) or 993 (IMAP), or have STARTTLS enabled at the server.",
    "auth_failed": "Check user name and password by signing in to the mailbox with another program.",
    "app_password_needed": "The account has two-step sign-in: make an app password there and give that one.",
    "oauth_needed": "The provider takes no passwords here: connect the mailbox with `oauth`.",
    "smtp_disabled": "Allow authenticated SMTP for this mailbox in the administration of the provider.",
    "imap_disabled": "Switch IMAP on in the settings of the mailbox, or have its administrator do it.",
    "account_blocked": "Sign in to the mailbox in a browser: the provider asks for something there.",
    "rate_limited": "Wait an hour before the next try, and let fewer programs sign in at once.",
    "auth_unsupported": "Allow the PLAIN, LOGIN or XOAUTH2 mechanism at the server.",
    "server_unavailable": "Try again in a few minutes.",
    "protocol": "Check host and port: what answers there is no mail server of this kind.",
}


class CannotSignIn(Exception):
    """`code` is a key of `FIXES`."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail

    def check(self, protocol: str) -> Check:
        return Check(protocol, self.code, self.detail, FIXES[self.code])


@dataclass(frozen=True, slots=True)
class _Rule:
    code: str
    pattern: re.Pattern[str]
    source: str


def _rule(code: str, pattern: str, source: str) -> _Rule:
    return _Rule(code, re.compile(pattern, re.IGNORECASE), source)


# Read in this order. Sources: support.google.com/mail (error codes), learn.microsoft.com/exchange (5.7.139, 5.7.57),
# help.yahoo.com, RFC 5530 (response codes of IMAP), RFC 4954 (5.7.8, 5.7.9, 5.7.11, 4.7.0).
_RULES = (
    _rule("app_password_needed", r"application-specific password|\bapp password|InvalidSecondFactor", "google"),
    _rule("app_password_needed", r"5\.7\.9\b(?!.*policy)|too weak", "RFC 4954: the mechanism is too weak"),
    _rule("smtp_disabled", r"SmtpClientAuthentication is disabled|smtp auth(entication)? (is )?disabled", "microsoft"),
    _rule("oauth_needed", r"basic auth(entication)? is disabled|5\.7\.139|AUTHENTICATE failed.*basic", "microsoft"),
    _rule(
        "imap_disabled",
        r"not enabled for IMAP|IMAP (access )?(is )?(disabled|not enabled)|IMAP_access_is_disabled|enable IMAP",
        "google, yahoo, zoho",
    ),
    _rule(
        "account_blocked",
        r"log ?in via your web browser|WEBALERT|\[CONTACTADMIN\]|account (is )?locked",
        "google",
    ),
    _rule(
        "rate_limited",
        r"\[LIMIT\]|\[INUSE\]|too many (login|failed|simultaneous|connections|auth|bad)|rate.?limit|try again later|"
        r"OVERQUOTA.*bandwidth",
        "RFC 5530, google, dovecot",
    ),
    _rule(
        "auth_failed",
        r"\[(AUTHENTICATIONFAILED|AUTHORIZATIONFAILED|EXPIRED)\]|5\.7\.8\b",
        "RFC 5530",
    ),
)


def cause_of(words: str, default: str) -> str:
    """The code of what a server said, `default` when no rule knows it."""
    return next((rule.code for rule in _RULES if rule.pattern.search(words)), default)
