"""Why FFmpeg cannot read a file, told from its first bytes."""

from __future__ import annotations

import codecs
import difflib
from pathlib import Path


def explain_unreadable(path: Path) -> str | None:
    """A sentence for the usual cases (text, MP4 without an index), None where the bytes say nothing."""
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError:
        return None
    if head[4:8] == b"ftyp" and not _has_moov(path):
        return "this MP4 has no index (moov): the recording or copy was cut off before it was complete"
    if _is_text(head):
        return "this is a text file, not a video"
    return None


def near_names(path: Path) -> list[str]:
    """At most three names in the same folder that look like `path`'s, best first; for a file that is not there."""
    try:
        # Huge folders are not worth the wait for a hint.
        names = [entry.name for entry, _ in zip(path.parent.iterdir(), range(10_000), strict=False)]
    except (OSError, ValueError):
        return []
    # Equal but for upper and lower case comes first, then the closest spelling.
    lower = path.name.lower()
    same = [name for name in names if name.lower() == lower]
    return (same + [n for n in difflib.get_close_matches(path.name, names, 3, 0.7) if n not in same])[:3]


def _has_moov(path: Path) -> bool:
    """True if the boxes at the top of an MP4 file include the index."""
    size = path.stat().st_size
    with path.open("rb") as file:
        position = 0
        while position + 8 <= size:
            file.seek(position)
            header = file.read(16)
            length = int.from_bytes(header[:4], "big")
            if header[4:8] == b"moov":
                return position + length <= size
            if length == 1:
                length = int.from_bytes(header[8:16], "big")
            # 0 means "up to the end of the file"; below 8 is not a box.
            if length < 8:
                return False
            position += length
    return False


def _is_text(head: bytes) -> bool:
    """True for UTF-8 without control characters; the end may cut a character in two."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return bool(text) and all(c >= " " or c in "\t\n\r\f\x1b" for c in text)
