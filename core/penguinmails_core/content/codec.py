"""How bodies are kept: zstd when that makes them smaller, named by their SHA-256."""

from __future__ import annotations

import hashlib

import zstandard

# One compressor and one decompressor a process: creating them costs more than a typical body.
_COMPRESSOR = zstandard.ZstdCompressor(level=1)
_DECOMPRESSOR = zstandard.ZstdDecompressor()
_WORTH_IT = 512  # bytes; below this the gain is not worth the work, which every accepted message pays


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def encode(data: bytes) -> tuple[str, bytes]:
    """(encoding, stored bytes); encoding is ``zstd`` or ``identity``."""
    if len(data) >= _WORTH_IT:
        packed = _COMPRESSOR.compress(data)
        if len(packed) < len(data):
            return "zstd", packed
    return "identity", data


def decode(encoding: str, stored: bytes, size: int) -> bytes:
    """The original bytes. `size` bounds the output, so that a damaged frame cannot ask for gigabytes."""
    if encoding == "identity":
        return stored
    return _DECOMPRESSOR.decompress(stored, max_output_size=size)
