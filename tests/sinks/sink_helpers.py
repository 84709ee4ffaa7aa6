"""Frames to put into sinks, and looks into the files that come out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from tests.video.clips import counter_picture
from vidseg.frames import Frame, Segmentation, UInt8Array, VideoInfo

Painter = Callable[[int, int, int], UInt8Array]


def video_info(width: int = 64, height: int = 48, **changes: Any) -> VideoInfo:
    """What a 25 fps source says about itself."""
    return replace(VideoInfo(width, height, Fraction(1, 25), Fraction(25)), **changes)


def make_frame(
    index: int = 0,
    *,
    size: tuple[int, int] = (64, 48),
    pts: int | None = None,
    time_base: Fraction = Fraction(1, 25),
    duration: int | None = 1,
    name: str | None = None,
    painter: Painter = counter_picture,
) -> Frame:
    """A frame whose picture shows its index."""
    return Frame(painter(index, *size), index, index if pts is None else pts, time_base, duration, name)


def nothing_seen(frame: Frame) -> Segmentation:
    """A segmentation that says nothing."""
    return Segmentation(np.full(frame.size_hw, 255, np.uint8), frame.index)


def write_all(sink: Any, frames: Iterable[Frame]) -> Any:
    """Write frames as they are, close, and return the sink."""
    for frame in frames:
        sink.write(frame, nothing_seen(frame), frame.image)
    sink.close()
    return sink


def timed_frames(pts: Sequence[int], time_base: Fraction, durations: Sequence[int | None] | None = None) -> list[Frame]:
    """One frame per pts."""
    every = durations or [None] * len(pts)
    return [make_frame(i, pts=p, time_base=time_base, duration=every[i]) for i, p in enumerate(pts)]


def file_frames(path: Path, limit: int | None = None) -> Iterator[Frame]:
    """Frames of a clip with the file's own times, as a source gives them."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        for index, frame in enumerate(container.decode(stream)):
            if index == limit:
                return
            assert frame.pts is not None and stream.time_base is not None
            image = frame.to_ndarray(format="rgb24")
            yield Frame(image, index, frame.pts, stream.time_base, frame.duration or None)


def file_info(path: Path) -> VideoInfo:
    """What a source says about a clip with audio."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.time_base is not None
        rate = stream.average_rate or None
        return VideoInfo(stream.width, stream.height, stream.time_base, rate, audio_path=str(path))


def frame_times(path: Path) -> list[Fraction]:
    """Presentation times of all frames, in seconds."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return [frame.pts * stream.time_base for frame in container.decode(stream)]  # type: ignore[operator]


def pictures(path: Path) -> list[UInt8Array]:
    """All frames as RGB, converted with the matrix that the file's tags name."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def audio_packets(path: Path, track: int = 0) -> list[tuple[Fraction, bytes]]:
    """(seconds, bytes) of the packets of one audio track."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[track]
        found = [(packet.pts * packet.time_base, bytes(packet)) for packet in container.demux(stream) if packet.size]
    return found  # type: ignore[return-value]


def mp4_boxes(path: Path) -> list[str]:
    """Names of the top-level boxes in file order."""
    data, position, names = path.read_bytes(), 0, []
    while position + 8 <= len(data):
        size = int.from_bytes(data[position : position + 4], "big")
        names.append(data[position + 4 : position + 8].decode("latin-1"))
        position += size if size > 1 else int.from_bytes(data[position + 8 : position + 16], "big")
    return names
