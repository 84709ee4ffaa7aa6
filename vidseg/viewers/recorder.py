"""Recording on request: everything from "record" to "stop" becomes a file of its own."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from vidseg.errors import ConfigError, SinkError
from vidseg.frames import VideoInfo, unless_card
from vidseg.labels import LabelSet
from vidseg.pipeline.options import Result
from vidseg.render.options import RenderOptions
from vidseg.render.overlay import OverlayRenderer
from vidseg.sinks.av_sink import AvSink
from vidseg.video.encoders import EncodeOptions

_NO_AUDIO = EncodeOptions(audio="none")


class Recorder:
    """Writes `vidseg-DATE-TIME.mp4` files into a folder; never over a file that is there, and without audio.

    `start`, `stop` and `status` may be called from any thread and return at once; the work is done by the thread that
    calls `offer`, `end_unwanted` and `finish`. A recording that fails is given up and said so; the run goes on.

    Args:
        folder: made with the first recording; None where nothing may be recorded.
        say: called with a message for each finished or failed recording.
        stamp: the part of a file's name that tells when.
    Raises:
        ConfigError: the folder cannot be one.
    """

    def __init__(
        self,
        folder: Path | None,
        info: VideoInfo,
        *,
        say: Callable[[str], None],
        labels: LabelSet | None = None,
        stamp: Callable[[], str] = lambda: time.strftime("%Y%m%d-%H%M%S"),
    ) -> None:
        if folder is not None:
            check_folder(folder)
        self._folder = folder
        self._info = info
        self._say = say
        self._labels = labels
        self._stamp = stamp
        self._lock = threading.Lock()
        self._wish: RenderOptions | None = None
        self._ended = False
        self._message = ""
        self._name = ""
        self._seconds = 0.0
        # of the working thread alone
        self._drawn_as: RenderOptions | None = None
        self._renderer: OverlayRenderer | None = None
        self._sink: AvSink | None = None
        self._first_seconds = 0.0
        self.files: list[str] = []
        """Finished recordings, and those that a full disk ended."""
        self.failures: list[str] = []
        """Why recordings failed, one sentence each."""

    # the viewers' side

    def start(self, options: RenderOptions) -> None:
        """Record from the next frame on, drawn like this; a recording under way goes on as it is.

        Raises:
            ValueError: nothing may be recorded, or not any more.
        """
        if self._folder is None:
            raise ValueError("recording is off; start vidseg with --record-dir DIR")
        with self._lock:
            if self._ended:
                raise ValueError("the video has ended; there is nothing to record")
            if self._wish is None:
                self._wish, self._message, self._name, self._seconds = options, "", "", 0.0

    def stop(self) -> None:
        """Finish the file; does nothing when none is under way."""
        with self._lock:
            self._wish = None

    def status(self) -> dict[str, Any]:
        """Fit for JSON: available, state ("on" or "off"), name, seconds, message."""
        with self._lock:
            return {
                "available": self._folder is not None and not self._ended,
                "state": "off" if self._wish is None else "on",
                "name": self._name,
                "seconds": self._seconds,
                "files": [os.path.basename(path) for path in self.files],
                "message": self._message.replace(f"{self._folder}{os.sep}", ""),  # folders are not for viewers
            }

    # the working thread's side

    def offer(self, result: Result) -> None:
        """Write the result, if it is to be recorded."""
        self.end_unwanted()
        with self._lock:
            wish = self._wish
        if wish is None:
            return
        try:
            if self._sink is None:
                self._open(wish, result.frame.seconds)
            assert self._sink is not None and self._renderer is not None
            frame = result.frame
            picture = unless_card(
                self._renderer.render(frame.image, result.segmentation), frame.image, frame.placeholder
            )
            self._sink.write(frame, result.segmentation, picture)
            with self._lock:
                self._seconds = max(0.0, result.frame.seconds - self._first_seconds)
        except (SinkError, OSError) as error:
            self._give_up(error)

    def end_unwanted(self) -> None:
        """Finish the file that is not wished for any more."""
        with self._lock:
            wish = self._wish
        if self._sink is None or wish is self._drawn_as:
            return
        sink, self._sink, self._drawn_as = self._sink, None, None
        try:
            sink.close()
        except (SinkError, OSError) as error:
            self._sink = sink
            self._give_up(error)
            return
        self.files.append(str(sink.path))
        with self._lock:
            self._message = f"saved {sink.path.name}"
        self._say(f"recorded {sink.path}")

    def finish(self) -> None:
        """No more frames will come: finish what is under way."""
        with self._lock:
            self._ended, self._wish = True, None
        self.end_unwanted()

    def _open(self, wish: RenderOptions, seconds: float) -> None:
        path = self._free_path()
        path.parent.mkdir(exist_ok=True)
        self._sink = AvSink(path, self._info, overwrite=False, encode=_NO_AUDIO, rebase=True, keep=True)
        self._renderer, self._drawn_as = OverlayRenderer(wish, self._labels), wish
        self._first_seconds = seconds
        with self._lock:
            self._name = path.name

    def _free_path(self) -> Path:
        assert self._folder is not None
        stamp = self._stamp()
        for number in itertools.count(1):
            path = self._folder / (f"vidseg-{stamp}.mp4" if number == 1 else f"vidseg-{stamp}-{number}.mp4")
            if not path.exists():
                return path
        raise AssertionError("unreachable")

    def _give_up(self, error: Exception) -> None:
        if self._sink is not None:
            with suppress(Exception):
                self._sink.abort()
            if self._sink.path.exists():  # never over a file that was there: what is whole of this one
                self.files.append(str(self._sink.path))
        self.failures.append(f"recording failed: {error}")
        self._sink = self._drawn_as = None
        with self._lock:
            self._wish, self._message = None, f"recording failed: {error}"
        self._say(f"recording failed: {error}")


def check_folder(folder: Path) -> None:
    """Nothing, if recordings can go there. Raises ConfigError."""
    if folder.is_dir():
        return
    if folder.exists():
        raise ConfigError(f"--record-dir {folder}: is a file; give a folder")
    if not folder.parent.is_dir():
        raise ConfigError(f"--record-dir {folder}: {folder.parent} does not exist; create it first")
