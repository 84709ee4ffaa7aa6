"""GIF files: one palette for all pictures, chosen when all of them are known."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
from av.filter import Graph

from vidseg.errors import WriteError
from vidseg.frames import Frame, UInt8Array
from vidseg.sinks.av_sink import AvSink
from vidseg.video.encoder_input import EncoderInput

_DITHER = "dither=bayer:bayer_scale=4:diff_mode=rectangle"
"""A fixed pattern: what stays in the picture stays in the file, where error diffusion would let it shimmer."""


class GifSink(AvSink):
    """An `AvSink` for GIF. Pictures wait, lossless, in a file without a name until all their colours are known."""

    def __init__(self, *args: Any, **named: Any) -> None:
        """Arguments and errors are those of `AvSink`."""
        super().__init__(*args, **named)
        self._waiting: _Waiting | None = None

    def close(self) -> None:
        """Choose the colours, and write all pictures with them. As `AvSink.close`."""
        if self._state == "open" and self._waiting is not None:
            try:
                with self._failures_named():
                    self._open_output()
                    for frame in self._waiting.coloured():
                        self._output.mux(self._stream.encode(frame))
            except BaseException as error:
                if self._keep and isinstance(error, WriteError):
                    raise self._kept(error) from error
                self.abort()
                raise
        super().close()

    def _encode(self, frame: Frame, picture: UInt8Array) -> None:
        with self._failures_named():
            if self._waiting is None:
                self._waiting = _Waiting(str(self.path.parent))
            self._waiting.add(self._encoder_frame(frame, picture))
        self.counters["frames"] += 1

    def _make_input(self, size_hw: tuple[int, int]) -> EncoderInput:
        return EncoderInput(size_hw, "bgr0", even_sides=False, full_range=False)

    def _set_up(self, context: Any) -> None:
        super()._set_up(context)
        context.pix_fmt = self._plan.pix_fmt

    def _end(self) -> None:
        super()._end()
        if self._waiting is not None:
            self._waiting.close()


class _Waiting:
    """Pictures on their way into a GIF. Remembers their colours, and the pictures themselves in a file."""

    def __init__(self, folder: str) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - `close` closes it
        self._container: av.container.OutputContainer = av.open(self._file, "w", format="nut")
        self._stream: Any = None
        self._colours, self._unit = Graph(), Fraction(1, 100)
        self._times: list[tuple[int, int]] = []

    def add(self, frame: av.VideoFrame) -> None:
        """Take the next picture."""
        assert frame.pts is not None
        if self._stream is None:
            self._unit = frame.time_base or self._unit
            self._stream = self._container.add_stream("ffv1", rate=25)
            context = self._stream.codec_context
            context.width, context.height, context.pix_fmt = frame.width, frame.height, frame.format.name
            context.time_base = self._unit
            self._seen = self._buffer(self._colours, frame.format)
            palette = self._colours.add("palettegen", "reserve_transparent=0")
            self._palette = self._colours.add("buffersink")
            self._seen.link_to(palette)
            palette.link_to(self._palette)
            self._colours.configure()
        self._times.append((frame.pts, frame.duration))
        self._container.mux(self._stream.encode(frame))
        self._seen.push(frame)

    def coloured(self) -> Iterator[av.VideoFrame]:
        """All pictures in the same 256 colours, at their times."""
        self._container.mux(self._stream.encode(None))
        self._container.close()
        self._seen.push(None)
        palette = self._palette.pull()
        assert isinstance(palette, av.VideoFrame)
        graph = Graph()
        use, out = graph.add("paletteuse", _DITHER), graph.add("buffersink")
        pictures = self._buffer(graph, self._stream.codec_context.format)
        colours = self._buffer(graph, palette.format)
        pictures.link_to(use, 0, 0)
        colours.link_to(use, 0, 1)
        use.link_to(out)
        graph.configure()
        colours.push(palette)
        colours.push(None)
        self._file.seek(0)
        with av.open(self._file, "r") as container:
            for frame, (pts, duration) in zip(container.decode(video=0), self._times, strict=True):
                pictures.push(frame)
                done = out.pull()
                assert isinstance(done, av.VideoFrame)
                done.pts, done.time_base, done.duration = pts, self._unit, duration
                yield done

    def close(self) -> None:
        """Forget them. Does nothing a second time."""
        self._file.close()

    def _buffer(self, graph: Graph, layout: av.VideoFormat) -> Any:
        return graph.add_buffer(width=layout.width, height=layout.height, format=layout, time_base=self._unit)
