"""Video files: the pictures with the times of the source's frames, and the source's audio beside them."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, Protocol

import av

from vidseg.atomic import PartFile
from vidseg.errors import SinkError, WriteError
from vidseg.frames import Frame, Segmentation, UInt8Array, VideoInfo
from vidseg.sinks.live_audio import LiveAudio
from vidseg.sinks.subtitles import SubtitleCopy
from vidseg.sinks.whole_part import CLUSTERS, FRAGMENTS, keep_whole_part
from vidseg.video.audio_copy import AudioCopy, read_tags
from vidseg.video.encoded_pictures import EncodedPictures
from vidseg.video.encoders import (
    ANIMATIONS,
    DEFAULT_ENCODE,
    SILENT,
    EncodeOptions,
    muxer_of,
    plan_alpha_encoder,
    plan_encoder,
)

_MILLISECOND = Fraction(1, 1000)
_COUNTER_NOTES = {
    "pts_fixed": "frame times that did not increase, moved to the next possible time: {}",
    "rescaled": "frames of another size, scaled to that of the first: {}",
}


class Claim(Protocol):
    """Where an output grows, as `PartFile` has it."""

    part: Path

    def commit(self, *, keep: bool = False) -> None: ...
    def discard(self) -> None: ...


class AvSink(EncodedPictures):
    """Writes one video file. Satisfies `vidseg.interfaces.Sink`.

    The file grows under its name plus ".part" and gets its name in `close`. Everything that can be checked without a
    picture is checked when constructed; the encoder opens on the first picture and keeps its size.

    Times are those of the frames, exactly in mp4 and mov (any rate, also variable). Others round: mkv, webm and
    webp to 1 ms, ts to 1/90000 s, gif to 10 ms; avi knows a constant rate only, from 0 on. A first time below zero, in
    a live source, or later than 10 s becomes 0; the audio moves along. Frames must be in the clock of
    `info.audio_path`.

    What comes from a live source cannot be made again: such a file can be played while it grows, and gets its name with
    what is whole of it when the disk fills or fails.
    """

    needs_picture = True

    def __init__(
        self,
        path: str | Path,
        info: VideoInfo,
        *,
        overwrite: bool,
        encode: EncodeOptions = DEFAULT_ENCODE,
        rebase: bool | None = None,
        alpha: bool = False,
        keep: bool | None = None,
        source_paths: Sequence[str | Path] = (),
    ) -> None:
        """Check all settings and claim the output.

        Args:
            path: the ending chooses the container: mp4 m4v mov mkv webm avi ts gif webp.
            overwrite: replace an existing file, when this one is finished.
            rebase: True makes the first frame's time 0; None does so for live sources and late starts only.
            alpha: pictures are RGBA, and their transparency is kept.
            keep: treat it as a recording that cannot be made again; None does so for live sources.
            source_paths: files that must not be overwritten; title and date are taken from the first. The file at
                `info.audio_path` is one of them in any case.
        Raises:
            SinkError: a setting is wrong or the output cannot be claimed. Nothing is left behind.
        """
        self.path = Path(path)
        if os.path.isdir(self.path):
            raise SinkError(f"{path}: is a folder; give the name of a file in it, such as {self.path / 'out.mp4'}")
        muxer = self._find_muxer(str(path))
        if alpha:
            plan = plan_alpha_encoder(str(path), muxer, encode)
        else:
            plan = plan_encoder(str(path), muxer, encode, (info.width, info.height))
        super().__init__(str(self.path), info, muxer=muxer, plan=plan, threads=encode.threads, rebase=rebase)
        audio = [] if info.audio_path is None else [os.path.expanduser(info.audio_path)]
        self._keep = info.live if keep is None else keep
        self._sources = [*map(str, source_paths), *audio]
        self._wants_audio = encode.takes_audio(info) and muxer not in SILENT
        if encode.takes_audio(info) and muxer in SILENT:
            self._notes.append(f"{SILENT[muxer]} cannot contain audio; it is left out")
        self._state: Literal["open", "closed"] = "open"
        self._output: Any = None
        self._stream: Any = None
        self._audio: AudioCopy | LiveAudio | None = None
        self._subtitles: SubtitleCopy | None = None
        self._part = self._claim(overwrite)
        try:
            self._check_container()
        except BaseException:
            self._part.discard()
            raise

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know about the result, one sentence each; complete after `close`."""
        return (*self._notes, *(note for part in (self._audio, self._subtitles) if part for note in part.notes))

    def write(self, frame: Frame, segmentation: Segmentation, picture: UInt8Array | None) -> None:
        """Encode `picture`, (H', W', 3) uint8 RGB or (H', W', 4) RGBA, at the time of `frame`.

        Raises:
            WriteError: it cannot be written. What cannot be made again is closed then.
        """
        assert picture is not None, "AvSink needs a picture"
        assert self._state == "open", "write after close"
        try:
            self._encode(frame, picture)
        except WriteError as error:
            if self._keep:
                raise self._kept(error) from error
            raise

    def _encode(self, frame: Frame, picture: UInt8Array) -> None:
        with self._failures_named():
            encoder_frame = self._encoder_frame(frame, picture)
            assert encoder_frame.pts is not None
            if self._output is None:
                self._open_output()
            self._before_encoding(encoder_frame)
            self._pump(encoder_frame.pts * self._tick)
            self._output.mux(self._stream.encode(encoder_frame))
            self._check_written()
        self.counters["frames"] += 1

    def _pump(self, until: Fraction) -> None:
        """Write what belongs before the picture of this time."""
        for part in (self._audio, self._subtitles):
            if part is not None:
                part.pump(self._output, until)

    def hear(self, until: Fraction) -> bool:
        """Write audio of a live source that comes after its pictures; True while some of it is awaited.

        Args:
            until: where the file ends, in seconds of the frames' clock.
        Raises:
            WriteError: it cannot be written.
        """
        if not isinstance(self._audio, LiveAudio) or self._output is None:
            return False
        end = until - self._origin
        with self._failures_named():
            self._audio.pump(self._output, end)
        return not self._audio.reaches(end)

    def close(self) -> None:
        """Flush the encoder, add the rest of the audio, rename the file. Does nothing a second time.

        Raises:
            WriteError: no frame was written, or the disk is full. The output does not appear then, unless it cannot be
                made again.
        """
        if self._state == "closed":
            return
        if self._input is None or self._last_pts is None:
            self.abort()
            raise WriteError(f"{self.path}: no frame was written, so there is no video")
        try:
            with self._failures_named():
                self._output.mux(self._stream.encode(None))
                end = (self._last_pts + self._last_duration) * self._tick
                if self._subtitles is not None:
                    self._subtitles.pump(self._output, end)
                if self._audio is not None:
                    # A later picture of the source begins where the last one ends; times are rounded.
                    self._audio.finish(self._output, end, max(self._last_seconds, end - _MILLISECOND))
                self._output.close()
                self._check_written()
            self._about_to_be_named(self._part.part)
            self._commit()
        except BaseException as error:
            if self._keep and isinstance(error, WriteError):
                raise self._kept(error) from error
            self.abort()
            raise
        self._end()
        for key, sentence in _COUNTER_NOTES.items():
            if self.counters[key]:
                self._notes.append(sentence.format(self.counters[key]))
        if self.counters["pts_fixed"] and self._muxer == "avi":
            self._notes.append("avi supports a constant frame rate only; mp4, mov and mkv keep the times")

    def abort(self) -> None:
        """Drop everything; the output does not appear. Never raises."""
        if self._state == "closed":
            return
        self._part.discard()  # first: the muxer's closing work on a file that is gone is short
        if self._output is not None:
            with contextlib.suppress(Exception):
                self._output.close()
        self._end()

    def _kept(self, error: WriteError) -> WriteError:
        """Close the file after a failure, and keep its complete part. The error, saying where the file ends."""
        with contextlib.suppress(Exception):
            if self._output is not None:
                self._output.close()  # does its work if it was the encoder that failed
        self._end()
        assert isinstance(self._part, PartFile)
        return keep_whole_part(self._part, self._muxer, self._last_seconds, error)

    def _end(self) -> None:
        self._state = "closed"
        for part in (self._audio, self._subtitles):
            if part is not None:
                part.close()
        self._output = self._stream = None

    def _open_container(self) -> Any:
        """An output container with the muxer's options; the file is touched by the first packet only."""
        options: dict[str, str] = {}
        if self._keep:
            options["flush_packets"] = "1"
            if self._muxer in ("matroska", "webm"):
                options |= CLUSTERS
        if self._muxer in ("mp4", "mov"):
            if self._keep:
                options |= FRAGMENTS
            else:
                options["movflags"] = "+faststart"
            # the default of 1/1000 would round the start of both tracks to a millisecond
            options["movie_timescale"] = str(self._movie_timescale())
            options["video_track_timescale"] = str(self._tick.denominator)
        if self._muxer in ANIMATIONS:
            options["loop"] = "0"  # without end
        return av.open(f"file:{self._part.part}", "w", format=self._muxer, options=options)

    def _check_container(self) -> None:
        """Raises SinkError if the encoder does not go into the container."""
        with contextlib.closing(self._open_container()) as trial:
            try:
                trial.add_stream(self._plan.encoder.name)
            except (ValueError, av.FFmpegError) as error:
                raise SinkError(
                    f"{self.path}: codec {self._plan.encoder.name} cannot be used in this container"
                ) from error

    def _claim(self, overwrite: bool) -> Claim:
        """Claim the output. Raises SinkError."""
        return PartFile(self.path, overwrite=overwrite, sources=self._sources)

    def _find_muxer(self, path: str) -> str:
        """FFmpeg's name of the container. Raises SinkError if the ending is unknown."""
        return muxer_of(path, self.path.suffix[1:])

    def _check_written(self) -> None:
        """For subclasses: raise OSError if something could not be written that the muxer was not told of."""

    def _before_encoding(self, frame: av.VideoFrame) -> None:
        """For subclasses: `frame` is about to be encoded."""

    def _commit(self) -> None:
        """Give the finished output its name."""
        self._part.commit(keep=self._keep)

    def _about_to_be_named(self, part: Path) -> None:
        """For subclasses: the file is finished and still has the name `part`."""

    def _open_output(self) -> None:
        """Write the header, without subtitles or audio if it cannot be had with them."""
        if self._wants_audio:
            self._audio = self._open_audio()
        if (path := self._subtitle_path()) is not None:
            self._subtitles = SubtitleCopy(path, self._muxer, self._expected_end())
        while True:
            try:
                self._write_header()
                return
            except (av.FFmpegError, ValueError):
                if not self._do_without():
                    raise

    def _do_without(self) -> bool:
        """Give up the subtitles, or else the audio; False when there is neither."""
        if self._subtitles is not None and self._subtitles.tracks:
            self._subtitles.close()
            self._subtitles = None
            self._notes.append("the subtitles are left out: this container does not support them")
            if self._audio is not None:
                self._audio.close()
                self._audio = self._open_audio()
            return True
        if self._audio is not None and self._audio.tracks:
            self._audio.close()
            self._audio = None
            self._notes.append("the audio is left out: this container does not support it")
            return True
        return False

    def _expected_end(self) -> Fraction | None:
        """Seconds in the file at which the source says that its pictures end."""
        seconds = self._info.duration_seconds
        return None if seconds is None else self._begins + Fraction(seconds).limit_denominator(1_000_000)

    def _subtitle_path(self) -> str | None:
        """The one file that the pictures come from; None where there is none, or no such file can have subtitles."""
        found = self._info.audio_path or (self._info.source_paths[0] if len(self._info.source_paths) == 1 else None)
        return None if found is None or self._info.live or self._info.still or "://" in found else found

    def _open_audio(self) -> AudioCopy | LiveAudio:
        if self._info.audio_path is not None:
            return AudioCopy(self._info.audio_path, self._muxer)
        assert self._info.audio is not None
        return LiveAudio(self._info.audio, self._muxer, self._begins)

    def _write_header(self) -> None:
        self._output = self._open_container()
        self._stream = self._add_stream(self._output)
        for source in self._sources[:1]:
            self._output.metadata.update(read_tags(source))
        if self._audio is not None:
            self._audio.add_streams(self._output, self._origin)
        if self._subtitles is not None:
            self._subtitles.add_streams(self._output, self._origin)
        self._output.start_encoding()

    def _movie_timescale(self) -> int:
        """A unit in which the starts of picture and audio are whole numbers."""
        both = math.lcm(self._tick.denominator, 48_000, 44_100)
        return both if both < 2**31 else self._tick.denominator
