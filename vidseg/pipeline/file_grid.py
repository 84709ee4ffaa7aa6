"""Several files in one grid, when nobody watches: every frame of each is kept, however long it takes.

Where somebody watches, or something is live, the clock decides: see `grid`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

from vidseg.errors import SourceError
from vidseg.frames import Frame, Segmentation, UInt8Array, VideoInfo
from vidseg.interfaces import GridPainter, Propagator, VideoSource
from vidseg.pipeline.fail_closed import own_masks
from vidseg.pipeline.grid_lane import LaneStats
from vidseg.pipeline.inference_worker import Ask
from vidseg.pipeline.policy import InferenceStride, RateLimit

TIME_BASE = Fraction(1, 90_000)
"""Of the pictures: the usual rates are whole numbers in it."""


@dataclass(slots=True)
class FileLane:
    """One of the files, and what is remembered of it.

    `stride` says which of its frames the model sees, `limit` which are taken at all; `propagator` carries masks onto
    the others, or they stay as they are.
    """

    name: str
    source: VideoSource
    stride: InferenceStride
    limit: RateLimit = field(default_factory=lambda: RateLimit(None))
    propagator: Propagator | None = None
    fail_closed: bool = False
    frames: Iterator[Frame] | None = None
    head: Frame | None = None
    """The next frame, until it is shown."""
    at: Fraction = Fraction(0)
    """Its time, in seconds since the file's first frame."""
    start: Fraction | None = None
    picture: UInt8Array | None = None
    label_map: UInt8Array | None = None
    last: Segmentation | None = None
    decoded: int = 0
    shown: int = 0
    left_out: int = 0
    inferred: int = 0
    seen: tuple[float, float] | None = None
    broken: str | None = None

    def advance(self, announce: Callable[[str], None]) -> None:
        """Read the next frame that is taken; None at the end. A file that breaks off only ends itself."""
        self.frames = self.frames or iter(self.source)
        self.head = None
        try:
            for frame in self.frames:
                self.decoded += 1
                own = frame.pts * frame.time_base
                self.start = own if self.start is None else self.start
                if self.limit.keep(frame.seconds):
                    self.head, self.at = frame, own - self.start
                    return
                self.left_out += 1
        except SourceError as error:
            self.broken = str(error)
            announce(f"{error}; the others continue")

    @property
    def stats(self) -> LaneStats:
        """The counts so far."""
        return LaneStats(
            name=self.name,
            decoded=self.decoded,
            shown=self.shown,
            passed_over=self.left_out,
            discarded=self.decoded - self.shown - self.left_out,
            inferred=self.inferred,
            seconds=0.0 if self.seen is None else self.seen[1] - self.seen[0],
            broken=self.broken,
        )


class FileGrid:
    """Satisfies `VideoSource`: a picture for each moment at which one of the files has another frame.

    Moments less than half a step of the fastest file apart are one, but no file gives two frames to a picture. Times
    count from the first frame of each file. What the model and the files raise comes out of the iteration, but for a
    file that breaks off.

    Args:
        lanes: the files, open; closed with this.
        info: of the pictures; `frame_rate` is that of the fastest file.
        painter: puts the pictures together.
        announce: told in one sentence of a file that breaks off.
    """

    def __init__(
        self,
        lanes: Sequence[FileLane],
        info: VideoInfo,
        painter: GridPainter,
        *,
        announce: Callable[[str], None] = lambda text: None,
    ) -> None:
        assert info.frame_rate is not None
        self.lanes = lanes
        self.info = info
        self._painter = painter
        self._announce = announce
        self._together = 1 / (2 * info.frame_rate)
        self._stop = threading.Event()
        self._ask: Ask | None = None
        self._batch = 1

    def infer_with(self, ask: Ask, batch: int) -> None:
        """Say what segments the frames, and how many at once at most. To be called before the iteration."""
        self._ask, self._batch = ask, batch

    @property
    def counters(self) -> Mapping[str, int]:
        """Those of all files together."""
        total: dict[str, int] = {}
        for lane in self.lanes:
            for name, count in lane.source.counters.items():
                total[name] = total.get(name, 0) + count
        return total

    @property
    def inferred(self) -> int:
        """Frames that the model was given so far."""
        return sum(lane.inferred for lane in self.lanes)

    def __iter__(self) -> Iterator[Frame]:
        """Pictures until all files have ended, or `interrupt`."""
        for lane in self.lanes:
            lane.advance(self._announce)
        index = 0
        while not self._stop.is_set() and (now := self._next_moment()) is not None:
            due = [number for number, each in enumerate(self.lanes) if self._is_due(each, now)]
            self._segment(due)
            for number in due:
                self.lanes[number].advance(self._announce)
            following = self._next_moment()
            step = 2 * self._together if following is None else max(following - now, TIME_BASE)
            yield self._composed(index, round(now / TIME_BASE), round(step / TIME_BASE))
            index += 1

    def _next_moment(self) -> Fraction | None:
        return min((each.at for each in self.lanes if each.head is not None), default=None)

    def _is_due(self, lane: FileLane, now: Fraction) -> bool:
        return lane.head is not None and lane.at - now < self._together

    def _segment(self, due: Sequence[int]) -> None:
        """Find or carry the masks of the frames that these files show next."""
        wanted: list[tuple[int, Frame]] = []
        for number in due:
            lane = self.lanes[number]
            assert lane.head is not None
            frame = replace(lane.head, image=self._painter.fit(lane.head.image))
            carry = None if lane.propagator is None else lane.propagator.follow(frame)
            new_scene = lane.propagator is not None and carry is None
            if lane.stride.wants(frame.size_hw, frame.seconds, new_scene=new_scene):
                wanted.append((number, frame))
                if lane.propagator is not None:
                    lane.propagator.anchor()
            else:
                assert lane.last is not None
                found = lane.last if carry is None else carry(lane.last)
                held = own_masks(frame, found) if lane.fail_closed and carry is None else found
                lane.label_map = held.label_map
            lane.picture = frame.image
            self._count(lane)
        assert self._ask is not None, "infer_with comes first"
        for start in range(0, len(wanted), self._batch):
            asked = wanted[start : start + self._batch]
            for (number, _), found in zip(asked, self._ask(asked), strict=True):
                lane = self.lanes[number]
                lane.last, lane.label_map = found, found.label_map
                lane.inferred += 1

    def _count(self, lane: FileLane) -> None:
        now = time.monotonic()
        lane.shown += 1
        lane.seen = (now if lane.seen is None else lane.seen[0], now)

    def _composed(self, index: int, pts: int, duration: int) -> Frame:
        tiles: list[tuple[UInt8Array, UInt8Array | None]] = []
        for lane in self.lanes:
            # its last picture is shown before the card that says that it has ended
            if lane.picture is not None and lane.label_map is not None:
                tiles.append((lane.picture, lane.label_map))
            else:
                words = "broke off" if lane.broken is not None else "ended"
                tiles.append((self._painter.card(lane.picture, words), None))
            if lane.head is None:
                lane.label_map = None
        image, label_map, as_is = self._painter.compose(tiles)
        found = Segmentation(label_map, index, as_is=as_is)
        return Frame(image, index, pts, TIME_BASE, duration=duration, segmentation=found)

    def interrupt(self) -> None:
        """End the iteration soon; from any thread."""
        self._stop.set()
        for lane in self.lanes:
            lane.source.interrupt()

    def close(self) -> None:
        """Close the files. Safe to call twice."""
        self._stop.set()
        for lane in self.lanes:
            lane.source.close()
