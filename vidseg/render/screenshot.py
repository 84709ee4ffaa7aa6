"""Pictures saved by hand, numbered."""

from __future__ import annotations

from pathlib import Path

import cv2

from vidseg.frames import UInt8Array


def save_screenshot(picture: UInt8Array, folder: Path) -> Path:
    """Write `picture` (H, W, 3) RGB as the first free `vidseg-shot-NNNN.png` of `folder`; its path.

    Raises:
        OSError: the folder cannot be written; nothing is left behind.
    """
    encoded = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1].tobytes()
    number = 1
    while True:
        path = folder / f"vidseg-shot-{number:04}.png"
        try:
            file = path.open("xb")  # fails where the file exists, so nothing is ever overwritten
        except FileExistsError:
            number += 1
            continue
        try:
            with file:
                file.write(encoded)
        except OSError:
            path.unlink(missing_ok=True)
            raise
        return path
