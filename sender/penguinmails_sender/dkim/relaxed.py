"""The relaxed canonicalization of RFC 6376 §3.4.2 and §3.4.4."""

from __future__ import annotations

import re

_RUNS = re.compile(rb"[ \t]+")


def relaxed_body(body: bytes) -> bytes:
    """White space runs become one space, none at line ends, no empty lines at the end.

    Most bodies need nothing, so three searches decide first; then doubling replacements, which halve each run, beat a
    regular expression by far and stay linear for any input.
    """
    if b"\t" in body:
        body = body.replace(b"\t", b" ")
    while b"  " in body:
        body = body.replace(b"  ", b" ")
    if b" \r\n" in body:
        body = body.replace(b" \r\n", b"\r\n")
    if body.endswith(b"\r\n\r\n") or not body.endswith(b"\r\n") or body == b"\r\n":
        # Only whole CRLFs are line ends; a stray CR or LF is content.
        end = len(body)
        if body.endswith(b" "):
            end -= 1
        while body.endswith(b"\r\n", 0, end):
            end -= 2
        return body[:end] + b"\r\n" if end else b""
    return body


def relaxed_lines(head: bytes) -> bytes:
    """A header with each field on one line and runs of white space as one space; those at the ends of a value stay."""
    head = head.replace(b"\r\n ", b" ").replace(b"\r\n\t", b" ")
    if b"\t" in head:
        head = head.replace(b"\t", b" ")
    while b"  " in head:
        head = head.replace(b"  ", b" ")
    return head


def relaxed_value(value: bytes) -> bytes:
    """Unfolded, runs as one space, none at either end."""
    if b"\r\n" in value:
        value = value.replace(b"\r\n", b"")
    if b"\t" in value or b"  " in value:
        value = _RUNS.sub(b" ", value)
    return value.strip(b" ")
