"""What comes back: bounces, complaints and automatic answers, read and judged.

`classify` is the way in. `reasons` is the table that says what each reason means and what follows from it.
"""

from penguinmails_sender.bounces.classify import classify
from penguinmails_sender.bounces.findings import Finding, Kind
from penguinmails_sender.bounces.reasons import Action, Reason, Scope

__all__ = ["Action", "Finding", "Kind", "Reason", "Scope", "classify"]
