"""A video in chunks has the times, audio and pictures of an undivided one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from tests.sinks.sink_helpers import (
    audio_packets,
    file_frames,
    file_info,
    frame_times,
    make_frame,
    mp4_boxes,
    nothing_seen,
    pictures,
    timed_frames,
    video_info,
    write_all,
)
from tests.video.clips import make_clip, read_counter
from vidseg.errors import ResumeError, SinkError, WriteError
from vidseg.frames import Frame, VideoInfo
from vidseg.interfaces import ResumableSink
from vidseg.sinks.av_sink import AvSink
from vidseg.sinks.chunked_video import ChunkedAvSink
from vidseg.sinks.image_sink import ImageSink
from vidseg.sinks.records.label_maps import LabelMapSink
from vidseg.video.encoders import EncodeOptions


def in_chunks(path: Path, info: VideoInfo, frames: Sequence[Frame], size: int = 4, **options: Any) -> ChunkedAvSink:
    """Written with a new sink per chunk, as if the process had been killed after each, and joined."""
    state, files = None, []
    for start in range(0, len(frames), size):
        sink = ChunkedAvSink(path, info, overwrite=True, **options)
        if state is not None:
            sink.restore(json.loads(json.dumps(state)))
        files.append(path.parent / f"{start:05d}")
        chunk = sink.begin_chunk(files[-1])
        for frame in frames[start : start + size]:
            chunk.write(frame, nothing_seen(frame), frame.image)
        chunk.close()
        state = sink.state()
        sink.abort()
    sink = ChunkedAvSink(path, info, overwrite=True, **options)
    sink.restore(json.loads(json.dumps(state)))
    sink.check(files)
    named: list[Path] = []
    sink.join(files, named.append)
    assert [part.name for part in named] == [path.name + ".part"]
    return sink


def durations(path: Path) -> list[int | None]:
    with av.open(str(path)) as container:
        return [packet.duration for packet in container.demux(video=0) if packet.size]


def key_frames(path: Path) -> list[int]:
    with av.open(str(path)) as container:
        return [i for i, frame in enumerate(container.decode(video=0)) if frame.key_frame]


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mp4", None),
        ("a.mov", None),
        ("a.mkv", None),
        ("a.avi", None),
        ("a.ts", None),
        ("a.mp4", "hevc"),
        ("a.mp4", "av1"),
        ("a.webm", None),
        ("a.mkv", "ffv1"),
        ("a.mov", "prores"),
        ("a.avi", "mjpeg"),
        ("a.mp4", "mpeg4"),
        ("a.mkv", "libx264rgb"),  # reorders, so that chunks touch in their decoding times
    ],
)
def test_times_and_pictures_are_those_of_an_undivided_video(tmp_path: Path, name: str, codec: str | None) -> None:
    frames = [make_frame(i) for i in range(10)]
    write_all(
        AvSink(tmp_path / f"whole-{name}", video_info(), overwrite=False, encode=EncodeOptions(codec=codec)), frames
    )
    in_chunks(tmp_path / name, video_info(), frames, encode=EncodeOptions(codec=codec))
    assert frame_times(tmp_path / name) == frame_times(tmp_path / f"whole-{name}")
    assert durations(tmp_path / name) == durations(tmp_path / f"whole-{name}")
    assert [read_counter(image) for image in pictures(tmp_path / name)] == list(range(10))
    assert {0, 4, 8} <= set(key_frames(tmp_path / name))


def test_variable_rate_and_odd_units_of_time_stay_exact(tmp_path: Path) -> None:
    frames = timed_frames([0, 3, 4, 10, 11, 12, 30, 31, 32], Fraction(1001, 30_000))
    info = video_info(frame_rate=None, time_base=Fraction(1001, 30_000))
    write_all(AvSink(tmp_path / "whole.mp4", info, overwrite=False), frames)
    in_chunks(tmp_path / "a.mp4", info, frames, 2)
    assert frame_times(tmp_path / "a.mp4") == frame_times(tmp_path / "whole.mp4")
    assert durations(tmp_path / "a.mp4") == durations(tmp_path / "whole.mp4")


def test_the_audio_is_that_of_an_undivided_video(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=30, audio_seconds=1.3)
    frames, info = list(file_frames(clip)), file_info(clip)
    write_all(AvSink(tmp_path / "whole.mp4", info, overwrite=False), frames)
    in_chunks(tmp_path / "a.mp4", info, frames, 7)
    assert audio_packets(tmp_path / "a.mp4") == audio_packets(tmp_path / "whole.mp4") != []
    boxes = mp4_boxes(tmp_path / "a.mp4")
    assert boxes.index("moov") < boxes.index("mdat")


def test_notes_and_counts_survive(tmp_path: Path) -> None:
    frames = [make_frame(i, size=(63, 47), pts=-2 + i // 2) for i in range(8)]
    sink = in_chunks(tmp_path / "a.mp4", video_info(63, 47), frames, 3)
    whole = write_all(AvSink(tmp_path / "whole.mp4", video_info(63, 47), overwrite=False), frames)
    assert sink.notes == whole.notes and len(whole.notes) == 3
    assert sink.counters == whole.counters and whole.counters["pts_fixed"] == 7


def test_the_same_frames_give_the_same_bytes(tmp_path: Path) -> None:
    frames = [make_frame(i) for i in range(9)]
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        in_chunks(tmp_path / name / "out.mp4", video_info(), frames, 3)
    assert (tmp_path / "a" / "out.mp4").read_bytes() == (tmp_path / "b" / "out.mp4").read_bytes()


def test_a_damaged_chunk_is_told_and_the_output_does_not_appear(tmp_path: Path) -> None:
    sink = ChunkedAvSink(tmp_path / "a.mp4", video_info(), overwrite=False)
    chunk = sink.begin_chunk(tmp_path / "00000")
    chunk.write(make_frame(), nothing_seen(make_frame()), make_frame().image)
    chunk.close()
    data = bytearray((tmp_path / "00000").read_bytes())
    data[-60] ^= 1
    (tmp_path / "00000").write_bytes(data)
    with pytest.raises(ResumeError, match="packet 0 is damaged"):
        sink.check([tmp_path / "00000"])
    with pytest.raises(ResumeError, match="packet 0 is damaged"):
        sink.join([tmp_path / "00000"], lambda part: None)
    assert [path.name for path in tmp_path.iterdir()] == ["00000"]


def test_an_aborted_or_empty_chunk_leaves_nothing(tmp_path: Path) -> None:
    sink = ChunkedAvSink(tmp_path / "a.mp4", video_info(), overwrite=False)
    chunk = sink.begin_chunk(tmp_path / "00000")
    chunk.write(make_frame(), nothing_seen(make_frame()), make_frame().image)
    chunk.abort()
    sink.begin_chunk(tmp_path / "00001").close()
    sink.abort()
    assert list(tmp_path.iterdir()) == []


def test_encoders_that_give_two_headers_are_refused(tmp_path: Path) -> None:
    sink = ChunkedAvSink(tmp_path / "a.mp4", video_info(), overwrite=False)
    chunk = sink.begin_chunk(tmp_path / "00000")
    chunk.write(make_frame(), nothing_seen(make_frame()), make_frame().image)
    sink.restore(sink.state() | {"extradata": "00"})
    with pytest.raises(WriteError, match="libx264 cannot be joined; choose another --codec"):
        chunk.close()
    sink.abort()
    assert list(tmp_path.iterdir()) == []


def test_a_gif_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="gif cannot be written in chunks"):
        ChunkedAvSink(tmp_path / "a.gif", video_info(), overwrite=False)
    assert list(tmp_path.iterdir()) == []


def test_what_can_be_gone_on_with_says_so(tmp_path: Path) -> None:
    video = ChunkedAvSink(tmp_path / "a.mp4", video_info(), overwrite=False)
    assert isinstance(video, ResumableSink)
    video.abort()
    assert isinstance(LabelMapSink(tmp_path / "masks", overwrite=False), ResumableSink)
    assert not isinstance(ImageSink(tmp_path / "%05d.png", video_info(), overwrite=False), ResumableSink)
