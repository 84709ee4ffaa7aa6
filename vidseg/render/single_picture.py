"""One picture as a file, or in a window that waits for a key."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import cv2
import numpy as np

from vidseg.atomic import check_folder, write_whole_file
from vidseg.errors import SinkError
from vidseg.frames import UInt8Array
from vidseg.names import shown_name
from vidseg.render.display import find_display


def encoded_png(picture: UInt8Array) -> bytes:
    """A PNG of (H, W, 3) uint8 RGB."""
    return _encoded(picture, Path("x.png"))


def save_picture(picture: UInt8Array, path: str | PathLike[str]) -> None:
    """Write (H, W, 3) uint8 RGB by the ending of the name. Raises SinkError and WriteError."""
    target = Path(path)
    content = _encoded(picture, target)
    check_folder(target.parent, target)
    write_whole_file(target, content)


def show_picture(picture: UInt8Array, title: str) -> None:
    """Show (H, W, 3) uint8 RGB until a key is pressed or the window is closed. Raises DisplayError."""
    find_display()
    cv2.namedWindow(title, cv2.WINDOW_NORMAL)
    cv2.imshow(title, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    while cv2.waitKey(50) < 0 and cv2.getWindowProperty(title, cv2.WND_PROP_VISIBLE) >= 1:
        pass
    cv2.destroyWindow(title)


def _encoded(picture: UInt8Array, target: Path) -> bytes:
    try:
        found, data = cv2.imencode(target.suffix or ".", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    except cv2.error:
        found, data = False, None
    if not found or data is None:
        raise SinkError(f"{shown_name(target.name)}: is not the name of an image; accepted: .png, .jpg, .webp")
    return bytes(np.asarray(data).tobytes())
