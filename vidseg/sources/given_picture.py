"""A picture that a caller of the library gives: an array, a PIL image, or the name of a file."""

from __future__ import annotations

import os
from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from vidseg.errors import SourceError
from vidseg.frames import UInt8Array
from vidseg.names import expand_user, shown_name
from vidseg.sources.image_source import read_image


class PilImage(Protocol):
    """What of PIL's `Image` tells that it is one."""

    def convert(self, mode: str, /) -> Any: ...

    def getexif(self) -> Any: ...


Picture = UInt8Array | str | PathLike[str] | PilImage
"""(H, W, 3) uint8 RGB, the name of a picture file, or an image of PIL."""


def picture_of(given: object) -> UInt8Array:
    """(H, W, 3) uint8 RGB, C-contiguous: the array that is given, or what is in the file of this name.

    Raises:
        SourceError: no such file, not a picture, or an array of another shape or type.
    """
    accepted = "accepted: a (height, width, 3) uint8 RGB array, a picture of PIL, or the name of a picture file"
    if isinstance(given, np.ndarray):
        if given.ndim != 3 or given.shape[2] != 3 or given.dtype != np.uint8 or not given.size:
            raise SourceError(f"a picture is an array {given.shape} of {given.dtype}; {accepted}")
        return np.ascontiguousarray(given)
    if hasattr(given, "convert") and hasattr(given, "getexif"):  # of PIL, which vidseg does not need
        upright = import_module("PIL.ImageOps").exif_transpose(given)
        return np.ascontiguousarray(upright.convert("RGB"), dtype=np.uint8)
    if not isinstance(given, str | PathLike):
        raise SourceError(f"a picture is of type {type(given).__name__}; {accepted}")
    text = os.fsdecode(given)
    path = Path(expand_user(text))
    if not path.is_file():
        raise SourceError(f"{shown_name(text)}: no such file; {accepted}")
    image = read_image(path)
    if image is None:
        raise SourceError(f"{shown_name(text)}: is not a readable picture; for a video use vidseg.segment")
    return image
