"""Moved to `penguinmails_core.kit.cursors`: GraphQL reads the same cursors."""

from penguinmails_core.kit.cursors import (
    bad_cursor,
    decode_id,
    decode_number,
    decode_position,
    encode_id,
    encode_number,
    encode_position,
)

__all__ = [
    "bad_cursor",
    "decode_id",
    "decode_number",
    "decode_position",
    "encode_id",
    "encode_number",
    "encode_position",
]
