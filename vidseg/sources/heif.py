"""Photos in HEIF containers, .heic and .avif: the picture that the file calls its main one, whole and upright.

FFmpeg shows such a file as a video stream for each tile and auxiliary picture (depth, gain map), and OpenCV reads .avif
only and leaves it as stored. So the boxes are read here, FFmpeg's decoders decode the tiles, and crops, rotations and
mirrors are done in the order of the file. Format: ISO/IEC 23008-12 (HEIF), ISO/IEC 14496-12 (the boxes), AVIF 1.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import av
import cv2
import numpy as np

from vidseg.frames import UInt8Array
from vidseg.sources.rgb import MATRIX_UNSPECIFIED, RgbConverter

_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"mif1", b"mif2", b"avif", b"miaf"})
_DECODERS = {b"hvc1": "hevc", b"hev1": "hevc", b"av01": "libdav1d", b"avc1": "h264", b"jpeg": "mjpeg"}
_SETTINGS = (b"hvcC", b"av1C", b"avcC", b"jpgC")
_MOST_PIXELS = 1 << 28
_DEEPEST = 4
"""Pictures made of pictures made of ...: a file whose pictures are made of each other is damaged."""
_MATRIX_BT601 = 5


def is_heif(data: bytes) -> bool:
    """True for a file of still pictures; one of a sequence (brands avis, hevc) is a video."""
    size = int.from_bytes(data[:4], "big")
    return data[4:8] == b"ftyp" and data[8:12] in _BRANDS and 16 <= size <= len(data)


def read_heif(data: bytes) -> tuple[UInt8Array, tuple[str, ...]]:
    """The main picture (H, W, 3) uint8 RGB, and what was done to its colours.

    Raises:
        ValueError: damaged, or made in a way that is not known here.
    """
    file = _File(data)
    try:
        return file.picture(file.main)
    except (av.FFmpegError, LookupError, cv2.error) as error:
        raise ValueError(str(error)) from error


class _Fields:
    """Big-endian numbers, one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    def take(self, length: int) -> bytes:
        part = self._data[self._place : self._place + length]
        if len(part) < length:
            raise ValueError("cut off")
        self._place += length
        return part

    def number(self, length: int) -> int:
        return int.from_bytes(self.take(length), "big")

    def full_box(self) -> tuple[int, int]:
        """Version and flags, with which most boxes begin."""
        return self.number(1), self.number(3)

    @property
    def left(self) -> int:
        return len(self._data) - self._place


@dataclass(slots=True)
class _Item:
    """One picture of the file, or something else."""

    kind: bytes = b""
    in_meta: bool = False
    """The content lies in the box `idat`, not in the file."""
    extents: list[tuple[int, int]] = field(default_factory=list)
    properties: list[tuple[bytes, bytes]] = field(default_factory=list)
    parts: tuple[int, ...] = ()
    """The pictures that it is made of."""

    def has(self, *kinds: bytes) -> bytes | None:
        return next((content for kind, content in self.properties if kind in kinds), None)


class _File:
    """The boxes of a file, and its pictures by number. Raises ValueError."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._items: dict[int, _Item] = {}
        meta = next((content for kind, content in _boxes(data) if kind == b"meta"), b"")
        boxes = dict(reversed(list(_boxes(meta[4:]))))
        self._idat = boxes.get(b"idat", b"")
        try:
            main = _Fields(boxes[b"pitm"])
            self.main = main.number(2 if main.full_box()[0] == 0 else 4)
            self._read_kinds(_Fields(boxes[b"iinf"]), boxes[b"iinf"])
            self._read_places(_Fields(boxes[b"iloc"]))
            self._read_properties(boxes[b"iprp"])
            self._read_parts(boxes.get(b"iref", bytes(4)))
        except KeyError as error:
            raise ValueError(f"no {error}") from error

    def _read_kinds(self, head: _Fields, content: bytes) -> None:
        start = 6 if head.full_box()[0] == 0 else 8
        for kind, body in _boxes(content[start:]):
            entry = _Fields(body)
            version, _ = entry.full_box()
            if kind == b"infe" and version >= 2:
                number = entry.number(2 if version == 2 else 4)
                entry.number(2)
                self._items[number] = _Item(entry.take(4))

    def _read_places(self, box: _Fields) -> None:
        version, _ = box.full_box()
        sizes = box.number(2)
        offset_size, length_size, base_size, index_size = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
        for _ in range(box.number(2 if version < 2 else 4)):
            item = self._items.get(box.number(2 if version < 2 else 4), _Item())
            method = box.number(2) & 15 if version > 0 else 0
            item.in_meta = method == 1
            box.number(2)
            base = box.number(base_size)
            for _ in range(box.number(2)):
                box.number(index_size if version > 0 else 0)
                place, length = base + box.number(offset_size), box.number(length_size)
                item.extents.append((place, length))

    def _read_properties(self, content: bytes) -> None:
        boxes = list(_boxes(content))
        known = [each for kind, body in boxes if kind == b"ipco" for each in _boxes(body)]
        for kind, body in boxes:
            if kind != b"ipma":
                continue
            links = _Fields(body)
            version, flags = links.full_box()
            for _ in range(links.number(4)):
                item = self._items.get(links.number(2 if version == 0 else 4), _Item())
                for _ in range(links.number(1)):
                    index = links.number(2) & 0x7FFF if flags & 1 else links.number(1) & 0x7F
                    if 0 < index <= len(known):
                        item.properties.append(known[index - 1])

    def _read_parts(self, content: bytes) -> None:
        width = 2 if content[0] == 0 else 4
        for kind, body in _boxes(content[4:]):
            links = _Fields(body)
            item = self._items.get(links.number(width), _Item())
            numbers = tuple(links.number(width) for _ in range(links.number(2)))
            if kind == b"dimg":
                item.parts = numbers

    def picture(
        self, number: int, *, colours: bytes | None = None, depth: int = 0
    ) -> tuple[UInt8Array, tuple[str, ...]]:
        """The picture as it is to be shown, and notes.

        Args:
            colours: the box `colr` of what it is a part of, for pictures without one.
        """
        item = self._items[number]
        colours = next((body for kind, body in item.properties if kind == b"colr" and body[:4] == b"nclx"), colours)
        if depth > _DEEPEST:
            raise ValueError("a picture that contains itself")
        if item.kind in _DECODERS:
            frame = _decoded(item, self._content(item), colours, alone=depth == 0)
            converter = RgbConverter(frame)
            image, notes = converter.convert(frame), converter.notes
        elif item.kind == b"grid":
            image, notes = self._grid(item, colours, depth)
        elif item.kind == b"iden" and len(item.parts) == 1:
            image, notes = self.picture(item.parts[0], colours=colours, depth=depth + 1)
        else:
            raise ValueError(f"a picture of the kind {item.kind!r}")
        for kind, content in item.properties:
            image = _transformed(image, kind, content)
        return np.ascontiguousarray(image), notes

    def _grid(self, item: _Item, colours: bytes | None, depth: int) -> tuple[UInt8Array, tuple[str, ...]]:
        """Tiles of one size, line by line; those at the right and lower edge may reach over it."""
        layout = _Fields(self._content(item))
        _, flags = layout.number(1), layout.number(1)
        rows, columns = layout.number(1) + 1, layout.number(1) + 1
        width, height = (layout.number(4 if flags & 1 else 2) for _ in range(2))
        if len(item.parts) != rows * columns or not 0 < width * height <= _MOST_PIXELS:
            raise ValueError(f"a grid of {columns}x{rows} tiles, {len(item.parts)} there, for {width}x{height}")
        image = np.zeros((height, width, 3), np.uint8)
        notes: tuple[str, ...] = ()
        for index, part in enumerate(item.parts):
            tile, notes = self.picture(part, colours=colours, depth=depth + 1)
            high, wide = tile.shape[:2]
            if wide * columns < width or high * rows < height:
                raise ValueError("tiles that do not cover the picture")
            top, left = index // columns * high, index % columns * wide
            room = image[top : top + high, left : left + wide]
            room[:] = tile[: room.shape[0], : room.shape[1]]
        return image, notes

    def _content(self, item: _Item) -> bytes:
        source = self._idat if item.in_meta else self._data
        pieces = [(start, start + length if length else len(source)) for start, length in item.extents]
        if sum(end - start for start, end in pieces) > len(source):
            raise ValueError("pieces that overlap")
        return b"".join(source[start:end] for start, end in pieces)


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kinds and contents of boxes, one after the other."""
    place = 0
    while place + 8 <= len(data):
        size, kind, head = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8], 8
        if size == 1:
            size, head = int.from_bytes(data[place + 8 : place + 16], "big"), 16
        elif size == 0:
            size = len(data) - place
        if size < head:
            return
        yield kind, data[place + head : place + size]
        place += size


def _decoded(item: _Item, content: bytes, colours: bytes | None, *, alone: bool) -> av.VideoFrame:
    """The only frame of a coded picture, with the colours that the file names."""
    context = av.CodecContext.create(_DECODERS[item.kind], "r")
    assert isinstance(context, av.VideoCodecContext)
    context.extradata = item.has(*_SETTINGS)
    context.thread_count = 0 if alone else 1
    frames = [*context.decode(av.Packet(content)), *context.decode(None)]
    if not frames or frames[0].is_corrupt:
        raise ValueError("damaged")
    frame = frames[0]
    if frame.width * frame.height > _MOST_PIXELS:
        raise ValueError(f"{frame.width}x{frame.height} pixels")
    if colours is not None:
        named = _Fields(colours[4:])
        frame.color_primaries, frame.color_trc, frame.colorspace = (named.number(2) for _ in range(3))
        frame.color_range = 2 if named.number(1) & 0x80 else 1
    if frame.colorspace == MATRIX_UNSPECIFIED:
        frame.colorspace = _MATRIX_BT601  # of any size: a still picture that names none is not HD video
    return frame


def _transformed(image: UInt8Array, kind: bytes, content: bytes) -> UInt8Array:
    """The picture after one of its properties; most change nothing."""
    if kind == b"irot":
        return np.rot90(image, content[0] & 3)  # counter-clockwise, both
    if kind == b"imir":
        return image[:, ::-1] if content[0] & 1 else image[::-1]
    if kind == b"clap":
        given = _Fields(content)
        values = [given.number(4) for _ in range(8)]
        values = [value - (1 << 32) if value >> 31 else value for value in values]
        wide, high, right, down = (
            top / bottom if bottom else 0 for top, bottom in zip(values[::2], values[1::2], strict=True)
        )
        height, width = image.shape[:2]
        left, top = round((width - wide) / 2 + right), round((height - high) / 2 + down)
        if not (0 <= left < width and 0 <= top < height and wide >= 1 and high >= 1):
            raise ValueError("a crop outside the picture")
        return image[top : top + round(high), left : left + round(wide)]
    return image
