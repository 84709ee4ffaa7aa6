"""Runs a source through a segmenter into sinks. Threads are made here and in `background`, nowhere else in vidseg.

    decode thread --incoming--> network thread --begun--> masks thread --results--> output thread --display--> caller's

The network thread chooses frames and runs the network on them, or starts it; the masks thread makes masks of what it
says (smoothing, labels, masks carried along), so that the network works meanwhile.

All hand-overs are bounded. A file waits for the slowest stage; a live source never waits: the newest frame wins and
the rest is counted. The first exception of any stage ends all of them and is raised by `run`; only a source that breaks
off after its first frame ends the run like a source that ends: a day's recording is not thrown away with the stream.
A stage that is blocked inside a library is left behind, and what the others have is finished (`Pipeline.left_behind`).
What an output that fails means for the others is `PipelineOptions.failing`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from vidseg.frames import Frame, unless_card
from vidseg.interfaces import FrameSegmenter, Propagator, Renderer, SendingSink, Sink, VideoSource
from vidseg.pipeline.buffer import Buffer, Closed
from vidseg.pipeline.decode_stage import DecodeStage
from vidseg.pipeline.mask_stages import BegunFrame, MaskStages
from vidseg.pipeline.options import Carried, PipelineOptions, Result, inference_stride
from vidseg.pipeline.outputs import Outputs
from vidseg.pipeline.stall import StallWatch, bytes_written
from vidseg.pipeline.stats import Progress, RunStats
from vidseg.timing import Histogram, RateMeter, StageTimers

TICK_SECONDS = 0.1
"""How often `run` looks up while it waits: progress, requests to stop."""

GRACE_SECONDS = 2.0
"""How long a source may take to notice `interrupt` before the run goes on without it."""

STALL_SECONDS = 10.0
"""A run that is to end leaves a stage behind that is blocked for so long. What waits for the disk is not blocked."""

SINK_STALL_SECONDS = 30.0
"""So long a sink may be blocked before it is left behind in a run that nobody has asked to end."""

LATENCY_BOUNDS = (0.01, 0.02, 0.033, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0)
"""Seconds, for the histogram of `Pipeline.latency`."""


Display = Callable[["Buffer[Result]"], None]
"""Takes results on the caller's thread until `Closed`; returning early asks the run to stop."""


class Pipeline:
    """One run. Use once: construct, `run`, read `stats`.

    `segmenter` may be None where all frames bring what is in them (`Frame.segmentation`).

    `request_stop` and `abort` may be called from any thread, but not from signal handlers: these interrupt a thread
    that may hold a lock. Let the handler count, and look at the count in `on_tick`.
    """

    def __init__(
        self,
        source: VideoSource,
        segmenter: FrameSegmenter | None,
        renderer: Renderer | None,
        sinks: Sequence[Sink],
        *,
        propagator: Propagator | None = None,
        second_propagator: Propagator | None = None,
        options: PipelineOptions | None = None,
        timers: StageTimers | None = None,
        clock: Callable[[], float] = time.perf_counter,
        carried: Carried | None = None,
        watchers: Sequence[Sink] = (),
    ) -> None:
        """`watchers` are sinks that are closed before the others; one that fails then keeps them from appearing."""
        self._source = source
        self._renderer = renderer
        self._sinks = [*watchers, *sinks]
        self._options = options or PipelineOptions()
        self.outputs = Outputs(watchers, sinks, self._options.failing)
        self._clock = clock
        self.timers = timers or StageTimers(clock)
        carried = carried or Carried(inference_stride(self._options, still=source.info.still))
        self.stats = carried.stats
        self.input_rate = RateMeter()
        self.output_rate = RateMeter()
        self.latency = Histogram(LATENCY_BOUNDS)
        """Seconds from the moment a frame came out of the source until every sink had taken it."""

        newest = {"auto": source.info.live, "every-frame": False, "newest": True}[self._options.keeps]
        size = max(self._options.queue_size, self._options.batch)
        self._incoming: Buffer[Frame] = Buffer(1 if newest else size, drop_oldest=newest)
        # what waits here has been chosen already: of a live source not more than one, for it grows old
        self._begun: Buffer[BegunFrame] = Buffer(1 if newest else size)
        self._results: Buffer[Result] = Buffer(size)
        # Sinks and live sources set the pace; without any, the display does.
        unpaced = bool(sinks) or newest
        self._display: Buffer[Result] = Buffer(1 if unpaced else 2, drop_oldest=unpaced)
        self._masks = MaskStages(
            segmenter,
            (propagator, second_propagator),
            self._options,
            carried,
            still=source.info.still,
            incoming=self._incoming,
            begun=self._begun,
            results=self._results,
        )
        self._stop_requested = threading.Event()
        self._decode = DecodeStage(
            *(source, self._options, self.stats),
            incoming=self._incoming,
            timers=self.timers,
            rate=self.input_rate,
            clock=clock,
            stop=self._stop_requested,
        )
        self._aborted = threading.Event()
        self._error: BaseException | None = None
        self._error_lock = threading.Lock()
        self._stale_lock = threading.Lock()
        self._threads: dict[str, threading.Thread] = {}
        self._left: set[threading.Thread] = set()
        self.left_behind: str | None = None
        """What was blocked and went unfinished, one sentence; what the other stages had was finished."""

    def run(self, display: Display | None = None, on_tick: Callable[[Pipeline], None] | None = None) -> RunStats:
        """Run until the source ends, `request_stop`, `abort`, or an error.

        Args:
            display: called on this thread with the buffer of results; windows need the main thread.
            on_tick: called on this thread about ten times a second, for progress.
        Returns:
            The final stats. Sinks are closed; after `abort`, or a stop before the first frame, they are aborted.
            `stats.broken_source` tells of a source that broke off.
        Raises:
            Whatever a stage raised first; sinks are aborted then. Or, once all others are finished, the error of an
            output that failed: the first of `outputs.failures`.
        """
        start = self._clock() - self.stats.elapsed_seconds
        stages = (
            ("decode", self._decode.run, self._end_decode),
            ("network", self._masks.infer, self._begun.close),
            ("masks", self._masks.finish_masks, self._results.close),
            ("output", self._output, self._end_output),
        )
        if display is None:
            self._display.cancel()
        for name, stage, end in stages:
            self._start(name, stage, end)
        try:
            if display is not None:
                display(self._display)
                if not self._display.exhausted:
                    self.request_stop()
                self._display.cancel()
            self._wait(on_tick, start)
        except BaseException as error:
            self._fail(error)
            raise
        finally:
            self._wait(None, start)
            self._threads["decode"].join(GRACE_SECONDS)
            self._finish_stats(start)
        if self._error is not None:
            raise self._error
        if self.outputs.failures and not self.aborted:
            raise self.outputs.failures[0]
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
        return self._aborted.is_set() and not self.outputs.all_finished

    @property
    def left_sinks(self) -> tuple[Sink, ...]:
        """Those that were blocked: neither closed nor aborted, for their thread is still inside them."""
        return tuple(self.outputs.left)

    @property
    def dropped(self) -> int:
        """Frames of a live source thrown away so far."""
        return self._incoming.dropped

    @property
    def progress(self) -> Progress:
        """How far the run is now."""
        return Progress(self.stats.delivered, self.output_rate.rate, self.dropped, self.timers.totals())

    @property
    def queue_depths(self) -> dict[str, int]:
        """Frames that wait now, by hand-over."""
        return {
            "incoming": len(self._incoming),
            "begun": len(self._begun),
            "results": len(self._results),
            "display": len(self._display),
        }

    @property
    def source_counters(self) -> dict[str, int]:
        """What the source has counted so far."""
        return dict(self._source.counters)

    @property
    def lost_in_sending(self) -> int:
        """Frames so far that a receiver was away or too slow for."""
        return self._sent("lost_frames")

    @property
    def receiver_reconnects(self) -> int:
        """Times so far that a receiver was lost and found again."""
        return self._sent("reconnects")

    def _sent(self, event: str) -> int:
        return sum(sink.counters[event] for sink in self._sinks if isinstance(sink, SendingSink))

    def age_seconds(self, frame: Frame) -> float | None:
        """Seconds since the frame came out of the source; None for a frame of another origin."""
        return None if frame.arrived is None else self._clock() - frame.arrived

    def stale(self, result: Result) -> bool:
        """Whether this is too old to be shown live; counted if so. Asked when handed over and when shown."""
        limit = self._options.max_staleness
        if limit is None or not self._source.info.live or result.frame.placeholder:
            return False
        age = self.age_seconds(result.frame)
        if age is None or age <= limit:
            return False
        with self._stale_lock:
            self.stats.stale += 1
        return True

    # stages, each on its own thread

    def _start(self, name: str, stage: Callable[[], None], end: Callable[[], None]) -> None:
        thread = threading.Thread(target=self._run_stage, args=(stage, end), name=f"vidseg-{name}", daemon=True)
        self._threads[name] = thread
        thread.start()

    def _run_stage(self, stage: Callable[[], None], end: Callable[[], None]) -> None:
        """Run a stage, then tell its neighbours. An error is noted first: they must not take it for a normal end."""
        for step in (stage, end):
            try:
                step()
            except Closed:
                pass
            except BaseException as error:
                if threading.current_thread() not in self._left:  # what it says now comes too late
                    self._fail(error)

    def _end_decode(self) -> None:
        self._incoming.close()
        self._source.close()

    def _output(self) -> None:
        self.outputs.take()
        needs_picture = self._renderer is not None and any(sink.needs_picture for sink in self._sinks)
        while True:
            result = self._results.get()
            frame, segmentation = result.frame, result.segmentation
            picture = None
            if needs_picture and self._renderer is not None:
                with self.timers.measure("render"):
                    drawn = self._renderer.render(frame.image, segmentation)
                picture = unless_card(drawn, frame.image, frame.placeholder)
            if self._sinks:
                with self.timers.measure("write"):
                    self.outputs.write(frame, segmentation, picture)
                if self.outputs.ended:
                    self.request_stop()
            if not self.outputs.taken_by_me:
                raise Closed
            self.stats.delivered += 1
            self.stats.placeholders += frame.placeholder
            self.stats.held += segmentation.frame_index != frame.index
            self.stats.last_pts_seconds = frame.seconds
            self.output_rate.tick()
            if frame.arrived is not None:
                self.latency.add(self._clock() - frame.arrived)
            self._offer(result)

    def _offer(self, result: Result) -> None:
        with suppress(Closed):  # no window, or it was closed: what is under way is still written
            if not self._display.cancelled and not self.stale(result):
                self._display.put(result)

    def _end_output(self) -> None:
        if not self.outputs.taken_by_me:
            return  # left behind: another thread closes what can be closed
        self._display.close()
        nothing = self._stop_requested.is_set() and not self.stats.delivered
        try:
            with self.timers.measure("finish", frames=max(1, self.stats.delivered)):
                if not nothing:
                    self.outputs.close(self._ended)
        finally:
            self.outputs.abort()

    # the caller's side

    def _fail(self, error: BaseException) -> None:
        with self._error_lock:
            if self._error is None:
                self._error = error
        self._stop_requested.set()
        self._source.interrupt()
        self._cancel_buffers()

    def _cancel_buffers(self) -> None:
        for buffer in (self._incoming, self._begun, self._results, self._display):
            buffer.cancel()

    def _ended(self) -> bool:
        return self._error is not None or self._aborted.is_set()

    def _wait(self, on_tick: Callable[[Pipeline], None] | None, start: float) -> None:
        """Until all stages but the decoder's have ended, or were left behind."""
        give_up_at: float | None = None
        watch = StallWatch()
        while True:
            self.stats.elapsed_seconds = self._clock() - start
            if on_tick is not None:
                on_tick(self)
            running = self._running()
            if not running:
                return
            running[-1].join(TICK_SECONDS)
            if self._stop_requested.is_set() and self._threads["decode"].is_alive():
                now = self._clock()
                give_up_at = give_up_at or now + GRACE_SECONDS
                if now > give_up_at:
                    self._incoming.close()  # a source that hangs must not keep the others from finishing
            ending = self._stop_requested.is_set()
            if ending or self.outputs.busy is not None:
                limit = STALL_SECONDS if ending else SINK_STALL_SECONDS
                if watch.stalled(self._marks(running), running, limit):
                    self._leave_blocked(limit)

    def _running(self) -> list[threading.Thread]:
        threads = (self._threads[name] for name in ("network", "masks", "output"))
        return [thread for thread in threads if thread.is_alive() and thread not in self._left]

    def _marks(self, running: Sequence[threading.Thread]) -> object:
        """What changes when something moves."""
        stats = self.stats
        counts = (stats.decoded, stats.inferred, stats.delivered, self.outputs.calls, *self.queue_depths.values())
        return counts, len(running), bytes_written(running)

    def _leave_blocked(self, seconds: float) -> None:
        """Go on without the stage that the others wait for; what came out of it is finished."""
        row, name = self.outputs, self._blocked()
        thread = self._threads[name]
        self._left.add(thread)
        what = {"network": "the model", "masks": "the model or the smoothing", "output": "the drawing"}[name]
        if name == "network":
            self._incoming.cancel()
            self._begun.close()
        elif name == "masks":
            self._incoming.cancel()
            self._begun.cancel()
            self._results.close()
        else:
            for buffer in (self._incoming, self._begun, self._results):  # nobody takes what they hold any more
                buffer.cancel()
            sink = row.leave()
            if sink is not None:
                what = str(sink.path)
            self._start("output", row.take, self._end_output)
        found = f"{what}: was blocked for {seconds:g} seconds and is left unfinished"
        self.left_behind = found if self.left_behind is None else f"{self.left_behind}; {found}"

    def _blocked(self) -> str:
        """The stage nearest to the outputs that has something to do."""
        stages = (("output", self._results), ("masks", self._begun), ("network", self._incoming))
        running = [(name, given) for name, given in stages if self._threads[name] in self._running()]
        for name, given in running:
            if len(given) or given.exhausted or (name == "output" and self.outputs.busy is not None):
                return name
        return running[0][0]

    def _finish_stats(self, start: float) -> None:
        stats = self.stats
        stats.elapsed_seconds = self._clock() - start
        stats.dropped = self._incoming.dropped
        stats.discarded = stats.decoded - stats.skipped - stats.dropped - stats.delivered
        stats.lost_in_sending, stats.receiver_reconnects = self.lost_in_sending, self.receiver_reconnects
        stats.stopped_early = self._stop_requested.is_set()
        stats.source_counters = dict(self._source.counters)
        stats.stages = self.timers.totals()
