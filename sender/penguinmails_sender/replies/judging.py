"""What an answer says, by rules: headers first, then words of the person's own text, never of what is quoted.

Each verdict names its rule. What no rule knows is `other` with little confidence, for a person to look at.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from penguinmails_sender.replies.reading import Answer


@dataclass(frozen=True, slots=True)
class Verdict:
    """`returns_at`: start of the day on which somebody who is away is back."""

    reply_class: str
    confidence: float
    rule: str
    returns_at: datetime | None = None


def _words(*alternatives: str) -> re.Pattern[str]:
    return re.compile(r"(?<!\w)(" + "|".join(alternatives) + r")(?!\w)", re.IGNORECASE)


# "stop" alone is a wish only when it is all that was written: "we stop at 5" is none.
_ALONE = re.compile(r"\W*(unsubscribe|stop|remove( me)?|abmelden|austragen|d[ée]sabonner|no more( e?mails?)?)\W*", re.I)
_UNSUBSCRIBE = _words(
    r"unsubscribe me", r"please unsubscribe", r"remove me from", r"take me off", r"remove my (email|address|name)",
    r"(stop|quit) (e-?mailing|contacting|writing|sending)", r"(do not|don'?t|never) (e-?mail|contact|write( to)?) me",
    r"no more e?-?mails", r"opt(ing)? (me )?out", r"bitte (austragen|abmelden)", r"keine (weiteren )?(e-?mails|mails)",
    r"d[ée]sabonnez?[- ]moi", r"darme de baja",
)  # fmt: skip
_WRONG = _words(
    r"wrong person", r"not the right (person|contact)", r"no longer (with|at|work)", r"(left|leaving) the company",
    r"not (my|in my) (area|department|responsib\w+)", r"(reach out|write|speak|talk) to (my colleague|\w+) instead",
    r"please contact \w+", r"falsche(r)? ansprechpartner\w*", r"nicht (mehr )?zuständig",
)  # fmt: skip
_NOT_INTERESTED = _words(
    r"not interested", r"no interest", r"no,? thank(s| you)", r"we('| a)?re (all set|good|happy with)", r"pass on this",
    r"kein interesse", r"pas int[ée]ress[ée]e?s?", r"no (me|nos) interesa",
)  # fmt: skip
_NOT_NOW = _words(
    r"not (right )?now", r"not at (this|the) (time|moment)", r"(circle|check|come|reach) back( in| out)?",
    r"next (quarter|year)", r"(later|another time)", r"bad timing", r"no budget", r"(try|contact|ask) (me|us) again",
    r"derzeit nicht", r"später", r"pas (pour )?le moment",
)  # fmt: skip
_MEETING = _words(
    r"(book|schedule|set up|arrange) (a|some) (call|meeting|time|demo)", r"let'?s (meet|talk|have a call)",
    r"(are you|i'?m|i am) (free|available) (on|at|next|this)", r"send (me )?(a|an) (invite|calendar)",
    r"can we (talk|meet|speak)", r"termin vereinbaren",
)  # fmt: skip
_INTERESTED = _words(
    r"(i'?m|i am|we'?re|we are|very|definitely) interested", r"sounds (good|great|interesting)", r"tell me more",
    r"(send|share) (me |us )?(more|some|the|your) (info\w*|details|pricing|deck)",
    r"would like to (know|learn|hear) more", r"how much (is|does|would)", r"what('| i)s the (price|pricing|cost)",
    r"klingt (gut|interessant)", r"mehr erfahren",
)  # fmt: skip
_RULES = (
    ("not_interested", _NOT_INTERESTED, 0.85, "words_not_interested"),
    ("wrong_person", _WRONG, 0.8, "words_wrong_person"),
    ("not_now", _NOT_NOW, 0.7, "words_not_now"),
    ("meeting_requested", _MEETING, 0.8, "words_meeting"),
    ("interested", _INTERESTED, 0.8, "words_interested"),
)
_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january jan januar", "february feb februar", "march mar märz", "april apr", "may mai", "june jun juni",
            "july jul juli", "august aug", "september sep sept", "october oct oktober okt", "november nov",
            "december dec dezember dez",
        ),
        start=1,
    )
    for name in names.split()
}  # fmt: skip
_BACK = re.compile(
    r"(?:until|till|through|return(?:ing)?(?: to the office)?(?: on)?|back(?: in the office)?(?: on)?|bis(?: zum)?"
    r"|wieder (?:ab|am)|jusqu'au|hasta el)\W{1,3}(?:\w+day,?\s+)?(?:the )?([\w.,/ -]{4,30})",
    re.IGNORECASE,
)


def judge(answer: Answer, now: datetime) -> Verdict:
    """Pure."""
    if answer.automatic:
        return Verdict("out_of_office", 0.95, "auto_submitted", returns(answer.subject + "\n" + answer.text, now))
    words = answer.reply[:4000]
    if _ALONE.fullmatch(words):
        return Verdict("unsubscribe", 0.98, "only_unsubscribe")
    if _UNSUBSCRIBE.search(words):
        return Verdict("unsubscribe", 0.95, "words_unsubscribe")
    for name, pattern, confidence, rule in _RULES:
        if pattern.search(words):
            return Verdict(name, confidence, rule)
    return Verdict("other", 0.3, "no_rule")


def returns(text: str, now: datetime) -> datetime | None:
    """The day that an absence ends, when the text names one in the year to come."""
    for match in _BACK.finditer(text):
        found = _day(match[1], now.date())
        if found is not None:
            return datetime.combine(found, time(), UTC)
    return None


def _day(text: str, today: date) -> date | None:
    text = text.strip().lower()
    day = month = year = None
    if match := re.match(r"(\d{4})-(\d{1,2})-(\d{1,2})", text):
        year, month, day = (int(part) for part in match.groups())
    elif match := re.match(r"(\d{1,2})\.\s?(\d{1,2})\.(\d{4})?", text):
        day, month, year = int(match[1]), int(match[2]), int(match[3]) if match[3] else None
    elif match := re.match(r"(\d{1,2})(?:st|nd|rd|th|\.)?\s+(?:of\s+)?([a-zä]+)\.?,?\s*(\d{4})?", text):
        day, month, year = int(match[1]), _MONTHS.get(match[2]), int(match[3]) if match[3] else None
    elif match := re.match(r"([a-zä]+)\.?\s+(\d{1,2})(?:st|nd|rd|th)?,?\s*(\d{4})?", text):
        day, month, year = int(match[2]), _MONTHS.get(match[1]), int(match[3]) if match[3] else None
    if day is None or month is None:
        return None
    try:
        found = date(year or today.year, month, day)
        if year is None and found < today:
            found = date(today.year + 1, month, day)
    except ValueError:
        return None
    return found if 0 <= (found - today).days <= 366 else None
