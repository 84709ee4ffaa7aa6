"""Video into a pipe: what comes out of it, and what becomes of a run whose reader goes away."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from tests.sinks.sink_helpers import file_frames, file_info, make_frame, nothing_seen, video_info, write_all
from tests.video.clips import make_clip, read_counter
from vidseg.errors import SinkError, WriteError
from vidseg.interfaces import SendingSink
from vidseg.pipeline.outputs import Outputs
from vidseg.sinks.pipe_sink import PipeSink
from vidseg.video.encoders import EncodeOptions


def piped(tmp_path: Path, make: Any) -> tuple[PipeSink, Path]:
    """What `make(descriptor)` writes through a pipe: the closed sink, and a file with all that its reader got."""
    reader, writer = os.pipe()
    got: list[bytes] = []
    with os.fdopen(reader, "rb") as file:
        thread = threading.Thread(target=lambda: got.append(file.read()), daemon=True)
        thread.start()
        sink = make(writer)
        thread.join(20)
    assert got, "the pipe was not closed"
    path = tmp_path / "got"
    path.write_bytes(got[0])
    return sink, path


def shown(path: Path) -> list[int]:
    with av.open(str(path)) as container:
        return [read_counter(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", ["matroska", "mpegts", "nut", "y4m"])
def test_every_frame_and_the_audio_come_out_of_the_pipe(tmp_path: Path, name: str) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=50, audio_seconds=2.0)
    info = file_info(clip)
    sink, path = piped(tmp_path, lambda fd: write_all(PipeSink(fd, info, format=name), file_frames(clip)))
    assert shown(path) == list(range(50)) and sink.given_up is None
    with av.open(str(path)) as container:
        seconds = [p.pts * p.time_base for p in container.demux(audio=0) if p.size] if container.streams.audio else []
    if name == "y4m":
        assert not seconds and sink.notes == ("y4m cannot contain audio; it is left out",)
    else:
        assert seconds[-1] - seconds[0] > Fraction(19, 10) and sink.notes == ()


@pytest.mark.timeout(60)
@pytest.mark.parametrize(("pts", "expected"), [([0, 1, 4, 5], [0, 1, 1, 1, 2, 3]), ([7, 8, 10], [0, 1, 1, 2])])
def test_a_picture_of_y4m_stays_as_long_as_its_time_says(tmp_path: Path, pts: Sequence[int], expected: Any) -> None:
    frames = [make_frame(index, pts=at) for index, at in enumerate(pts)]
    _, path = piped(tmp_path, lambda fd: write_all(PipeSink(fd, video_info(), format="y4m"), frames))
    assert shown(path) == expected


def closed_pipe() -> int:
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def test_a_reader_that_is_gone_is_no_failure_and_costs_no_other_output(tmp_path: Path) -> None:
    sink = PipeSink(closed_pipe(), video_info(), format="y4m")
    assert isinstance(sink, SendingSink)
    outputs = Outputs([], [sink], "last")
    outputs.take()
    for index in range(3):
        frame = make_frame(index, pts=500 + index)  # times of a part begin where it does
        outputs.write(frame, nothing_seen(frame), frame.image)
    outputs.close(lambda: False)
    assert sink.given_up == "standard output: the reader closed the pipe at 0:00"
    assert sink.given_up in sink.notes and outputs.failures == [] and outputs.finished == [sink]


def test_a_reader_that_goes_away_before_the_rest_is_written_is_told_once(tmp_path: Path) -> None:
    sink = PipeSink(closed_pipe(), video_info(), format="mpegts")  # the encoder and the muxer hold the one frame back
    frame = make_frame(0)
    sink.write(frame, nothing_seen(frame), frame.image)
    sink.close()
    assert sink.given_up is not None and sink.notes == (sink.given_up,)


def test_a_full_disk_behind_a_pipe_is_a_failure() -> None:
    sink = PipeSink(os.open("/dev/full", os.O_WRONLY), video_info(), format="y4m")
    frame = make_frame(0)
    with pytest.raises(WriteError, match="standard output: disk full"):
        sink.write(frame, nothing_seen(frame), frame.image)
    sink.abort()


def test_a_codec_that_the_format_does_not_take_is_refused() -> None:
    reader, writer = os.pipe()
    with pytest.raises(SinkError, match=r"codec h264 cannot be used in this container.*takes rawvideo"):
        PipeSink(writer, video_info(), format="y4m", encode=EncodeOptions(codec="h264"))
    os.close(reader)
