"""Several streams as one: a source of pictures in which each has a tile, and what is in them.

    stream 1 --newest--+
    stream 2 --newest--+--> one picture per tick of a clock, with its label map
    stream 3 --newest--+
        \\------------------> one inference worker, in turn

The clock waits for no stream: a tile shows the newest picture that its stream has, or a card.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction

from vidseg.errors import SourceError
from vidseg.frames import Frame, Segmentation, UInt8Array, VideoInfo
from vidseg.interfaces import GridPainter, VideoSource
from vidseg.pipeline.background_inference import BackgroundInference
from vidseg.pipeline.grid_stream import GridStream
from vidseg.pipeline.inference_worker import InferenceWorker, Lane
from vidseg.pipeline.reconnecting import CLOSE_SECONDS

OPEN_SECONDS = 2.0
"""How long streams that are not there yet are waited for at the start, once one is there."""
FIRST_SECONDS = 2.0
"""How long the first picture waits for a picture of every stream, while the model warms up."""


class StreamsSource:
    """Satisfies `VideoSource`. Starts opening all streams when made; they are read once it is iterated.

    Frames come at a fixed rate and bring what is in them (`Frame.found`). Their times are those of the clock, in whole
    periods; a moment that is missed is left out. It ends when every stream has: a live one has no end.

    `interrupt` takes effect at once. An error that is not a stream's own, such as one of the model, ends the iteration
    and is raised by it; a stream that breaks only ends itself.

    Args:
        openers: name, opener and number of tries of each stream, as `GridStream` takes them.
        announce: told in one sentence what happens; called from other threads.
        clock: seconds that never go back.
        wait: waits for so many seconds, or until interrupted.
    """

    def __init__(
        self,
        openers: Sequence[tuple[str, Callable[[], VideoSource], int | None]],
        *,
        announce: Callable[[str], None] = lambda text: None,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], object] | None = None,
    ) -> None:
        self._clock = clock
        self._stop = threading.Event()
        self._wait = wait or self._stop.wait
        self._changed = threading.Condition()
        self._started = threading.Event()
        self._error: BaseException | None = None
        self._info: VideoInfo | None = None
        self._painter: GridPainter | None = None
        self._worker: InferenceWorker | None = None
        self.late = 0
        """Moments at which no picture could be made in time."""
        self.streams = [
            GridStream(
                name,
                open_source,
                attempts=attempts,
                announce=announce,
                failed=self._fail,
                changed=self._changed,
                started=self._started,
                clock=clock,
            )
            for name, open_source, attempts in openers
        ]

    def wait_opened(self, *, must_exist: bool, seconds: float = OPEN_SECONDS) -> list[VideoInfo | None]:
        """What is known of each stream: all of them, or those that are there soon after the first.

        Args:
            must_exist: where none can be opened, that is an error.
            seconds: how long the others are waited for when one is there.
        Raises:
            SourceError: a stream that is not tried again could not be opened, or none could.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._error or all(s.tried for s in self.streams) or self._some_there())
            self._changed.wait_for(lambda: self._error or all(s.tried for s in self.streams), seconds)
        if self._error is not None:
            raise self._error
        for stream in self.streams:
            if stream.given_up:
                raise SourceError(stream.stats.broken or f"{stream.name}: could not be opened")
        if must_exist and not self._some_there():
            raise SourceError(next(stream.failure for stream in self.streams if stream.failure) or "")
        return [None if stream.source is None else stream.source.info for stream in self.streams]

    def _some_there(self) -> bool:
        return any(stream.source is not None for stream in self.streams)

    def arrange(self, info: VideoInfo, painter: GridPainter) -> None:
        """Say what the pictures are like. To be called before anything below.

        Args:
            info: of the pictures; `frame_rate` is that of the clock, `time_base` one over it.
            painter: puts them together.
        """
        self._info, self._painter = info, painter

    def infer_with(self, worker: InferenceWorker, inference: Callable[[Lane], BackgroundInference]) -> None:
        """Say how the streams are segmented. To be called before the iteration.

        Args:
            worker: not yet entered, with a lane for each stream.
            inference: made for each stream.
        """
        self._worker = worker
        self._inferences = [inference(lane) for lane in worker.lanes]

    @property
    def info(self) -> VideoInfo:
        """As given to `arrange`."""
        assert self._info is not None, "arrange first"
        return self._info

    @property
    def counters(self) -> Mapping[str, int]:
        """Those of all streams together."""
        total: dict[str, int] = {"late_pictures": self.late}
        for stream in self.streams:
            for name, count in ({} if stream.source is None else stream.source.counters).items():
                total[name] = total.get(name, 0) + count
        return {name: count for name, count in total.items() if count}

    @property
    def inferred(self) -> int:
        """Frames that the model was given so far."""
        return sum(stream.stats.inferred for stream in self.streams)

    def __iter__(self) -> Iterator[Frame]:
        """Pictures until all streams have ended, or `interrupt`. Raises what is no stream's own error."""
        assert self._worker is not None and self._painter is not None and self.info.frame_rate is not None
        rate = self.info.frame_rate
        self._worker.__enter__()
        for stream, inference in zip(self.streams, self._inferences, strict=True):
            stream.begin(inference, self._painter.fit)
        with self._changed:
            self._changed.wait_for(self._all_ready, FIRST_SECONDS)
        self._started.set()
        start, index, moment = self._clock(), 0, 0
        while not self._stop.is_set():
            yield self._composed(self._painter, index, moment)
            index += 1
            if all(stream.finished for stream in self.streams):
                break
            due = math.floor((self._clock() - start) * rate)
            self.late += max(0, due - moment - 1)
            moment = max(moment + 1, due)
            ahead = start + float(moment / rate) - self._clock()
            if ahead > 0:
                self._wait(ahead)
        if self._error is not None:
            raise self._error

    def _all_ready(self) -> bool:
        # a stream that is not there is not waited for
        return self._stop.is_set() or all(s.ready or s.source is None for s in self.streams)

    def _composed(self, painter: GridPainter, index: int, moment: int) -> Frame:
        tiles: list[tuple[UInt8Array, UInt8Array | None]] = []
        for stream in self.streams:
            look = stream.look()
            if look.words is not None:
                tiles.append((painter.card(look.picture, look.words), None))
            else:
                assert look.picture is not None
                tiles.append((look.picture, look.label_map))
        image, label_map, as_is = painter.compose(tiles)
        found = Segmentation(label_map, index, as_is=as_is)
        return Frame(image, index, moment, self.info.time_base, duration=1, found=found)

    def interrupt(self) -> None:
        """End the iteration now; from any thread."""
        self._stop.set()
        self._started.set()
        for stream in self.streams:
            stream.interrupt()
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        """End all threads, the model's after what it is at. Safe to call twice."""
        self.interrupt()
        if self._worker is not None and self._worker.is_alive():
            self._worker.__exit__(None, None, None)
        end = time.monotonic() + CLOSE_SECONDS
        for stream in self.streams:
            stream.join(max(0.0, end - time.monotonic()))

    def _fail(self, error: BaseException) -> None:
        with self._changed:
            if self._error is None:
                self._error = error
        self.interrupt()


def grid_rate(infos: Sequence[VideoInfo | None], limit: float | None, *, most: int = 30) -> Fraction:
    """Pictures per second of the grid: the rate of the fastest stream, at most `most` or `limit`."""
    known = [info.frame_rate for info in infos if info is not None and info.frame_rate]
    fastest = min(max(known, default=Fraction(most)), Fraction(most)) if limit is None else max(known, default=None)
    if limit is None:
        assert fastest is not None
        return fastest.limit_denominator(1001)
    wanted = Fraction(limit).limit_denominator(1001)
    return wanted if fastest is None else min(wanted, fastest.limit_denominator(1001))
