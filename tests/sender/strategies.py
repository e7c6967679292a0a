"""Hostile messages for Hypothesis: all of Unicode, long words, dots and `From ` at line starts, odd white space."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import strategies as st

from penguinmails_sender.message import Attachment, Mailbox, OutgoingMessage

# Everything a header or a name may hold: no control characters, no half surrogate pairs.
_CONTROLS = "".join(map(chr, range(32))).replace("\t", "") + "\x7f"
one_line_characters = st.characters(exclude_characters=_CONTROLS, exclude_categories=["Cs"])
header_text = st.one_of(
    st.text(one_line_characters, max_size=200),
    st.text(st.sampled_from('aé \t=?_.,<>@"\\漢🐧'), max_size=120),
    st.text(st.sampled_from("abc  "), max_size=300),
    st.builds(lambda character, count: character * count, st.sampled_from("xé漢🐧."), st.integers(0, 1200)),
    st.sampled_from(["", " ", "  a", "a  ", "=?utf-8?q?x?=", "a =?", "Re: \t x", "\u2028", "\x85"]),
)
body_line = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=120),
    st.sampled_from(
        [
            ".", "..", ".x", "From me", "From ", ">From ", "--", "trailing ", "tab\t", "\t", " ", "", "=", "=20", "a=",
            "x" * 997, "x" * 998, "x" * 999, "é" * 500, "\x00", "\x0c", "\u2028", "=_8bfb003932a00f0f83e21fd0_1", "🐧",
            "x" * 71 + " From y", "x" * 75 + "From y",
        ]
    ),
)  # fmt: skip
body = st.builds(lambda lines, end: end.join(lines), st.lists(body_line, max_size=12), st.sampled_from(["\n", "\r\n"]))

local_part = st.one_of(
    st.from_regex(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,20}(\.[A-Za-z0-9]{1,10}){0,2}", fullmatch=True),
    st.sampled_from(["a", "a" * 64, "first.last+tag", '"quoted name"', '"a@b"', '"a\\"b"']),
)
domain = st.sampled_from(["example.com", "münchen.example", "例え.example", "xn--mnchen-3ya.example", "a.b.c.example"])
address = st.builds(lambda local, at: f"{local}@{at}", local_part, domain)
display_name = st.one_of(st.none(), header_text.filter(lambda text: len(text) < 256))
mailbox = st.builds(Mailbox, address, display_name)
mailboxes = st.lists(mailbox, max_size=4).map(tuple)

attachment = st.builds(
    Attachment,
    filename=header_text.filter(lambda text: len(text) < 300),
    content_type=st.sampled_from(["application/pdf", "image/png", "text/csv; charset=utf-8", "text/plain"]),
    content=st.one_of(st.binary(max_size=300), st.integers(0, 400).map(lambda size: b"\xff" * size)),
    content_id=st.one_of(st.none(), st.sampled_from(["logo", "a@b.example"])),
)
header_name = st.from_regex(r"X-[A-Za-z0-9-]{1,60}", fullmatch=True)
headers = st.lists(st.tuples(header_name, header_text), max_size=4, unique_by=lambda item: item[0].lower()).map(tuple)

message = st.builds(
    OutgoingMessage,
    message_id=st.sampled_from(["01h@example.com", "01hzy.x-1@mail.example.com"]),
    date=st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2199, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    from_=mailbox,
    to=mailboxes,
    cc=mailboxes,
    reply_to=mailboxes,
    subject=header_text,
    text=st.one_of(st.none(), body),
    html=st.one_of(st.none(), body),
    headers=headers,
    attachments=st.lists(attachment, max_size=3).map(tuple),
)
