"""The source of a run: opened as the configuration says, and made to come back when it is live."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial

from vidseg.config import RunConfig
from vidseg.errors import ConfigError, SourceError
from vidseg.interfaces import VideoSource
from vidseg.names import shown_name
from vidseg.pipeline.reconnecting import Backoff, ReconnectingSource, ReconnectOptions, connect
from vidseg.render.offline_card import offline_card
from vidseg.sources.factory import SourceKind, classify, open_source
from vidseg.sources.picture_change import PictureChange
from vidseg.sources.source_base import SourceBase
from vidseg.sources.time_range import range_of
from vidseg.video.encoder_input import fit_into
from vidseg.wiring.output_shape import output_names
from vidseg.wiring.reopener import Reopener, TimedOpening

ALWAYS = "always"
WATCHDOG_MARGIN = 1.0
"""Seconds beyond `--timeout`: a stream that sends nothing at all is noticed by the reading itself, which says more."""


class Announcements:
    """Sentences from the source's threads for the thread that prints; the oldest go when nobody looks."""

    def __init__(self) -> None:
        self._waiting: deque[str] = deque(maxlen=100)

    def __call__(self, text: str) -> None:
        """Note one. From any thread."""
        self._waiting.append(text)

    def print(self, note: Callable[[str], None]) -> None:
        """Hand over all that came since the last call."""
        while self._waiting:
            note(self._waiting.popleft())


def open_run_source(config: RunConfig, announce: Announcements, note: Callable[[str], None]) -> VideoSource:
    """The open source of `config.source`, ready to be iterated.

    A network stream or camera is waited for if `--reconnect` says so, and comes back if it breaks unless that is 0.

    Args:
        announce: told later, from other threads, what becomes of the connection.
        note: told at once, while the first connection is waited for.
    Raises:
        ConfigError, SourceError: as `open_source`.
    """
    assert config.source is not None
    kind = classify(config.source)
    check_camera_options(config, kind)
    opener = TimedOpening(partial(open_as_asked, config))
    if not comes_back(config, kind):
        return opener()
    options = reconnect_options(config)
    first = opener() if config.reconnect is None else _first_connection(opener, options, note)
    return reconnecting(first, opener.seconds, config, announce)


def open_once(config: RunConfig, announce: Callable[[str], None]) -> VideoSource:
    """As `open_run_source`, but a first connection that fails is not tried again here. Raises SourceError then."""
    assert config.source is not None
    opener = TimedOpening(partial(open_as_asked, config))
    first = opener()
    if not comes_back(config, classify(config.source)):
        return first
    return reconnecting(first, opener.seconds, config, announce)


def comes_back(config: RunConfig, kind: SourceKind) -> bool:
    """True for a stream or camera that is connected to again."""
    return kind in (SourceKind.URL, SourceKind.CAMERA) and config.reconnect != "0"


def reconnect_options(config: RunConfig) -> ReconnectOptions:
    """How patient a live source is."""
    attempts = None if config.reconnect in (None, ALWAYS) else int(config.reconnect)
    return ReconnectOptions(
        attempts=attempts, silence=min(2.0, config.timeout), watchdog=config.timeout + WATCHDOG_MARGIN
    )


def open_as_asked(config: RunConfig, open_timeout: float | None = None) -> VideoSource:
    """The source of the configuration. Raises SourceError.

    Args:
        open_timeout: seconds to wait for an answer; None for those of the configuration.
    """
    assert config.source is not None
    source = open_source(
        config.source,
        camera_size=None if config.camera_size is None else _size(config.camera_size),
        camera_rate=config.camera_fps,
        camera_format=config.camera_format,
        rtsp_transport="udp" if config.rtsp_transport == "udp" else "tcp",
        open_timeout=config.timeout if open_timeout is None else open_timeout,
        read_timeout=config.timeout,
        hwaccel=config.hwaccel,
        quality=config.quality,
        max_pixels=config.max_pixels,
        endless=bool(config.show or config.serve) and not output_names(config),
        audio=bool(config.output) and config.audio == "copy",
        more_images=config.more_sources,
        image_rate=config.fps,
    )
    try:
        change = PictureChange.asked(config.crop, config.rotate, config.mirror)
        if change is not None:
            assert isinstance(source, SourceBase), "all that open_source gives"
            source.change(change, shown_name(config.source))
        keep_part(config, source)
    except BaseException:
        source.close()
        raise
    return source


def keep_part(config: RunConfig, source: VideoSource) -> None:
    """Have the source yield what `start`, `end` and `duration` leave of it. Of a live one the run ends in time.

    Raises:
        ConfigError: nothing is left, or these options mean nothing to the source.
    """
    given = {"start": config.start, "end": config.end, "duration": config.duration}
    asked = [f"--{name}" for name, seconds in given.items() if seconds is not None]
    shown = shown_name(config.source or "")
    if not asked:
        return
    if source.info.still:
        raise ConfigError(f"{shown}: {asked[0]} is for videos, and these are images; --limit N takes the first N")
    if source.info.live:
        if asked != ["--duration"]:
            raise ConfigError(f"{shown}: is live, and {asked[0]} is for files; --duration ends a live run")
        return
    assert isinstance(source, SourceBase), "all that open_source gives"
    source.keep(range_of(shown, source.length_seconds, start=config.start, end=config.end, duration=config.duration))


def reconnecting(first: VideoSource, took: float, config: RunConfig, announce: Callable[[str], None]) -> VideoSource:
    """`first`, which took so many seconds to open, made to come back if it is live."""
    if not first.info.live:
        return first
    assert config.source is not None
    options = reconnect_options(config)
    opener: Callable[[], VideoSource] = partial(open_as_asked, config)
    if options.attempts is None:  # where attempts are counted, each has all the time it may need
        opener = Reopener(config.source, partial(open_as_asked, config), took=took, longest=config.timeout)
    card = partial(offline_card, plain=takes_parts_away(config))
    return ReconnectingSource(first, opener, card=card, fit=fit_into, options=options, announce=announce)


def takes_parts_away(config: RunConfig) -> bool:
    """True where parts of the picture must not be seen: a card has no masks that would say which."""
    return bool(config.blur_classes or config.background or config.matte)


def _first_connection(
    opener: Callable[[], VideoSource], options: ReconnectOptions, note: Callable[[str], None]
) -> VideoSource:
    told: set[str] = set()

    def failed(error: SourceError) -> None:
        if str(error) not in told:  # once a second would bury everything else
            told.add(str(error))
            note(f"{error}; trying again")

    source = connect(opener, Backoff(options), options.attempts, failed=failed)
    assert source is not None, "nobody stops it but a signal, which ends the program"
    return source


def _size(text: str) -> tuple[int, int]:
    width, height = text.split("x")
    return int(width), int(height)


def check_camera_options(config: RunConfig, *kinds: SourceKind) -> None:
    """Raises ConfigError for options that mean nothing here: better than a camera that was never asked."""
    given = {"size": config.camera_size, "fps": config.camera_fps, "format": config.camera_format}
    for name, value in given.items():
        if value is not None and SourceKind.CAMERA not in kinds:
            raise ConfigError(f"--camera-{name} is for cameras; the source is not a camera (cam0, 0, /dev/video0)")
