"""Runs a source through a segmenter into sinks. The only place in vidseg where threads are made.

    decode thread --incoming--> segment thread --results--> output thread --display--> caller's thread

All hand-overs are bounded. A file waits for the slowest stage; a live source never waits: the newest frame wins and
the rest is counted. The first exception of any stage ends all of them and is raised by `run`; only a source that breaks
off after its first frame ends the run like a source that ends: a day's recording is not thrown away with the stream.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from vidseg.errors import SourceError
from vidseg.frames import Frame, Segmentation
from vidseg.interfaces import Propagator, Renderer, Segmenter, Sink, VideoSource
from vidseg.pipeline.buffer import Buffer, Closed
from vidseg.pipeline.policy import InferenceStride, RateLimit
from vidseg.pipeline.stats import RunStats
from vidseg.timing import RateMeter, StageTimers

TICK_SECONDS = 0.1
"""How often `run` looks up while it waits: progress, requests to stop."""

GRACE_SECONDS = 2.0
"""How long a source may take to notice `interrupt` before the run goes on without it."""


@dataclass(frozen=True, slots=True)
class PipelineOptions:
    """How frames are passed on."""

    stride: int = 1
    """The model sees every stride-th frame; the others get the last masks, held or carried by a `Propagator`."""
    max_fps: float | None = None
    """Frames per second of source time that go on at most; None for all."""
    limit: int | None = None
    """Frames that go on at most; None for all."""
    batch: int = 1
    """Frames segmented at once at most. A live source is not kept waiting for a full batch."""
    queue_size: int = 4
    """Frames held by each hand-over."""


@dataclass(frozen=True, slots=True)
class Result:
    """One frame and what is in it."""

    frame: Frame
    segmentation: Segmentation


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A frame not yet handed on, and how it gets its masks."""

    frame: Frame
    needs_model: bool
    carry: Callable[[Segmentation], Segmentation] | None
    """Brings the last masks onto it; None: its own, or the last as they are."""


Display = Callable[["Buffer[Result]"], None]
"""Takes results on the caller's thread until `Closed`; returning early asks the run to stop."""


class Pipeline:
    """One run. Use once: construct, `run`, read `stats`.

    `request_stop` and `abort` may be called from any thread and from signal handlers.
    """

    def __init__(
        self,
        source: VideoSource,
        segmenter: Segmenter,
        renderer: Renderer | None,
        sinks: Sequence[Sink],
        *,
        propagator: Propagator | None = None,
        options: PipelineOptions | None = None,
        timers: StageTimers | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._source = source
        self._segmenter = segmenter
        self._renderer = renderer
        self._propagator = propagator
        self._sinks = list(sinks)
        self._options = options or PipelineOptions()
        self._clock = clock
        self.timers = timers or StageTimers(clock)
        self.stats = RunStats()
        self.output_rate = RateMeter()

        live = source.info.live
        size = max(self._options.queue_size, self._options.batch)
        self._incoming: Buffer[Frame] = Buffer(1 if live else size, drop_oldest=live)
        self._results: Buffer[Result] = Buffer(size)
        # Sinks set the pace; without any, the display does.
        self._display: Buffer[Result] = Buffer(1 if sinks else 2, drop_oldest=bool(sinks))
        self._stop_requested = threading.Event()
        self._aborted = threading.Event()
        self._error: BaseException | None = None
        self._error_lock = threading.Lock()
        self._finished = False

    def run(self, display: Display | None = None, on_tick: Callable[[Pipeline], None] | None = None) -> RunStats:
        """Run until the source ends, `request_stop`, `abort`, or an error.

        Args:
            display: called on this thread with the buffer of results; windows need the main thread.
            on_tick: called on this thread about ten times a second, for progress.
        Returns:
            The final stats. Sinks are closed; after `abort`, or a stop before the first frame, they are aborted.
            `stats.broken_source` tells of a source that broke off.
        Raises:
            Whatever a stage raised first; sinks are aborted then.
        """
        start = self._clock()
        stages = (
            ("decode", self._decode, self._end_decode),
            ("segment", self._segment, self._end_segment),
            ("output", self._output, self._end_output),
        )
        decode, *others = (
            threading.Thread(target=self._run_stage, args=(stage, end), name=f"vidseg-{name}", daemon=True)
            for name, stage, end in stages
        )
        if display is None:
            self._display.cancel()
        for thread in (decode, *others):
            thread.start()
        try:
            if display is not None:
                display(self._display)
                if not self._display.exhausted:
                    self.request_stop()
                self._display.cancel()
            self._wait(decode, others, on_tick, start)
        except BaseException as error:
            self._fail(error)
            raise
        finally:
            self._join(decode, others)
            self._finish_stats(start)
        if self._error is not None:
            raise self._error
        return self.stats

    def request_stop(self) -> None:
        """End as if the source had ended now: frames under way are finished, sinks are closed properly."""
        self._stop_requested.set()
        self._source.interrupt()

    def abort(self) -> None:
        """End at once: frames under way are thrown away, sinks are aborted."""
        self._aborted.set()
        self._stop_requested.set()
        self._source.interrupt()
        self._cancel_buffers()

    @property
    def aborted(self) -> bool:
        """True after `abort`, unless all sinks were finished before it could take effect."""
        return self._aborted.is_set() and not self._finished

    @property
    def dropped(self) -> int:
        """Frames of a live source thrown away so far."""
        return self._incoming.dropped

    # stages, each on its own thread

    def _run_stage(self, stage: Callable[[], None], end: Callable[[], None]) -> None:
        """Run a stage, then tell its neighbours. An error is noted first: they must not take it for a normal end."""
        for step in (stage, end):
            try:
                step()
            except Closed:
                pass
            except BaseException as error:
                self._fail(error)

    def _decode(self) -> None:
        limit = RateLimit(self._options.max_fps)
        stretch = self._options.max_fps is not None and not self._source.info.live
        held: Frame | None = None  # a kept frame whose time on screen grows by the frames skipped behind it
        for frame in self._source_frames():
            keep = limit.keep(frame.seconds)
            if not keep:
                self.stats.skipped += 1
                if held is not None and frame.pts > held.pts:
                    held.duration = frame.pts + (frame.duration or 0) - held.pts
                continue
            if held is not None:
                self._incoming.put(held)
                held = None
            if stretch:
                held = frame
            else:
                self._incoming.put(frame)
        if held is not None:
            self._incoming.put(held)

    def _source_frames(self) -> Iterator[Frame]:
        """Frames until the source ends or breaks off, the run is to stop, or the limit is reached."""
        frames = iter(self._source)
        stats = self.stats
        while not self._stop_requested.is_set():
            start = self._clock()
            try:
                frame = next(frames, None)
            except SourceError as error:
                if not stats.decoded:
                    raise
                stats.broken_source = str(error)
                return
            if frame is None:
                return
            if not self._source.info.live:  # a live source mostly waits for its next frame
                self.timers.add("decode", self._clock() - start)
            stats.decoded += 1
            yield frame
            if stats.decoded - stats.skipped - self._incoming.dropped >= (self._options.limit or math.inf):
                return

    def _end_decode(self) -> None:
        self._incoming.close()
        self._source.close()

    def _segment(self) -> None:
        wants = InferenceStride(1 if self._source.info.still else self._options.stride)
        waiting: list[_Waiting] = []
        last: Segmentation | None = None
        while True:
            try:
                # a frame at hand joins the batch; when none is, nothing is gained by waiting
                frame = self._incoming.get(timeout=0 if waiting else None)
            except TimeoutError:
                last = self._hand_on(waiting, last)
                continue
            except Closed:
                if not self._incoming.cancelled:
                    self._hand_on(waiting, last)
                raise
            if waiting and frame.size_hw != waiting[0].frame.size_hw:
                last = self._hand_on(waiting, last)
            waiting.append(self._planned(frame, wants))
            needed = sum(item.needs_model for item in waiting)
            if needed in (0, self._options.batch) or len(waiting) >= self._in_flight():
                last = self._hand_on(waiting, last)

    def _planned(self, frame: Frame, wants: InferenceStride) -> _Waiting:
        """How the frame gets its masks. Decided as frames come, so that it does not depend on the batch."""
        propagator = self._propagator
        if propagator is None or wants.stride == 1:
            return _Waiting(frame, wants.wants(frame.size_hw), None)
        carry = propagator.follow(frame)
        needs_model = wants.wants(frame.size_hw, new_scene=carry is None)
        if needs_model:
            propagator.anchor()
            carry = None
        return _Waiting(frame, needs_model, carry)

    def _hand_on(self, waiting: list[_Waiting], last: Segmentation | None) -> Segmentation | None:
        """Segment what needs it, pass all on in order, and return the newest segmentation."""
        chosen = [item.frame for item in waiting if item.needs_model]
        found = iter(self._segmenter.segment(chosen)) if chosen else iter(())
        self.stats.inferred += len(chosen)
        for item in waiting:
            if item.needs_model:
                last = next(found)
            assert last is not None  # the first frame always needs the model
            self._results.put(Result(item.frame, last if item.carry is None else item.carry(last)))
        waiting.clear()
        return last

    def _end_segment(self) -> None:
        self._results.close()

    def _output(self) -> None:
        needs_picture = self._renderer is not None and any(sink.needs_picture for sink in self._sinks)
        while True:
            result = self._results.get()
            frame, segmentation = result.frame, result.segmentation
            picture = None
            if needs_picture and self._renderer is not None:
                with self.timers.measure("render"):
                    picture = self._renderer.render(frame.image, segmentation)
            if self._sinks:
                with self.timers.measure("write"):
                    for sink in self._sinks:
                        sink.write(frame, segmentation, picture)
            self.stats.delivered += 1
            self.stats.held += segmentation.frame_index != frame.index
            self.stats.last_pts_seconds = frame.seconds
            self.output_rate.tick()
            self._offer(result)

    def _offer(self, result: Result) -> None:
        with suppress(Closed):  # no window, or it was closed: what is under way is still written
            self._display.put(result)

    def _end_output(self) -> None:
        self._display.close()
        open_sinks = list(self._sinks)
        nothing = self._stop_requested.is_set() and not self.stats.delivered
        try:
            with self.timers.measure("finish", frames=max(1, self.stats.delivered)):
                while open_sinks and not nothing and not self._ended():
                    open_sinks[0].close()
                    del open_sinks[0]
        finally:
            self._finished = bool(self._sinks) and not open_sinks
            for sink in open_sinks:
                sink.abort()

    def _in_flight(self) -> int:
        return max(self._options.queue_size, self._options.batch)

    # the caller's side

    def _fail(self, error: BaseException) -> None:
        with self._error_lock:
            if self._error is None:
                self._error = error
        self._stop_requested.set()
        self._source.interrupt()
        self._cancel_buffers()

    def _cancel_buffers(self) -> None:
        for buffer in (self._incoming, self._results, self._display):
            buffer.cancel()

    def _ended(self) -> bool:
        return self._error is not None or self._aborted.is_set()

    def _wait(
        self,
        decode: threading.Thread,
        others: list[threading.Thread],
        on_tick: Callable[[Pipeline], None] | None,
        start: float,
    ) -> None:
        give_up_at: float | None = None
        while True:
            self.stats.elapsed_seconds = self._clock() - start
            if on_tick is not None:
                on_tick(self)
            if not any(thread.is_alive() for thread in others):
                return
            others[-1].join(TICK_SECONDS)
            if self._stop_requested.is_set() and decode.is_alive():
                now = self._clock()
                give_up_at = give_up_at or now + GRACE_SECONDS
                if now > give_up_at:
                    self._incoming.close()  # a source that hangs must not keep the others from finishing

    def _join(self, decode: threading.Thread, others: list[threading.Thread]) -> None:
        for thread in others:
            thread.join()
        decode.join(GRACE_SECONDS)

    def _finish_stats(self, start: float) -> None:
        stats = self.stats
        stats.elapsed_seconds = self._clock() - start
        stats.dropped = self._incoming.dropped
        stats.discarded = stats.decoded - stats.skipped - stats.dropped - stats.delivered
        stats.stopped_early = self._stop_requested.is_set()
        stats.source_counters = dict(self._source.counters)
        stats.stages = self.timers.totals()
