"""Reports written for people: lines that name a recipient, and what stands beside and below them.

Nearly every mail system prints the address on a line of its own, in brackets or with a colon, and the cause after it
or in the lines below. What is special about one system stands in `dialects`.
"""

from __future__ import annotations

import re

from penguinmails_sender.bounces.findings import Said

_LOCAL = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.\u0080-\uffff-]{1,64}"
_ALNUM = r"[A-Za-z0-9\u0080-\uffff]"
_ADDR = rf"{_LOCAL}@{_ALNUM}(?:[A-Za-z0-9\u0080-\uffff.-]{{0,250}}{_ALNUM})?"
_QUOTED = r'"[^"\n<>]{1,64}"@[A-Za-z0-9.-]{1,253}'
ADDRESS = re.compile(f"{_QUOTED}|{_ADDR}")
# An address at the start of a line, perhaps with a mark before it and its cause after it.
_LINE = re.compile(
    rf"""^[ \t]*(?:[245]\d\d[ -]+)?
    (?:[*>.•-]{{1,3}}[ \t]+|>>>[ \t]*
      |(?:final[ ])?(?:recipient|to|for|user|address|rcpt[ ]to|the[ ]user|mailbox)s?[ \t]*:[ \t]*)?
    (?:"[^"\n]*"[ \t]*|'[^'\n]*'[ \t]*)?
    [<(\['"]?(?:smtp:|mailto:|rfc822;[ ]?)?(?P<address>{_QUOTED}|{_ADDR})[>)\]'"]?
    (?:[ \t]*[<(\[](?:mailto:|smtp:)?[^<>()\[\]\n]{{1,200}}[>)\]])?[ \t]*
    (?P<mark>[:;,-]|\.{{3}}|[ \t]on[ ]|(?=[\[(])|$)(?P<rest>.*)$""",
    re.IGNORECASE | re.VERBOSE | re.MULTILINE,
)
_COMMAND = re.compile(
    r"in (?:reply|response) to (?:the )?(?:end of )?(DATA|RCPT TO|MAIL FROM|EHLO|HELO|AUTH"
    r"|STARTTLS)|(?:after|response to|>>>) ?(?:sending )?(?:end of )?(DATA|RCPT TO|MAIL FROM"
    r"|EHLO|HELO)\b|(?:our|final) (?:final )?(DATA|RCPT TO|MAIL FROM)",
    re.IGNORECASE,
)
MOST_RECIPIENTS = 500


def is_address(text: str) -> bool:
    return ADDRESS.fullmatch(text) is not None


def command(text: str) -> str:
    """The SMTP command that was answered, upper case, empty when it is not said."""
    match = _COMMAND.search(" ".join(text.split()))
    return next((group for group in match.groups() if group), "").upper() if match else ""


def read(text: str) -> list[Said]:
    """A finding for each line that begins with an address, with the lines up to the next one."""
    lines = list(_LINE.finditer(text))
    found: dict[str, str] = {}
    for number, match in enumerate(lines[:MOST_RECIPIENTS]):
        address = match["address"].rstrip(".")
        end = lines[number + 1].start() if number + 1 < len(lines) else len(text)
        words = (match["mark"] if match["mark"].strip() == "" else "") + match["rest"] + _below(text[match.end() : end])
        known = found.get(address.lower())
        if known is None or not known.strip():
            found[address.lower()] = words
        elif words.strip() not in known:
            found[address.lower()] = f"{known}\n{words}"
    spelled = {match["address"].rstrip(".").lower(): match["address"].rstrip(".") for match in lines}
    return [Said(spelled[key], said.strip(), command=command(said)) for key, said in found.items()]


_SENTENCE = re.compile(
    r"(?:to|for|recipients?|address(?:es)?|user|mailbox|rcpt(?: to)?|attempts|destination)\b[ \t]*:?\s{0,3}"
    rf"[<(\['\"]?(?P<address>{_QUOTED}|{_ADDR})",
    re.IGNORECASE,
)
_STAFF = re.compile(
    r"(?:postmaster|mailer-daemon|abuse|support|help(?:desk)?|admin(?:istrator)?|webmaster|no-?reply|info)@",
    re.IGNORECASE,
)


def named(text: str) -> list[str]:
    """Addresses that a sentence names as the goal of the mail, without those of people who are to be asked for help."""
    found = (match["address"].rstrip(".") for match in _SENTENCE.finditer(text))
    return list(dict.fromkeys(address for address in found if not _STAFF.match(address)))


def about(text: str, address: str) -> str | None:
    """What the text says about this address."""
    wanted = address.lower()
    return next((said.diagnostic or None for said in read(text) if said.address.lower() == wanted), None)


def _below(text: str) -> str:
    """The lines below, as far as they belong to the address: empty lines do not end them, rules and copies do."""
    parts = re.split(r"\n[ \t]*(?:[-=_*]{4,}[^\n]*|--[ \t]*$)", text)
    return next((part for part in parts if part.strip()), "")[:1500]
