"""One lane of a grid: read, scaled and segmented on threads of its own.

    reading thread --newest--> following thread --newest--> whoever composes the grid

Nothing of it waits for another lane, and no other lane waits for it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from vidseg.errors import SourceError
from vidseg.frames import Frame, UInt8Array
from vidseg.interfaces import VideoSource
from vidseg.pipeline.background_inference import BackgroundInference
from vidseg.pipeline.buffer import Buffer, Closed
from vidseg.pipeline.reconnecting import Backoff, ReconnectOptions, connect, duration_in_words

LATE_SECONDS = 0.5
"""A file that is later than this plays on from where it is, instead of rushing to catch up."""
SLACK = 2
"""Pictures that wait to be looked at: a second one, for a lane whose pace differs a little from the grid's."""
LONGEST_STEP = 10.0
"""Seconds; a jump in a file's times is not waited for any longer."""


@dataclass(frozen=True, slots=True)
class LaneSpec:
    """One of the lanes, before it is open."""

    name: str
    open_source: Callable[[], VideoSource]
    """May take long, and be called again; raises SourceError."""
    attempts: int | None = 1
    """Tries to open it in a row; None for no end."""
    needed: bool = True
    """False for a lane without which the others go on."""


@dataclass(frozen=True, slots=True)
class LaneStats:
    """What became of the frames of one lane: decoded = shown + dropped + passed_over + discarded, once it is over."""

    name: str
    decoded: int = 0
    """Came out of the source, cards included."""
    shown: int = 0
    """In at least one picture of the grid."""
    dropped: int = 0
    """Newer ones came before they could be looked at."""
    passed_over: int = 0
    """Newer ones came between two pictures of the grid."""
    discarded: int = 0
    """Under way when the run ended."""
    inferred: int = 0
    """Seen by the model."""
    placeholders: int = 0
    """Decoded, but cards in place of pictures."""
    reconnects: int = 0
    seconds: float = 0.0
    """From its first picture in the grid to its last."""
    broken: str | None = None
    """Why it ended before its time, or never came."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a lane shows now."""

    picture: UInt8Array | None
    """(h, w, 3) uint8, the size of its tile; None before the first."""
    label_map: UInt8Array | None
    """(h, w) uint8; None where the picture is a card."""
    words: str | None
    """What to say in place of the picture: it is not there, or over."""


class GridLane:
    """A source on threads of its own, of which the newest segmented frame can be looked at.

    `open` starts to open it, on its own thread, and again if that fails. A file plays at its own speed
    from the moment that `started` is set; a live source gives what comes. Frames are read from `begin` on.

    Args:
        announce: told in one sentence what happens; called from other threads.
        failed: called with an error that is not the source's.
        changed: notified whenever there is something new; shared by all lanes of a grid.
        started: set when the first picture of the grid is taken.
        clock: seconds that never go back.
        wait: waits for so many seconds, or until the lane is interrupted.
    """

    def __init__(
        self,
        spec: LaneSpec,
        *,
        announce: Callable[[str], None] = lambda text: None,
        failed: Callable[[BaseException], None] = lambda error: None,
        changed: threading.Condition | None = None,
        started: threading.Event | None = None,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], object] | None = None,
    ) -> None:
        self._spec = spec
        self._announce = announce
        self._failed = failed
        self._changed = changed or threading.Condition()
        self._started = started or threading.Event()
        self._clock = clock
        self._stop = threading.Event()
        self._wait = wait or self._stop.wait
        self._begin = threading.Event()
        self._since = clock()
        self._source: VideoSource | None = None
        self.failure: str | None = None
        """Why the last try to open it failed, until one succeeds."""
        self._broken: str | None = None
        self._over = False
        self._frames: Buffer[Frame] = Buffer(1, drop_oldest=True)
        self._decoded = self._shown = self._passed_over = self._placeholders = 0
        self._newest: Look | None = None
        self._fresh: deque[Look] = deque()
        self._seen: tuple[float, float] | None = None
        self._inference: BackgroundInference | None = None
        self._fit: Callable[[UInt8Array], UInt8Array] = lambda image: image
        self._reader = threading.Thread(target=self._read, name="vidseg-grid-read", daemon=True)
        self._follower = threading.Thread(target=self._follow, name="vidseg-grid-follow", daemon=True)

    # the grid's side

    def open(self) -> None:
        """Start opening the source."""
        self._reader.start()

    @property
    def source(self) -> VideoSource | None:
        """The open source; None before."""
        return self._source

    @property
    def tried(self) -> bool:
        """True once it is open, or a first try has failed."""
        return self._source is not None or self.failure is not None or self._broken is not None

    @property
    def given_up(self) -> bool:
        """True where it could not be opened, and is not tried again."""
        return self._source is None and self._broken is not None

    @property
    def ready(self) -> bool:
        """True once there is a picture, or none will come."""
        return bool(self._fresh) or self._newest is not None or self._over

    @property
    def finished(self) -> bool:
        """True when it is over and its last picture was looked at."""
        with self._changed:
            return self._over and not self._fresh

    def begin(self, inference: BackgroundInference, fit: Callable[[UInt8Array], UInt8Array]) -> None:
        """Start reading; after `open`.

        Args:
            inference: finds the masks; belongs to this lane from now on.
            fit: as `GridPainter.fit`, scales an (H, W, 3) picture to its tile.
        """
        self._inference, self._fit = inference, fit
        self._follower.start()
        self._begin.set()

    def look(self) -> Look:
        """What to show now."""
        with self._changed:
            over = self._over
            if self._fresh:
                self._newest = self._fresh.popleft()
                self._shown += 1
                now = self._clock()
                self._seen = (now if self._seen is None else self._seen[0], now)
                return self._newest
            newest = self._newest
        if newest is not None and not over:
            return newest
        return Look(None if newest is None else newest.picture, None, self._words())

    def _words(self) -> str:
        if self._over:
            return "ended" if self._broken is None else "given up" if self._newest is None else "broke off"
        if self._source is not None:
            return "starting"
        if self.failure is None:
            return "connecting"
        return f"offline for {duration_in_words(self._clock() - self._since)}, retrying"

    def interrupt(self) -> None:
        """End soon; from any thread."""
        self._stop.set()
        self._begin.set()
        with self._changed:
            source = self._source
        if source is not None:
            source.interrupt()
        self._frames.cancel()

    def join(self, timeout: float) -> None:
        """Wait for the threads; one that is inside FFmpeg or a driver ends by itself when its time is over."""
        for thread in (self._reader, self._follower):
            if thread.ident is not None and thread is not threading.current_thread():
                thread.join(timeout)

    @property
    def stats(self) -> LaneStats:
        """The counts so far."""
        counted = self._shown + self._frames.dropped + self._passed_over
        source = self._source
        return LaneStats(
            name=self._spec.name,
            decoded=self._decoded,
            shown=self._shown,
            dropped=self._frames.dropped,
            passed_over=self._passed_over,
            discarded=max(0, self._decoded - counted),
            inferred=0 if self._inference is None else self._inference.slot.served,
            placeholders=self._placeholders,
            reconnects=0 if source is None else source.counters.get("reconnects", 0),
            seconds=0.0 if self._seen is None else self._seen[1] - self._seen[0],
            broken=self._broken,
        )

    # the reading thread

    def _read(self) -> None:
        try:
            source = self._opened()
            if source is None:
                return
            try:
                self._forward(source)
            except SourceError as error:
                self._broken = str(error)
                self._announce(f"{error}; the others continue")
            finally:
                source.close()
        except Closed:
            pass
        except BaseException as error:
            self._failed(error)
        finally:
            self._frames.close()
            if self._source is None:  # nothing to follow, so nobody else says it
                self._set_over()

    def _opened(self) -> VideoSource | None:
        try:
            source = connect(
                self._spec.open_source,
                Backoff(ReconnectOptions()),
                self._spec.attempts,
                wait=self._stop.wait,
                stopped=self._stop.is_set,
                failed=self._not_opened,
            )
        except SourceError as error:
            self._broken = str(error)
            self._announce(str(error))
            self._notify()
            return None
        with self._changed:
            self._source = source
            self.failure = None
            self._changed.notify_all()
        if source is not None and self._stop.is_set():
            source.interrupt()
        return source

    def _not_opened(self, error: SourceError) -> None:
        if str(error) != self.failure:  # once a second would bury everything else
            self._announce(f"{error}; trying again")
        self.failure = str(error)
        self._notify()

    def _forward(self, source: VideoSource) -> None:
        self._begin.wait()
        due: float | None = None  # when the time 0 of a file is
        for frame in source:
            if self._stop.is_set():
                return
            self._decoded += 1
            self._placeholders += frame.placeholder
            if due is not None:
                now = self._clock()
                if now - due - frame.seconds > LATE_SECONDS:
                    due = now - frame.seconds
                elif due + frame.seconds > now:
                    self._wait(min(due + frame.seconds - now, LONGEST_STEP))
            self._frames.put(frame)
            if due is None and not source.info.live:
                self._started.wait()
                due = self._clock() - frame.seconds

    # the following thread

    def _follow(self) -> None:
        inference = self._inference
        assert inference is not None
        try:
            while True:
                frame = self._frames.get()
                picture = replace(frame, image=self._fit(frame.image))
                if frame.placeholder:
                    inference.reset()
                    look = Look(picture.image, None, None)
                else:
                    look = Look(picture.image, inference.segmentation(picture).label_map, None)
                with self._changed:
                    if len(self._fresh) == SLACK:
                        self._fresh.popleft()
                        self._passed_over += 1
                    self._fresh.append(look)
                    self._changed.notify_all()
        except Closed:
            pass
        except BaseException as error:
            self._failed(error)
        finally:
            self._set_over()

    def _set_over(self) -> None:
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()
