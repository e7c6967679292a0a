"""Reports come as plain text, gzip or zip, from anybody: whatever is claimed, only so much is unpacked."""

from __future__ import annotations

import io
import zipfile
import zlib

MOST_PACKED = 1_000_000  # octets
MOST_UNPACKED = 20_000_000


class UnreadableReport(Exception):
    """What came is no report that can be used. The text says why, for whoever handed it in."""


def unpack(data: bytes) -> bytes:
    """Raises `UnreadableReport`."""
    if len(data) > MOST_PACKED:
        raise UnreadableReport(f"A report may have {MOST_PACKED:,} octets.")
    if data.startswith(b"\x1f\x8b"):
        return _gunzip(data)
    if data.startswith(b"PK\x03\x04"):
        return _unzip(data)
    return data


def _gunzip(data: bytes) -> bytes:
    reader = zlib.decompressobj(wbits=31)
    try:
        found = reader.decompress(data, MOST_UNPACKED + 1)
    except zlib.error:
        raise UnreadableReport("The gzip file is damaged.") from None
    if len(found) > MOST_UNPACKED:
        raise UnreadableReport(f"Unpacked, a report may have {MOST_UNPACKED:,} octets.")
    if not reader.eof:
        raise UnreadableReport("The gzip file is cut off.")
    return found


def _unzip(data: bytes) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            files = [info for info in archive.infolist() if not info.is_dir()]
            if len(files) != 1:
                raise UnreadableReport("The zip file must hold one file.")
            with archive.open(files[0]) as member:  # what the archive says of its size is not believed
                found = member.read(MOST_UNPACKED + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError, ValueError):
        raise UnreadableReport("The zip file is damaged, encrypted, or packed in an unusual way.") from None
    if len(found) > MOST_UNPACKED:
        raise UnreadableReport(f"Unpacked, a report may have {MOST_UNPACKED:,} octets.")
    return found
