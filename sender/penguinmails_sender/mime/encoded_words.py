"""RFC 2047 encoded words in UTF-8: for subjects, custom headers and display names that are not plain ASCII.

One alphabet serves text and phrases: the Q encoding keeps only what §5(3) allows in a phrase. No word is longer than
75 characters (§2) and none splits a character (§5: "each encoded-word must represent an integral number").
"""

from __future__ import annotations

from binascii import b2a_base64

MAX_WORD = 75
_OVERHEAD = len("=?utf-8?q??=")
_MIN_ROOM = 24  # do not start a word in the last few columns of a line; start the next line
_KEPT = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")
_Q = tuple(chr(byte) if byte in _KEPT else "_" if byte == 0x20 else f"={byte:02X}" for byte in range(256))


def encode_words(text: str, column: int, width: int = 78) -> list[str]:
    """Encode `text` (no lone surrogates) into words to be joined by a fold (CRLF SP).

    `column` is where the first word starts; the following ones start in column 1. An empty first item asks for a fold
    before the first word. Q or B, whichever is shorter; Q when equal, since people can read it.
    """
    pieces = [(character, character.encode()) for character in text]
    quoted = ["".join([_Q[byte] for byte in octets]) for _, octets in pieces]
    octet_count = sum(len(octets) for _, octets in pieces)
    words = [""] if width - column < _MIN_ROOM else []
    room = min(MAX_WORD, width - (1 if words else column)) - _OVERHEAD
    if sum(map(len, quoted)) <= (octet_count + 2) // 3 * 4:
        return words + _split_q(quoted, room, min(MAX_WORD, width - 1) - _OVERHEAD)
    return words + _split_b([octets for _, octets in pieces], room, min(MAX_WORD, width - 1) - _OVERHEAD)


def _split_q(quoted: list[str], room: int, next_room: int) -> list[str]:
    words: list[str] = []
    current: list[str] = []
    used = 0
    for piece in quoted:
        if used + len(piece) > room:
            words.append(f"=?utf-8?q?{''.join(current)}?=")
            current, used, room = [], 0, next_room
        current.append(piece)
        used += len(piece)
    words.append(f"=?utf-8?q?{''.join(current)}?=")
    return words


def _split_b(characters: list[bytes], room: int, next_room: int) -> list[str]:
    words: list[str] = []
    current = bytearray()
    limit = room // 4 * 3
    for octets in characters:
        if len(current) + len(octets) > limit:
            words.append(f"=?utf-8?b?{b2a_base64(current, newline=False).decode()}?=")
            current.clear()
            limit = next_room // 4 * 3
        current += octets
    words.append(f"=?utf-8?b?{b2a_base64(current, newline=False).decode()}?=")
    return words
