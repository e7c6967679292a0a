"""Mailboxes as a caller writes them (`a@b.example`, `Name <a@b.example>`), checked and normalised for SMTP.

Rules: RFC 5321 §4.1.2 and §4.5.3.1 (grammar, lengths), RFC 5322 §3.4 (display names; none of the obsolete forms),
RFC 6531 (non-ASCII local parts), IDNA 2008 with UTS 46 mapping (domains). What a sender can never mean is refused:
comments, groups, source routes, domain literals, IP addresses, single-label domains.

Every accepted message passes here once per recipient, so the plain ASCII address is one precompiled match; every
other value takes `_parse_slow`, whose job is as much to explain as to accept. All patterns are possessive and all
input is length-checked first, so the time is linear whatever is sent.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple, NoReturn

import idna

MAX_LOCAL_OCTETS = 64  # RFC 5321 §4.5.3.1.1
MAX_DOMAIN_OCTETS = 255  # RFC 5321 §4.5.3.1.2
MAX_LABEL_OCTETS = 63  # RFC 1035 §2.3.4
MAX_ADDRESS_OCTETS = 254  # RFC 5321 §4.5.3.1.3: a path is 256 with its angle brackets
MAX_NAME_CHARACTERS = 255
MAX_VALUE_CHARACTERS = 1024  # name, quoting and address together; nothing longer can be valid

_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]"
_PLAIN = re.compile(
    rf"({_ATEXT}++(?:\.{_ATEXT}++)*+)"
    r"@((?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+"
    # The last label ends in a letter here: IP addresses and numeric top-level domains take the slow path.
    r"(?:[A-Za-z]|[A-Za-z0-9][A-Za-z0-9-]{0,61}[A-Za-z]))"
).fullmatch
_LDH_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?").fullmatch
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]").search
_SURROGATE = re.compile("[\ud800-\udfff]").search
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*+)"').match
_ESCAPE = re.compile(r"\\(.)")
_ENCODED_WORD = re.compile(r"=\?[^?\s]++\?[bBqQ]\?").search
_NAME_SPECIAL = re.compile(r'[()<>\[\]:;@\\,"]').search
_ATEXT_CHARACTER = re.compile(_ATEXT).match
_DOT_ATOM = re.compile(rf"(?:{_ATEXT}|[^\x00-\x7f])++(?:\.(?:{_ATEXT}|[^\x00-\x7f])++)*+").fullmatch
# Categories that no mailbox name needs and that make two addresses look alike (RFC 8264 §9 disallows them).
_REFUSED_CATEGORIES = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs"})
_JOINERS = "\u200c\u200d"  # needed to spell words in Persian and several Indic scripts


class AddressError(ValueError):
    """The value is not a mailbox we can send to. `code` is stable; `detail` names the limit and the fix and is safe
    to show (control characters are named, never echoed)."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class Mailbox(NamedTuple):
    """A checked mailbox. `local` and `domain` are what goes on the wire: the local part as given (NFC when it is not
    ASCII), the domain in lower-case A-labels. `smtputf8` says that the local part needs RFC 6531."""

    name: str | None
    address: str
    local: str
    domain: str
    smtputf8: bool

    @property
    def unicode_domain(self) -> str:
        """The domain in U-labels, for people to read."""
        return to_unicode(self.domain)

    @property
    def canonical(self) -> str:
        """The key under which suppressions and duplicates are looked up; see `canonical`."""
        return canonical(self.address)


_new = tuple.__new__  # NamedTuple's own __new__ re-checks what the caller below has just built


def parse_mailbox(value: str) -> Mailbox:
    """Read `a@b.example`, `Name <a@b.example>` or `"Quoted, Name" <a@b.example>`.

    Raises AddressError, and nothing else, for every other string.
    """
    if len(value) <= MAX_ADDRESS_OCTETS and (match := _PLAIN(value)) is not None:
        local, domain = match.groups()
        domain = domain.lower()
        if len(local) <= MAX_LOCAL_OCTETS and "xn--" not in domain:
            return _new(Mailbox, (None, f"{local}@{domain}", local, domain, False))
    return _parse_slow(value)


def parse_address(value: str) -> Mailbox:
    """Read an address without a display name; `Name <...>` is refused. Raises AddressError."""
    mailbox = parse_mailbox(value)
    if value.endswith(">"):
        raise AddressError("name_not_allowed", "Give the bare address, without a display name or angle brackets.")
    return mailbox


def canonical(address: str) -> str:
    """Key for suppressions and de-duplication: lower-cased local part and domain, quoting that changes nothing removed
    (`"a"@b.example` is `a@b.example`, RFC 5321 §4.1.2), NFC, A-labels. Plus tags and dots are kept: only the
    receiver knows what they mean.

    `address` is an address without a display name, as in `Mailbox.address`. Raises AddressError for a value that
    `parse_mailbox` refuses, where the plain ASCII shortcut does not apply.
    """
    if address.isascii() and address[:1] != '"':
        return address.lower()
    _check_characters(address)
    local, domain = _split_address(address)  # no length limits: lower-casing may add octets (U+0130)
    if local.startswith('"'):
        content = _ESCAPE.sub(r"\1", local[1:-1])
        local = content if _DOT_ATOM(content) else '"' + re.sub(r'(["\\])', r"\\\1", content) + '"'
    return f"{unicodedata.normalize('NFC', local.lower())}@{to_ascii(domain)}"


def format_mailbox(mailbox: Mailbox) -> str:
    """The mailbox as text that `parse_mailbox` reads back to the same value. For API answers, not for a header."""
    name = mailbox.name
    if name is None:
        return mailbox.address
    if _NAME_SPECIAL(name) is not None:
        name = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{name} <{mailbox.address}>"


@lru_cache(maxsize=4096)
def to_unicode(domain: str) -> str:
    """U-label form of a domain in A-labels, as `Mailbox.domain` holds it."""
    return ".".join(idna.ulabel(label) if label.startswith("xn--") else label for label in domain.split("."))


# ---------------------------------------------------------------- the slow path


def _parse_slow(value: str) -> Mailbox:
    _check_characters(value)
    if value.endswith(">") or (value[0] != '"' and "<" in value):
        name, spec = _split_name(value)
    else:
        name, spec = None, value
    if name is not None and len(name) > MAX_NAME_CHARACTERS:
        _fail("name_too_long", f"The display name has {len(name)} characters; the limit is {MAX_NAME_CHARACTERS}.")
    if name is not None and _ENCODED_WORD(name) is not None:
        _fail("encoded_name", "Send the display name as plain UTF-8 text; it is encoded (RFC 2047) when it is sent.")
    # Angle brackets around a plain address are the second most common case: each message's `from`.
    match = _PLAIN(spec) if name is not None else None
    local, domain = match.groups() if match is not None else _split_address(spec)
    smtputf8 = not local.isascii()
    if len(local.encode()) > MAX_LOCAL_OCTETS:
        _fail(
            "local_too_long",
            f"The part before @ has {len(local.encode())} octets; the limit is {MAX_LOCAL_OCTETS} (RFC 5321).",
        )
    domain = to_ascii(domain)
    octets = len(local.encode()) + 1 + len(domain)
    if octets > MAX_ADDRESS_OCTETS:
        _fail("address_too_long", f"The address has {octets} octets; the limit is {MAX_ADDRESS_OCTETS} (RFC 5321).")
    return Mailbox(name or None, f"{local}@{domain}", local, domain, smtputf8)


def _check_characters(value: str) -> None:
    """Length and the characters that may appear nowhere: they break headers or cannot be encoded."""
    if not value or value.isspace():
        _fail("empty", "The address is empty. Give one such as name@example.com.")
    if len(value) > MAX_VALUE_CHARACTERS:
        _fail(
            "address_too_long",
            f"The value has {len(value)} characters; the limit is {MAX_ADDRESS_OCTETS} for an address and "
            f"{MAX_VALUE_CHARACTERS} with its display name.",
        )
    if (match := _CONTROL(value)) is not None:
        _fail("control_character", f"Remove {describe(match[0])} at position {match.start() + 1}.")
    if (match := _SURROGATE(value)) is not None:
        _fail(
            "invalid_character",
            f"Remove {describe(match[0])} at position {match.start() + 1}: half of a surrogate pair is not text.",
        )


def _split_name(value: str) -> tuple[str, str]:
    """`Name <spec>` -> (name, spec). The name is unquoted; empty when there is none."""
    quoted = _QUOTED(value)
    head = value if quoted is None else value[quoted.end() :]
    before, angle, rest = head.partition("<")
    if rest.endswith(";") and ":" in before:
        _fail_group()
    if ">," in rest or "> ," in rest:
        _fail("several_addresses", "Give one address per item; there is more after the first closing >.")
    if not angle or not rest.endswith(">"):
        _fail("unbalanced_angle", "Write a display name as Name <name@example.com>, with one < and a final >.")
    spec = rest[:-1]
    if quoted is not None and not before.strip(" "):
        return _ESCAPE.sub(r"\1", quoted[1]).strip(" "), spec
    if value.startswith('"') and quoted is None:
        _fail("unclosed_quote", 'The display name opens a double quote and never closes it. Add the closing ".')
    name = before.strip(" ") if quoted is None else value
    if (match := _NAME_SPECIAL(name)) is not None:
        if match[0] == "(":
            _fail("comment", "Comments in parentheses are not accepted. Put the display name in double quotes.")
        if match[0] == ",":
            _fail("several_addresses", "Give one address per item; put a display name with a comma in double quotes.")
        _fail("name_needs_quotes", f"The display name holds {describe(match[0])}. Put the whole name in double quotes.")
    return name, spec


def _split_address(spec: str) -> tuple[str, str]:
    """`local@domain` -> both, the local part checked, the domain not yet."""
    if not spec:
        _fail("empty", "There is no address between < and >.")
    if spec.startswith("@"):
        if ":" in spec:
            _fail("source_route", "Source routes (@relay:name@example.com) are not accepted. Give the plain address.")
        _fail("missing_local_part", "There is nothing before @. Give an address such as name@example.com.")
    if spec.startswith('"'):
        return _split_quoted(spec)
    if spec.endswith(";") and ":" in spec:
        _fail_group()
    local, at, domain = spec.rpartition("@")
    if "," in spec:
        _fail("several_addresses", "Give one address per item; a comma cannot be part of an unquoted address.")
    if "(" in spec:
        _fail("comment", "Comments in parentheses are not accepted. Give the plain address.")
    if not at:
        _fail("missing_at", "There is no @ in the address. Give one such as name@example.com.")
    if "[" in domain:
        _fail_literal()
    local = _nfc(local)
    if _DOT_ATOM(local) is None:
        _explain_local(local)
    _check_international(local)
    return local, domain


def _split_quoted(spec: str) -> tuple[str, str]:
    """A quoted local part, RFC 5321 §4.1.2: any printable character, spaces too; a backslash only before ASCII."""
    match = _QUOTED(spec)
    if match is None:
        _fail("unclosed_quote", 'The address opens a double quote and never closes it. Add the closing " before @.')
    rest = spec[match.end() :]
    if rest.startswith("."):
        _fail("obsolete_syntax", "A local part is either all in one pair of quotes or has none (RFC 5321).")
    if not rest.startswith("@"):
        if not rest:
            _fail("missing_at", "There is no @ in the address. Give one such as name@example.com.")
        _fail("invalid_local_part", "After the closing quote of the local part only @ may follow.")
    local = _nfc(match[0])
    if (again := _QUOTED(local)) is None or again.end() != len(local):
        _fail("invalid_local_part", "The local part changes its quoting under Unicode normalisation. Write it in NFC.")
    for escaped in _ESCAPE.findall(local):
        if not escaped.isascii():
            _fail("invalid_local_part", f"A backslash may stand before ASCII only, not {describe(escaped)}.")
    _check_international(local)
    domain = rest[1:]
    if "[" in domain:
        _fail_literal()
    if "(" in domain:
        _fail("comment", "Comments in parentheses are not accepted. Give the plain address.")
    return local, domain


def _nfc(local: str) -> str:
    return local if local.isascii() else unicodedata.normalize("NFC", local)


def _check_international(local: str) -> None:
    if local.isascii():
        return
    for position, character in enumerate(local, 1):
        if character < "\x80" or character in _JOINERS:
            continue
        if unicodedata.category(character) in _REFUSED_CATEGORIES:
            _fail("invalid_character", f"Remove {describe(character)} at position {position} of the local part.")


def _explain_local(local: str) -> NoReturn:
    if "@" in local:
        _fail("invalid_local_part", "There is more than one @. Put the part before the last @ in double quotes.")
    if local.startswith(".") or local.endswith(".") or ".." in local:
        _fail("invalid_local_part", "The part before @ may not begin or end with a dot or hold two in a row.")
    for position, character in enumerate(local, 1):
        if character == ".":
            continue
        if character == " ":
            _fail("whitespace", f"Remove the space at position {position} of the address.")
        if character < "\x80" and _ATEXT_CHARACTER(character) is None:
            _fail("invalid_local_part", f"{describe(character)} at position {position} needs double quotes around it.")
    _fail("invalid_local_part", "The part before @ is not valid (RFC 5321).")


# ---------------------------------------------------------------- domains


@lru_cache(maxsize=4096)  # IDNA costs 10 us, and domains repeat; refusals are not kept
def to_ascii(domain: str) -> str:
    """Lower-case A-labels of a domain given in any form, checked for mail. Raises AddressError."""
    if not domain:
        _fail("missing_domain", "There is nothing after @. Give an address such as name@example.com.")
    if len(domain) > MAX_DOMAIN_OCTETS:
        _fail_domain_length(len(domain))
    if (space := domain.find(" ")) >= 0:
        _fail("whitespace", f"Remove the space at position {space + 1} of the domain.")
    if domain.isascii():
        mapped = domain.lower()
    else:
        try:
            mapped = idna.uts46_remap(domain, std3_rules=True, transitional=False)
        except (idna.IDNAError, UnicodeError) as error:
            raise AddressError("invalid_idn", f"The domain is not valid under IDNA 2008: {_reason(error)}.") from None
    if mapped.endswith("."):
        _fail("trailing_dot", "Remove the dot at the end of the domain.")
    if not mapped or mapped.startswith(".") or ".." in mapped:
        _fail("invalid_domain", "The domain has an empty label. Remove the extra dot.")
    labels = [_label_to_ascii(label) for label in mapped.split(".")]
    if len(labels) < 2:
        _fail("single_label_domain", "The domain has one label only. Give a full domain such as example.com.")
    if labels[-1].isdigit():
        _fail("numeric_domain", "The domain ends in a number, as an IP address does. Give a domain name.")
    result = ".".join(labels)
    if len(result) > MAX_DOMAIN_OCTETS:
        _fail_domain_length(len(result))
    return result


def _label_to_ascii(label: str) -> str:
    try:
        if not label.isascii():
            octets = len(label.encode("punycode")) + 4
            if octets > MAX_LABEL_OCTETS:
                _fail_label_length(octets)
            return idna.alabel(label).decode("ascii")
        if len(label) > MAX_LABEL_OCTETS:
            _fail_label_length(len(label))
        if label.startswith("xn--"):
            idna.ulabel(label)
    except (idna.IDNAError, UnicodeError) as error:
        raise AddressError("invalid_idn", f"The domain is not valid under IDNA 2008: {_reason(error)}.") from None
    if _LDH_LABEL(label) is None:
        for character in label:
            if not (character.isalnum() or character == "-"):
                _fail("invalid_domain", f"The domain holds {describe(character)}; use letters, digits and hyphens.")
        _fail("invalid_domain", "A label of the domain may not begin or end with a hyphen.")
    return label


def _reason(error: ValueError) -> str:
    return str(error).encode("ascii", "backslashreplace").decode().rstrip(".")[:200]


# ---------------------------------------------------------------- messages


def describe(character: str) -> str:
    """A character as `U+000A LINE FEED`: never the raw character, which could break the line it is shown on."""
    fallback = {"\n": "LINE FEED", "\r": "CARRIAGE RETURN", "\t": "TAB", "\0": "NUL", "\x7f": "DELETE"}
    name = fallback.get(character) or unicodedata.name(character, "")
    return f"U+{ord(character):04X} {name}".rstrip()


def _fail(code: str, detail: str) -> NoReturn:
    raise AddressError(code, detail)


def _fail_group() -> NoReturn:
    _fail("group", "Groups (Team: a@example.com;) are not accepted. List each address on its own.")


def _fail_literal() -> NoReturn:
    _fail("domain_literal", "Addresses at an IP address ([192.0.2.1]) are not accepted. Give a domain name.")


def _fail_domain_length(octets: int) -> NoReturn:
    _fail("domain_too_long", f"The domain has {octets} octets; the limit is {MAX_DOMAIN_OCTETS} (RFC 5321).")


def _fail_label_length(octets: int) -> NoReturn:
    _fail("label_too_long", f"A label of the domain has {octets} octets; the limit is {MAX_LABEL_OCTETS} (RFC 1035).")
