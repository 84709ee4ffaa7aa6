"""A live source that comes back: connects again when the stream breaks, and shows cards meanwhile.

It stands here and not beside the other sources because it needs a thread of its own: FFmpeg and OpenCV cannot be woken
from a read or a connection attempt, and neither the cards nor Ctrl+C shall wait for them. It knows sources by their
Protocol only, so every rule is tested with fakes.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from vidseg.audio import AudioBlock, AudioMover, AudioQueue
from vidseg.errors import SourceError
from vidseg.frames import Frame, UInt8Array, VideoInfo
from vidseg.interfaces import VideoSource
from vidseg.pipeline.buffer import Buffer, Closed
from vidseg.pipeline.live_timeline import LiveTimeline

CLOSE_SECONDS = 0.5
"""How long `close` waits for the reading thread; one that is inside FFmpeg ends by itself when its time is over."""
STEADY_SECONDS = 5.0
"""A connection that held so long was a good one: the next waits start small again."""


@dataclass(frozen=True, slots=True)
class ReconnectOptions:
    """How patient a live source is. All times in seconds."""

    attempts: int | None = None
    """Tries in a row before the source is given up; None for no end."""
    shortest_wait: float = 0.1
    longest_wait: float = 1.0
    """Between two tries. Waits double from one to the other; each is drawn between half of it and all of it, so that a
    hundred cameras behind one switch do not come back in the same moment."""
    silence: float = 2.0
    """Without a picture for so long, or for three times their usual distance, cards are shown."""
    watchdog: float = 10.0
    """A stream that stays open without a picture for so long is left, and connected to again."""
    card_period: float = 0.5


@dataclass(frozen=True, slots=True)
class _Arrival:
    """A frame as its own source made it."""

    frame: Frame
    seconds: float
    """The clock when it came."""
    connection: int
    audio: Sequence[AudioBlock] = ()
    """What was heard since the frame before."""


class Backoff:
    """Waits between tries: double each time up to the longest, then drawn from the upper half. Remembers the last."""

    def __init__(self, options: ReconnectOptions, draw: Callable[[], float] = random.random) -> None:
        self._options = options
        self._draw = draw
        self._wait = options.shortest_wait

    def reset(self) -> None:
        """Begin with the shortest again."""
        self._wait = self._options.shortest_wait

    def next(self) -> float:
        """Seconds to wait now."""
        wait = min(self._wait, self._options.longest_wait)
        self._wait = 2 * wait
        return wait * (0.5 + 0.5 * self._draw())


def connect(
    open_source: Callable[[], VideoSource],
    backoff: Backoff,
    attempts: int | None,
    *,
    wait: Callable[[float], object] = time.sleep,
    stopped: Callable[[], bool] = lambda: False,
    failed: Callable[[SourceError], None] = lambda error: None,
    clock: Callable[[], float] = time.monotonic,
) -> VideoSource | None:
    """The source, as soon as it can be opened; None when stopped before.

    The waits count from the beginning of an attempt: one that took long is followed by the next at once.

    Args:
        attempts: at most so many tries; None for no end.
        failed: called with each failure.
    Raises:
        SourceError: of the last try.
    """
    tried = 0
    while not stopped():
        began = clock()
        try:
            return open_source()
        except SourceError as error:
            tried += 1
            if attempts is not None and tried >= attempts:
                tries = f"; gave up after {tried} attempts" if tried > 1 else ""
                raise SourceError(f"{error}{tries}") from None
            failed(error)
        wait(max(0.0, began + backoff.next() - clock()))
    return None


class ReconnectingSource:
    """Satisfies `vidseg.interfaces.VideoSource` on top of sources that break. Reads from the moment it is made.

    Frames keep the size of the first connection, and their times go on across connections (`LiveTimeline`); the audio,
    if the first connection has any, moves along. While nothing comes there are cards: frames marked `placeholder`, at a
    low rate. A connection that ends, for whatever reason, is followed by another: cameras have no end. Frames that come
    before the iteration starts (while a network is loaded) are left unread, but for the newest.

    `interrupt` takes effect at once.

    Counters: those of all connections together; reconnects; offline_seconds (filled with cards); time_jumps (frame
    times that were not believed); rescaled_frames (of another size than the first).

    Args:
        first: an open source; belongs to this one from now on.
        reopen: makes the next one; raises SourceError where it cannot be had now.
        card: (last picture, text) to a new picture of the same size.
        fit: (picture, (height, width)) to a picture of that size.
        announce: told in one sentence what happens; called from other threads.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        first: VideoSource,
        reopen: Callable[[], VideoSource],
        *,
        card: Callable[[UInt8Array, str], UInt8Array],
        fit: Callable[[UInt8Array, tuple[int, int]], UInt8Array],
        options: ReconnectOptions | None = None,
        announce: Callable[[str], None] = lambda text: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._info = first.info if first.info.audio is None else replace(first.info, audio=AudioQueue())
        self._size_hw = (first.info.height, first.info.width)
        self._reopen = reopen
        self._paint = card
        self._fit = fit
        self._options = options or ReconnectOptions()
        self._announce = announce
        self._clock = clock
        self._backoff = Backoff(self._options)
        self._stop = threading.Event()
        self._wanted = False
        self._lock = threading.Lock()
        self._source = first
        self._connection = 0
        self._connected = clock()
        self._broken = False
        self._left = -1  # the connection that the watchdog has left
        self._past: Counter[str] = Counter()
        self._own = Counter({"reconnects": 0, "rescaled_frames": 0})  # all names: it is read while it counts
        self._offline = 0.0
        self._error: BaseException | None = None
        self._newest: _Arrival | None = None
        self._arrivals: Buffer[_Arrival | None] = Buffer(2)
        # what the iteration remembers
        self._timeline = LiveTimeline(first.info.time_base)
        self._audio_mover = AudioMover()
        self._index = 0
        self._picture: UInt8Array | None = None
        self._seen = clock()
        self._seen_connection = 0
        self._distance = 0.0
        self._card_at: float | None = None
        self._reader = threading.Thread(target=self._read, name="vidseg-read", daemon=True)
        self._reader.start()

    @property
    def info(self) -> VideoInfo:
        """That of the first connection; later ones are made to fit."""
        return self._info

    @property
    def counters(self) -> Mapping[str, int]:
        """A snapshot of the events so far, all connections together."""
        with self._lock:
            total = self._past + self._own + Counter(self._source.counters if self._source else {})
        total["offline_seconds"] = round(self._offline)
        total["time_jumps"] = self._timeline.jumps
        return {name: count for name, count in total.items() if count}

    def interrupt(self) -> None:
        """End the iteration now; from any thread."""
        self._stop.set()
        with self._lock:
            self._source.interrupt()
        self._arrivals.cancel()

    def close(self) -> None:
        """Leave the source; safe to call twice. The reading thread releases it as soon as it can."""
        self.interrupt()
        if self._reader is not threading.current_thread():
            self._reader.join(CLOSE_SECONDS)

    # the reading thread

    def _read(self) -> None:
        source: VideoSource | None = self._source
        try:
            while source is not None:
                began = self._clock()
                reason = self._forward(source)
                if self._stop.is_set():
                    return
                if self._clock() - began >= STEADY_SECONDS:
                    self._backoff.reset()
                source = self._next_connection(source, reason)
        except Closed:
            pass
        except BaseException as error:
            self._error = error
        finally:
            self._arrivals.close()
            self._source.close()

    def _forward(self, source: VideoSource) -> str:
        """Hand on what comes, and return why nothing comes any more."""
        try:
            for frame in source:
                heard = source.info.audio.take() if source.info.audio is not None else ()
                arrival = _Arrival(frame, self._clock(), self._connection, heard)
                with self._lock:
                    wanted = self._wanted
                    if not wanted:
                        self._newest = arrival
                if wanted:
                    self._arrivals.put(arrival)
        except SourceError as error:
            return str(error)
        if self._left == self._connection:
            return f"the stream stayed open, but no frame arrived for {self._options.watchdog:g} seconds"
        return "the stream ended"

    def _next_connection(self, source: VideoSource, reason: str) -> VideoSource | None:
        """The next one, opened; None when stopped. Raises SourceError when given up."""
        source.close()
        self._announce(f"{reason}; trying again")
        self._broken = True
        if self._wanted:
            self._arrivals.put(None)  # wakes the iteration for a card
        self._stop.wait(self._backoff.next())
        opened = connect(
            self._reopen,
            self._backoff,
            self._options.attempts,
            wait=self._stop.wait,
            stopped=self._stop.is_set,
            clock=self._clock,
        )
        if opened is None:
            return None
        with self._lock:
            self._past.update(source.counters)
            self._own["reconnects"] += 1
            self._source = opened
            self._connection += 1
            self._connected = self._clock()
            self._broken = False
        if self._stop.is_set():
            return None
        info = opened.info
        if self._info.audio is not None and info.audio is None:
            self._announce("the source has no audio any more; silence from here on")
        if (info.height, info.width) != self._size_hw:
            was = f"{self._size_hw[1]}x{self._size_hw[0]}"
            self._announce(f"the source now sends {info.width}x{info.height}; fitted into {was}")
        return opened

    # the iteration

    def __iter__(self) -> Iterator[Frame]:
        """Frames and cards until `interrupt` or `close`. Raises SourceError when the source is given up."""
        with self._lock:
            newest, self._newest, self._wanted = self._newest, None, True
        if newest is not None and not self._stop.is_set():
            yield self._placed(newest)
        while not self._stop.is_set():
            try:
                arrival = self._arrivals.get(timeout=self._patience())
            except TimeoutError:
                arrival = None
            except Closed:
                if self._error is not None and not self._stop.is_set():
                    raise self._error from None
                return
            if self._stop.is_set():
                return
            if arrival is not None:
                yield self._placed(arrival)
            elif self._picture is not None:
                yield self._card()

    def _patience(self) -> float:
        """Seconds until a card is due."""
        now = self._clock()
        if self._card_at is not None:
            return max(0.0, self._card_at + self._options.card_period - now)
        if self._broken:
            return 0.0
        silence = max(self._options.silence, min(3 * self._distance, self._options.watchdog))
        return max(0.0, self._seen + silence - now)

    def _placed(self, arrival: _Arrival) -> Frame:
        """The frame in the size, count and time of the first connection."""
        frame = arrival.frame
        if arrival.connection != self._seen_connection or self._card_at is not None:
            self._timeline.restart()
            self._audio_mover = AudioMover()
            away = arrival.seconds - self._seen
            self._offline += away
            self._announce(f"the source is back after {duration_in_words(away)}")
        elif self._picture is not None:
            self._distance = arrival.seconds - self._seen
        self._seen, self._seen_connection, self._card_at = arrival.seconds, arrival.connection, None
        image = frame.image
        if frame.size_hw != self._size_hw:
            image = self._fit(image, self._size_hw)
            self._own["rescaled_frames"] += 1
        self._picture = image
        ratio = frame.time_base / self._info.time_base
        pts = self._timeline.place(round(frame.pts * ratio), arrival.seconds)
        if self._info.audio is not None:
            at, shift = frame.pts * frame.time_base, self._timeline.offset * self._info.time_base
            for block in self._audio_mover.moved(arrival.audio, at, shift):
                self._info.audio.put(block)
        duration = None if frame.duration is None else max(1, round(frame.duration * ratio))
        return self._counted(image, pts, duration, placeholder=False)

    def _card(self) -> Frame:
        assert self._picture is not None
        self._card_at = now = self._clock()
        away = duration_in_words(now - self._seen)
        text = f"offline for {away}, retrying" if self._broken else f"no picture for {away}"
        with self._lock:
            silent = now - max(self._seen, self._connected)
            if not self._broken and silent > self._options.watchdog and self._left != self._connection:
                self._left = self._connection
                self._source.interrupt()
        return self._counted(self._paint(self._picture, text), self._timeline.place_card(now), None, placeholder=True)

    def _counted(self, image: UInt8Array, pts: int, duration: int | None, *, placeholder: bool) -> Frame:
        frame = Frame(image, self._index, pts, self._info.time_base, duration, placeholder=placeholder)
        self._index += 1
        return frame


def duration_in_words(seconds: float) -> str:
    """ "12 s", "3 min 20 s", "2 h 5 min", "4 d 2 h": the two largest units."""
    whole = max(0, int(seconds))
    days, hours, minutes = whole // 86_400, whole // 3600 % 24, whole // 60 % 60
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (whole % 60, "s")]
    while len(parts) > 1 and parts[0][0] == 0:
        del parts[0]
    return " ".join(f"{number} {unit}" for number, unit in parts[:2])
