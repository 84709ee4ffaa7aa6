"""Recordings that cannot be made again: playable while they grow, after a kill, and when the disk fills."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.limits import file_size_limit
from tests.sinks.sink_helpers import (
    frame_times,
    make_frame,
    mp4_boxes,
    nothing_seen,
    pictures,
    timed_frames,
    video_info,
    write_all,
)
from tests.video.clips import read_counter
from vidseg.audio import AUDIO_RATE, AudioBlock, AudioQueue
from vidseg.errors import WriteError
from vidseg.frames import Frame
from vidseg.sinks.av_sink import AvSink
from vidseg.sinks.whole_part import find_whole_part
from vidseg.video.encoders import EncodeOptions

ROOT = Path(__file__).parents[2]
NOISE = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
FRAMES = 150


def noisy_frames(count: int = FRAMES) -> Iterator[Frame]:
    for number in range(count):
        yield make_frame(number, size=(160, 120), painter=lambda index, *_: np.roll(NOISE, 7 * index, 1))


def audio(seconds: float) -> AudioQueue:
    queue = AudioQueue()
    wave = (8000 * np.sin(np.arange(round(seconds * AUDIO_RATE)) / 20)).astype(np.int16)
    queue.put(AudioBlock(np.stack((wave, wave), 1), Fraction(0)))
    return queue


def what_players_see(path: Path) -> dict[str, Any]:
    """Time units, edit lists, and the packets of each track with their times."""
    data = path.read_bytes()
    found: dict[str, Any] = {"edit lists": [], "time units": []}
    at = data.rfind(b"moov")
    while (at := data.find(b"elst", at + 4)) >= 0:
        count = int.from_bytes(data[at + 8 : at + 12], "big")
        found["edit lists"].append(data[at + 4 : at + 12 + 12 * count].hex())
    for name in (b"mvhd", b"mdhd"):
        at = data.rfind(b"moov")
        while (at := data.find(name, at + 4)) >= 0:
            found["time units"].append(int.from_bytes(data[at + 16 : at + 20], "big"))
    for number in range(2):
        with av.open(str(path)) as container:
            if number >= len(container.streams):
                break
            stream = container.streams[number]
            found[stream.type] = stream.start_time, stream.duration, stream.time_base, stream.frames
            found[number] = [(p.pts, p.dts, p.duration, bytes(p)) for p in container.demux(stream) if p.size]
    return found


@pytest.mark.parametrize(
    ("ending", "codec"),
    [("mp4", None), ("mov", None), ("m4v", None), ("mp4", "hevc"), ("mp4", "vp9"), ("mp4", "av1"), ("mov", "prores")],
)
@pytest.mark.parametrize("heard", [False, True], ids=["mute", "with sound"])
def test_a_finished_recording_is_a_plain_file_with_the_times_of_any_other(
    tmp_path: Path, ending: str, codec: str | None, heard: bool
) -> None:
    pts = [*range(0, 30_000, 1001), 31_000, 45_000, 46_000]
    paths = [tmp_path / f"{name}.{ending}" for name in ("live", "file")]
    for path in paths:
        info = video_info(
            time_base=Fraction(1, 30_000), live=True, has_audio=heard, audio=audio(1.4) if heard else None
        )
        sink = AvSink(
            path, info, overwrite=False, encode=EncodeOptions(codec=codec, threads=1), keep=path.stem == "live"
        )
        write_all(sink, timed_frames(pts, info.time_base))
    recorded, plain = map(what_players_see, paths)
    assert recorded == plain and recorded["edit lists"]
    boxes = mp4_boxes(paths[0])
    assert "moof" not in boxes and boxes.count("mdat") == boxes.count("moov") == 1
    assert boxes.index("moov") > boxes.index("mdat"), "no second pass over the file"


@pytest.mark.parametrize("live", [True, False])
def test_only_what_cannot_be_made_again_has_its_index_at_the_end(tmp_path: Path, live: bool) -> None:
    path = tmp_path / "a.mp4"
    write_all(AvSink(path, video_info(live=live), overwrite=False), [make_frame(0)])
    boxes = mp4_boxes(path)
    assert (boxes.index("moov") > boxes.index("mdat")) == live


@pytest.mark.parametrize("ending", ["mp4", "mov", "mkv", "ts"])
def test_a_killed_recording_can_be_played_but_for_its_last_second(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    script = textwrap.dedent(f"""
        import os, signal
        from tests.sinks.sink_helpers import make_frame, nothing_seen, video_info
        from vidseg.sinks.av_sink import AvSink
        from vidseg.video.encoders import EncodeOptions
        sink = AvSink({str(path)!r}, video_info(live=True), overwrite=False, encode=EncodeOptions(threads=1))
        for i in range(100):
            sink.write(make_frame(i), nothing_seen(make_frame(i)), make_frame(i).image)
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL and os.listdir(tmp_path) == [f"a.{ending}.part"]
    part = path.with_name(f"{path.name}.part")
    shown = [read_counter(image) for image in pictures(part)]
    assert shown == list(range(len(shown))) and len(shown) >= 100 - 25 - 12, "a second, and what the encoder held"
    first = frame_times(part)[0]
    assert [time - first for time in frame_times(part)] == [Fraction(i, 25) for i in range(len(shown))]


@pytest.mark.parametrize("ending", ["mp4", "mov", "mkv", "webm", "ts", "avi"])
@pytest.mark.parametrize("share", [0.5, 0.995], ids=["in the middle", "while it is finished"])
def test_a_full_disk_ends_a_recording_and_it_keeps_its_name(tmp_path: Path, ending: str, share: float) -> None:
    path = tmp_path / f"a.{ending}"
    info = video_info(160, 120, live=True)
    write_all(AvSink(path, info, overwrite=False, encode=EncodeOptions(threads=1)), noisy_frames())
    size = path.stat().st_size
    path.unlink()
    sink = AvSink(path, info, overwrite=False, encode=EncodeOptions(threads=1))
    with file_size_limit(round(share * size)), pytest.raises(WriteError) as caught:
        write_all(sink, noisy_frames())
    sink.abort()
    sink.close()
    assert os.listdir(tmp_path) == [path.name]
    end = float(len(pictures(path)) / 25)
    assert end >= share * FRAMES / 25 - 1.5
    told = str(caught.value)
    assert told == (
        f"{path}: exceeds the largest file size allowed here, ends at 0:{told.split('0:')[1][:2]}; "
        "choose another place or split the input"
    )
    assert abs(int(told.split("0:")[1][:2]) - end) <= 1


def test_the_words_for_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = AvSink(tmp_path / "a.mp4", video_info(live=True), overwrite=False, encode=EncodeOptions(threads=1))
    for i in range(60):
        sink.write(make_frame(i), nothing_seen(make_frame(i)), make_frame(i).image)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sink._input, "convert", full)
    with pytest.raises(WriteError, match=r"a\.mp4: disk full, ends at 0:0[12]; free some space"):
        sink.write(make_frame(60), nothing_seen(make_frame(60)), make_frame(60).image)


def test_an_encoder_that_fails_costs_nothing_of_what_it_gave(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = AvSink(
        tmp_path / "a.mp4", video_info(live=True), overwrite=False, encode=EncodeOptions(threads=1, codec="mpeg4")
    )
    for i in range(60):
        sink.write(make_frame(i), nothing_seen(make_frame(i)), make_frame(i).image)

    def broken(*_: object) -> None:
        raise ValueError("out of order")

    monkeypatch.setattr(sink._input, "convert", broken)
    with pytest.raises(WriteError, match=r"mpeg4 failed at 64x48 \(out of order\), ends at 0:02"):
        sink.write(make_frame(60), nothing_seen(make_frame(60)), make_frame(60).image)
    assert len(frame_times(tmp_path / "a.mp4")) == 60 and "moof" not in mp4_boxes(tmp_path / "a.mp4")


def test_a_disk_that_is_full_from_the_start_leaves_nothing(tmp_path: Path) -> None:
    sink = AvSink(tmp_path / "a.mp4", video_info(160, 120, live=True), overwrite=False, encode=EncodeOptions(threads=1))
    with file_size_limit(100), pytest.raises(WriteError, match="exceeds the largest file size allowed here; choose"):
        write_all(sink, noisy_frames())
    assert os.listdir(tmp_path) == []


def test_a_disk_that_fails_at_the_very_end_costs_no_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = AvSink(tmp_path / "a.mp4", video_info(live=True), overwrite=False, encode=EncodeOptions(threads=1))
    for i in range(30):
        sink.write(make_frame(i), nothing_seen(make_frame(i)), make_frame(i).image)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WriteError, match="disk full"):
        sink.close()
    assert os.listdir(tmp_path) == ["a.mp4"] and len(frame_times(tmp_path / "a.mp4")) == 30


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"\0\0\0\1moov" + b"\xff" * 50, b"\x1a\x45\xdf\xa3\x01"])
@pytest.mark.parametrize("muxer", ["mp4", "matroska"])
def test_nothing_is_found_whole_in_what_is_no_video(tmp_path: Path, content: bytes, muxer: str) -> None:
    (tmp_path / "a").write_bytes(content)
    assert find_whole_part(tmp_path / "a", muxer) is None
