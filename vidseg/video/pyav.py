"""The one door to what differs between PyAV 18 and 19.

PyAV 19 has rationals of its own: one that is not set is 0/1 there and None before, and the product of two is rounded to
32 bits. So every time that comes from PyAV goes through `exact`. Tags that are not UTF-8 have surrogates there.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av

_OPEN_OPTIONS: Any = {"metadata_errors": "replace"} if int(av.__version__.split(".", 1)[0]) < 19 else {}


def open_input(file: Any, **named: Any) -> av.container.InputContainer:
    """`av.open` for reading; tags that are not UTF-8 are no error. Raises what that raises."""
    container: av.container.InputContainer = av.open(file, "r", **_OPEN_OPTIONS, **named)
    return container


def exact(value: Any) -> Fraction:
    """A time base, rate or aspect of PyAV as a Fraction; 0 where it is not set, or infinite."""
    return Fraction(value.numerator, value.denominator) if value else Fraction(0)


def tags(described: Any) -> dict[str, str]:
    """The tags of a container or stream; what is not UTF-8 is replaced."""
    return {
        key: value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        for key, value in described.metadata.items()
    }


def size_bytes(container: av.container.InputContainer) -> int | None:
    """Size of an opened file; None where nobody knows."""
    size: int | None = container.size
    return None if size is None or size <= 0 else size
