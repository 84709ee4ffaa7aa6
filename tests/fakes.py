"""Stand-ins for the stages: small, and steered by Events instead of sleeps."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction

import numpy as np

from vidseg.frames import Frame, Segmentation, UInt8Array, VideoInfo
from vidseg.pipeline.buffer import Buffer
from vidseg.pipeline.inference_worker import Slot
from vidseg.pipeline.options import Result

TIME_BASE = Fraction(1, 30)


def frame(index: int, *, size_hw: tuple[int, int] = (4, 6), pts: int | None = None) -> Frame:
    """A frame filled with its index."""
    image = np.full((*size_hw, 3), index % 256, dtype=np.uint8)
    return Frame(image, index, index if pts is None else pts, TIME_BASE, duration=1)


def all_end(*prefixes: str) -> bool:
    """Whether the threads of these names end; on a busy machine the last ones need a moment."""
    found = [thread for thread in threading.enumerate() if thread.name.startswith(prefixes)]
    for thread in found:
        thread.join(5)
    return not any(thread.is_alive() for thread in found)


class FakeSource:
    """Yields the given frames; may raise after them, or block until released."""

    def __init__(
        self,
        frames: Sequence[Frame],
        *,
        live: bool = False,
        still: bool = False,
        error: BaseException | None = None,
        block_at: int | None = None,
        deaf: bool = False,
        before: Callable[[int], None] | None = None,
    ) -> None:
        size = frames[0].size_hw if frames else (4, 6)
        self._info = VideoInfo(size[1], size[0], TIME_BASE, Fraction(30), len(frames), live=live, still=still)
        self._frames = frames
        self._error = error
        self._block_at = block_at
        self._deaf = deaf
        self._before = before
        self.blocked = threading.Event()
        self.release = threading.Event()
        self.closed = 0

    @property
    def info(self) -> VideoInfo:
        return self._info

    @property
    def counters(self) -> Mapping[str, int]:
        return {"corrupt_packets": 3}

    def __iter__(self) -> Iterator[Frame]:
        for number, item in enumerate(self._frames):
            if number == self._block_at:
                self.blocked.set()
                self.release.wait()
                return
            if self._before:
                self._before(number)
            yield item
        if self._error:
            raise self._error

    def interrupt(self) -> None:
        if not self._deaf:
            self.release.set()

    def close(self) -> None:
        self.closed += 1


class FakeSegmenter:
    """Labels every pixel with the frame's index; remembers the batches it was given."""

    def __init__(self, *, error_at: int | None = None, before: Callable[[int], None] | None = None) -> None:
        self.batches: list[list[int]] = []
        self._error_at = error_at
        self._before = before

    def segment(self, frames: Sequence[Frame]) -> list[Segmentation]:
        self.batches.append([item.index for item in frames])
        found = []
        for item in frames:
            if self._before:
                self._before(item.index)
            if item.index == self._error_at:
                raise RuntimeError("model broke")
            found.append(Segmentation(np.full(item.size_hw, item.index % 150, np.uint8), item.index))
        return found

    @property
    def seen(self) -> list[int]:
        return [index for batch in self.batches for index in batch]


class FakePropagator:
    """Carries masks by adding 100 to the labels; loses sight of the anchor at the given frames. Remembers its calls."""

    def __init__(self, *, cuts: Sequence[int] = ()) -> None:
        self.calls: list[int | str] = []
        self._cuts = cuts
        self._lost = True

    def follow(self, item: Frame) -> Callable[[Segmentation], Segmentation] | None:
        self.calls.append(item.index)
        self._lost = self._lost or item.index in self._cuts
        return None if self._lost else lambda last: Segmentation(last.label_map + 100, last.frame_index)

    def anchor(self) -> None:
        self.calls.append("anchor")
        self._lost = False


class FakeRenderer:
    """Gives the picture back; raises at one frame if asked to."""

    def __init__(self, error_at: int | None = None) -> None:
        self.calls = 0
        self._error_at = error_at

    def render(self, image: UInt8Array, segmentation: Segmentation) -> UInt8Array:
        if self.calls == self._error_at:
            raise RuntimeError("renderer broke")
        self.calls += 1
        return image.copy()


class FakeSink:
    """Remembers (frame index, index the masks came from); may raise."""

    def __init__(
        self,
        *,
        needs_picture: bool = True,
        error_at: int | None = None,
        close_error: BaseException | None = None,
        before: Callable[[int], None] | None = None,
    ) -> None:
        self.path, self.notes = "fake.mp4", ()
        self.needs_picture = needs_picture
        self.written: list[tuple[int, int]] = []
        self.pictures: list[UInt8Array | None] = []
        self.state = "open"
        self._error_at = error_at
        self._close_error = close_error
        self._before = before

    def write(self, item: Frame, segmentation: Segmentation, picture: UInt8Array | None) -> None:
        if self._before:
            self._before(item.index)
        if item.index == self._error_at:
            raise OSError("disk full")
        self.written.append((item.index, segmentation.frame_index))
        self.pictures.append(picture)

    def close(self) -> None:
        if self._close_error:
            raise self._close_error
        self.state = "closed"

    def abort(self) -> None:
        self.state = "aborted"


class FakeSender(FakeSink):
    """Sends, and loses what it is told to."""

    given_up: str | None = None

    def __init__(self, *, lost: int, reconnects: int) -> None:
        super().__init__()
        self.counters = {"frames": 0, "lost_frames": lost, "reconnects": reconnects}


def filled(count: int, close: bool = True) -> Buffer[Result]:
    """A buffer with results of frames 0 to `count` - 1, at its end or not."""
    buffer: Buffer[Result] = Buffer(count)
    for index in range(count):
        item = frame(index)
        buffer.put(Result(item, Segmentation(np.zeros(item.size_hw, np.uint8), index)))
    if close:
        buffer.close()
    return buffer


def settled(slot: Slot, timeout: float = 10) -> bool:
    """Wait until the model has nothing of this slot to do; False where that takes longer."""
    with slot._changed:
        return slot._changed.wait_for(lambda: slot._waiting is None and not slot._under_way, timeout)
