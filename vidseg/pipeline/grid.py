"""Several lanes in one grid: a source of pictures in which each lane has a tile.

    lane 1 --newest--+
    lane 2 --newest--+--> one picture per tick of a clock, with its label map
    lane 3 --newest--+
        \\------------------> one inference worker, in turn

The clock waits for no lane: a tile shows the newest picture that its lane has, or a card.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction

from vidseg.errors import SourceError
from vidseg.frames import Frame, Segmentation, UInt8Array, VideoInfo, rate_of
from vidseg.interfaces import GridPainter
from vidseg.pipeline.background_inference import BackgroundInference
from vidseg.pipeline.grid_lane import GridLane, LaneSpec
from vidseg.pipeline.inference_worker import InferenceWorker, Slot
from vidseg.pipeline.reconnecting import CLOSE_SECONDS

MOST_RATE = 30
"""Pictures per second of a grid at most, where nothing else is said."""
OPEN_SECONDS = 2.0
"""How long lanes that are not there yet are waited for at the start, once one is there."""
FIRST_SECONDS = 2.0
"""How long the first picture waits for live lanes that are there; it has the first frames of all files."""


class ClockGrid:
    """Satisfies `VideoSource`. Starts opening all lanes when made; they are read once it is iterated.

    Frames come at a fixed rate and bring what is in them (`Frame.segmentation`). Their times are those of the clock, in
    whole periods; a moment that is missed is left out. It ends when every lane has: a live one has no end.

    `interrupt` takes effect at once. An error that is not a lane's own, such as one of the model, ends the iteration
    and is raised by it; a lane that breaks only ends itself.

    Args:
        specs: of the lanes.
        announce: told in one sentence what happens; called from other threads.
        first_seconds: how long the first picture waits for those of live lanes that are there.
        clock: seconds that never go back.
        wait: waits for so many seconds, or until interrupted.
    """

    def __init__(
        self,
        specs: Sequence[LaneSpec],
        *,
        announce: Callable[[str], None] = lambda text: None,
        first_seconds: float = FIRST_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], object] | None = None,
    ) -> None:
        self._clock = clock
        self._specs = specs
        self._first_seconds = first_seconds
        self._stop = threading.Event()
        self._wait = wait or self._stop.wait
        self._changed = threading.Condition()
        self._started = threading.Event()
        self._error: BaseException | None = None
        self._info: VideoInfo | None = None
        self._painter: GridPainter | None = None
        self._worker: InferenceWorker | None = None
        self.left_out = 0
        """Moments of the clock without a picture: the outputs were not ready for one."""
        self.lanes = [
            GridLane(
                spec, announce=announce, failed=self._fail, changed=self._changed, started=self._started, clock=clock
            )
            for spec in specs
        ]
        for lane in self.lanes:
            lane.open()

    def wait_opened(self, *, patient: bool, seconds: float = OPEN_SECONDS) -> list[VideoInfo | None]:
        """What is known of each lane, once all that are needed are open, and of the others those that soon are.

        Args:
            patient: go on even where none of them is there, as long as one is tried again.
            seconds: how long the others are waited for when one lane is there.
        Raises:
            SourceError: a lane that is needed could not be opened, or none could.
        """
        needed = [lane for lane, spec in zip(self.lanes, self._specs, strict=True) if spec.needed]
        with self._changed:
            self._changed.wait_for(
                lambda: (
                    self._stop.is_set()
                    or self._all_tried()
                    or (self._some_there() and all(lane.tried for lane in needed))
                )
            )
            self._changed.wait_for(lambda: self._stop.is_set() or self._all_tried(), seconds)
        if self._error is not None:
            raise self._error
        for lane in needed:
            if lane.given_up:
                raise SourceError(lane.stats.broken)
        if not self._some_there() and (not patient or all(lane.given_up for lane in self.lanes)):
            raise SourceError(next(lane.stats.broken or lane.failure for lane in self.lanes))
        return [None if lane.source is None else lane.source.info for lane in self.lanes]

    def _all_tried(self) -> bool:
        return all(lane.tried for lane in self.lanes)

    def _some_there(self) -> bool:
        return any(lane.source is not None for lane in self.lanes)

    def arrange(self, info: VideoInfo, painter: GridPainter) -> None:
        """Say what the pictures are like. To be called before anything below.

        Args:
            info: of the pictures; `frame_rate` is that of the clock, `time_base` one over it.
            painter: puts them together.
        """
        self._info, self._painter = info, painter

    def infer_with(self, worker: InferenceWorker, inference: Callable[[Slot], BackgroundInference]) -> None:
        """Say how the lanes are segmented. To be called before the iteration.

        Args:
            worker: not yet entered, with a slot for each lane.
            inference: made for each lane.
        """
        self._worker = worker
        self._inferences = [inference(slot) for slot in worker.slots]

    @property
    def info(self) -> VideoInfo:
        """As given to `arrange`."""
        assert self._info is not None, "arrange first"
        return self._info

    @property
    def counters(self) -> Mapping[str, int]:
        """Those of all lanes together."""
        total: dict[str, int] = {"pictures_left_out": self.left_out}
        for lane in self.lanes:
            for name, count in ({} if lane.source is None else lane.source.counters).items():
                total[name] = total.get(name, 0) + count
        return {name: count for name, count in total.items() if count}

    @property
    def inferred(self) -> int:
        """Frames that the model was given so far."""
        return sum(lane.stats.inferred for lane in self.lanes)

    def __iter__(self) -> Iterator[Frame]:
        """Pictures until all lanes have ended, or `interrupt`. Raises what is no lane's own error."""
        assert self._worker is not None and self._painter is not None and self.info.frame_rate is not None
        rate = self.info.frame_rate
        self._worker.__enter__()
        for lane, inference in zip(self.lanes, self._inferences, strict=True):
            lane.begin(inference, self._painter.fit)
        with self._changed:
            self._changed.wait_for(self._files_ready)
            self._changed.wait_for(self._all_ready, self._first_seconds)
        self._started.set()
        start, index, moment = self._clock(), 0, 0
        while not self._stop.is_set():
            yield self._composed(self._painter, index, moment)
            index += 1
            if all(lane.finished for lane in self.lanes):
                break
            due = math.floor((self._clock() - start) * rate)
            self.left_out += max(0, due - moment - 1)
            moment = max(moment + 1, due)
            ahead = start + float(moment / rate) - self._clock()
            if ahead > 0:
                self._wait(ahead)
        self._worker.__exit__(None, None, None)  # an error with the last frames is one too
        if self._error is not None:
            raise self._error

    def _files_ready(self) -> bool:
        return self._stop.is_set() or all(s.ready or s.source is None or s.source.info.live for s in self.lanes)

    def _all_ready(self) -> bool:
        # a lane that is not there is not waited for
        return self._stop.is_set() or all(s.ready or s.source is None for s in self.lanes)

    def _composed(self, painter: GridPainter, index: int, moment: int) -> Frame:
        tiles: list[tuple[UInt8Array, UInt8Array | None]] = []
        for lane in self.lanes:
            look = lane.look()
            if look.words is not None:
                tiles.append((painter.card(look.picture, look.words), None))
            else:
                assert look.picture is not None
                tiles.append((look.picture, look.label_map))
        image, label_map, as_is = painter.compose(tiles)
        found = Segmentation(label_map, index, as_is=as_is)
        return Frame(image, index, moment, self.info.time_base, duration=1, segmentation=found)

    def interrupt(self) -> None:
        """End the iteration now; from any thread."""
        self._stop.set()
        self._started.set()
        for lane in self.lanes:
            lane.interrupt()
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        """End all threads, the model's after what it is at. Safe to call twice."""
        self.interrupt()
        if self._worker is not None and self._worker.is_alive():
            self._worker.close()
        end = time.monotonic() + CLOSE_SECONDS
        for lane in self.lanes:
            lane.join(max(0.0, end - time.monotonic()))

    def _fail(self, error: BaseException) -> None:
        with self._changed:
            if self._error is None:
                self._error = error
        self.interrupt()


def grid_rate(infos: Sequence[VideoInfo | None], limit: float | None) -> Fraction:
    """Pictures per second of the grid: the rate of the fastest lane, at most `limit`, or `MOST_RATE`.

    A lane whose rate is not known may be as fast as that.
    """
    most = Fraction(MOST_RATE if limit is None else limit)
    rates = [most if info is None or not info.frame_rate else info.frame_rate for info in infos]
    return rate_of(min(max(rates), most))
