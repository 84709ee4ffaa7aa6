"""What a report shows of a clip, collected during the run in constant memory."""

from __future__ import annotations

import cv2
import numpy as np

from vidseg.frames import Frame, Segmentation, UInt8Array
from vidseg.shares_over_time import ClassShares, SharesOverTime
from vidseg.wiring.input_files import Identity, InputFiles

TILES = 8
TILE_HEIGHT = 72
WIDEST_TILE = 192
MOST_BINS = 48
SHOWN_CLASSES = 6

_JPEG_QUALITY = 75


class InputGuard:
    """A sink that writes nothing, and at the end refuses an input that is not the file it was at the start.

    Closed before the outputs, it keeps them from getting their names.
    """

    needs_picture = False
    notes: tuple[str, ...] = ()

    def __init__(self, path: str, identity: Identity) -> None:
        self.path = path
        self._files = InputFiles((), {path: identity})

    def write(self, frame: Frame, segmentation: Segmentation, picture: UInt8Array | None) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Raises InputChangedError if the file was changed or is gone."""
        self._files.refuse_change()

    def abort(self) -> None:
        """Nothing to do."""


class Sampler:
    """A sink that keeps a few small pictures and the class shares over time.

    Keeps at most twice `TILES` pictures and `MOST_BINS` stretches of frames: when there would be more pictures, every
    other goes.

    Args:
        sources_pictures: where nothing is drawn, take the source's own pictures.
    """

    path = "the report"
    notes: tuple[str, ...] = ()
    needs_picture = False  # it takes what is drawn for others

    def __init__(self, *, sources_pictures: bool) -> None:
        self._sources_pictures = sources_pictures
        self._written = 0
        self._tile_every = 1
        self._tiles: list[UInt8Array] = []
        self._shares = SharesOverTime(MOST_BINS)

    def write(self, frame: Frame, segmentation: Segmentation, picture: UInt8Array | None) -> None:
        """Look at one frame."""
        if picture is None and self._sources_pictures:
            picture = frame.image
        if picture is not None and self._written % self._tile_every == 0:
            self._keep_tile(picture)
        self._shares.add(frame.seconds, segmentation.label_map)
        self._written += 1

    def close(self) -> None:
        """Nothing to finish."""

    def abort(self) -> None:
        """Nothing to give up."""

    def strip(self) -> bytes:
        """Up to eight pictures of the clip beside each other as a JPEG; empty without any."""
        if not self._tiles:
            return b""
        chosen = np.linspace(0, len(self._tiles) - 1, min(TILES, len(self._tiles))).round().astype(int)
        gap = np.full((TILE_HEIGHT, 2, 3), 255, np.uint8)
        parts = [part for index in chosen for part in (self._tiles[index], gap)][:-1]
        picture = cv2.cvtColor(np.hstack(parts), cv2.COLOR_RGB2BGR)
        done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        return data.tobytes() if done else b""

    def class_shares(self) -> ClassShares:
        """The classes with the largest parts of the clip, largest first."""
        return self._shares.shares(SHOWN_CLASSES)

    def _keep_tile(self, picture: UInt8Array) -> None:
        if picture.shape[2] == 4:
            picture = _on_white(picture)
        height, width = picture.shape[:2]
        size = (min(WIDEST_TILE, max(1, round(width * TILE_HEIGHT / height))), TILE_HEIGHT)
        self._tiles.append(cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.uint8))
        if len(self._tiles) >= 2 * TILES:
            del self._tiles[1::2]
            self._tile_every *= 2


def _on_white(picture: UInt8Array) -> UInt8Array:
    """A cut-out, (H, W, 4) with straight alpha, as (H, W, 3) on a white page."""
    alpha = picture[..., 3:].astype(np.uint16)
    return ((picture[..., :3] * alpha + 255 * (255 - alpha)) // 255).astype(np.uint8)
