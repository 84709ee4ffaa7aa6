"""Playlists: what is in them, when they are there, and what is left of them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av
import pytest

from tests.limits import file_size_limit
from tests.sinks.sink_helpers import (
    file_frames,
    file_info,
    frame_times,
    make_frame,
    nothing_seen,
    timed_frames,
    video_info,
    write_all,
)
from tests.video.clips import make_clip
from vidseg.errors import SinkError, WriteError
from vidseg.frames import Frame
from vidseg.interfaces import Sink
from vidseg.sinks.hls_sink import HlsSink
from vidseg.video.encoders import EncodeOptions


def sink(path: Path, *, rolling: bool = False, overwrite: bool = False, info: Any = None, **options: Any) -> HlsSink:
    return HlsSink(path, info or video_info(), rolling=rolling, overwrite=overwrite, **options)


def frames(seconds: float, rate: int = 10) -> Iterator[Frame]:
    """A slow video, so that little is encoded."""
    for index in range(round(seconds * rate)):
        yield make_frame(index, pts=index, time_base=Fraction(1, rate))


def lengths(playlist: Path) -> list[float]:
    """Seconds of the segments that are listed."""
    return [float(text) for text in re.findall(r"#EXTINF:([\d.]+)", playlist.read_text())]


def listed(playlist: Path) -> list[str]:
    return [line for line in playlist.read_text().splitlines() if line and not line.startswith("#")]


def files(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def test_is_a_sink(tmp_path):
    one = sink(tmp_path / "a.m3u8")
    assert isinstance(one, Sink)
    one.abort()
    assert files(tmp_path) == []


def test_a_whole_video_has_all_frames_at_their_times_and_an_end(tmp_path):
    path = tmp_path / "a.m3u8"
    write_all(sink(path), frames(14))
    assert frame_times(path) == [Fraction(index, 10) for index in range(140)]
    assert lengths(path) == [6.0, 6.0, 2.0] and listed(path) == ["a_00000.ts", "a_00001.ts", "a_00002.ts"]
    text = path.read_text()
    assert text.rstrip().endswith("#EXT-X-ENDLIST") and "#EXT-X-PLAYLIST-TYPE:VOD" in text
    assert files(tmp_path) == ["a.m3u8", *listed(path)]


def test_variable_frame_times_are_kept(tmp_path):
    times = [0, 40, 1000, 1010, 3500, 7000, 7040]
    write_all(sink(tmp_path / "a.m3u8"), timed_frames(times, Fraction(1, 1000)))
    assert [round(time * 1000) for time in frame_times(tmp_path / "a.m3u8")] == times


def test_each_segment_can_be_played_alone(tmp_path):
    write_all(sink(tmp_path / "a.m3u8"), frames(13))
    for name in listed(tmp_path / "a.m3u8"):
        with av.open(str(tmp_path / name)) as segment:
            assert next(segment.decode(video=0)).key_frame


def test_the_audio_of_a_file_comes_along(tmp_path):
    clip = make_clip(tmp_path / "clip.mp4", frames=50, audio_seconds=2.0)
    write_all(sink(tmp_path / "a.m3u8", info=file_info(clip)), file_frames(clip))
    with av.open(str(tmp_path / "a.m3u8")) as container:
        seconds = sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))
    assert seconds == pytest.approx(2.0, abs=0.1)


def test_the_playlist_of_a_whole_video_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "a.m3u8"
    one = sink(path)
    for frame in frames(13):
        one.write(frame, nothing_seen(frame), frame.image)
    assert not path.exists() and (tmp_path / "a_00000.ts").exists()
    one.close()
    assert path.exists()


def test_a_rolling_playlist_lists_the_last_segments_and_removes_the_others(tmp_path):
    path = tmp_path / "a.m3u8"
    one = sink(path, rolling=True)
    seen: list[int] = []
    for frame in frames(40):
        one.write(frame, nothing_seen(frame), frame.image)
        if path.exists():
            text = path.read_text()
            assert text.startswith("#EXTM3U") and "#EXT-X-ENDLIST" not in text
            assert all((tmp_path / name).exists() for name in listed(path))
            seen.append(len(listed(path)))
    assert seen[0] == 1 and max(seen) == 6
    one.close()
    assert path.read_text().rstrip().endswith("#EXT-X-ENDLIST")
    assert lengths(path) == [2.0] * 6 and len(files(tmp_path)) <= 1 + 6 + 3
    times = frame_times(path)
    assert len(times) == 120 and times[-1] - times[0] == Fraction(119, 10)


def test_numbers_of_rolling_segments_go_on_after_a_restart(tmp_path, monkeypatch):
    path = tmp_path / "a.m3u8"
    numbers = []
    for now in (1000.0, 1003.0):
        monkeypatch.setattr("vidseg.sinks.hls_sink.time.time", lambda now=now: now)
        write_all(sink(path, rolling=True, overwrite=True), frames(4))
        numbers.append([int(name[2:-3]) for name in listed(path)])
    assert numbers == [[1000, 1001], [1003, 1004]]
    assert files(tmp_path) == ["a.m3u8", "a_01003.ts", "a_01004.ts"]


@pytest.mark.parametrize("rolling", [False, True])
def test_recordings_of_somebody_else_are_not_removed(tmp_path, rolling):
    recordings = ["a_20261125.ts", "a_7.ts", "a_20261125103000.ts", "b_00000.ts"]
    for name in recordings:
        (tmp_path / name).touch()
    for _ in range(2):
        write_all(sink(tmp_path / "a.m3u8", rolling=rolling, overwrite=True), frames(2))
    assert set(recordings) < set(files(tmp_path))


@pytest.mark.parametrize("rolling", [False, True])
def test_abort_leaves_nothing_of_its_own(tmp_path, rolling):
    (tmp_path / "a_notes.ts").touch()
    one = sink(tmp_path / "a.m3u8", rolling=rolling)
    for frame in frames(13):
        one.write(frame, nothing_seen(frame), frame.image)
    one.abort()
    one.abort()
    assert files(tmp_path) == ["a_notes.ts"]


def test_without_a_frame_there_is_no_playlist(tmp_path):
    with pytest.raises(WriteError, match="no frame was written"):
        sink(tmp_path / "a.m3u8").close()
    assert files(tmp_path) == []


@pytest.mark.parametrize("rolling", [False, True])
def test_a_killed_run_leaves_no_playlist_with_an_end_and_the_next_one_goes_over_it(tmp_path, rolling):
    code = (
        "import os, sys\n"
        "from tests.sinks.test_hls_sink import *\n"
        f"one = sink(Path(sys.argv[1]), rolling={rolling})\n"
        "for frame in frames(13): one.write(frame, nothing_seen(frame), frame.image)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    path = tmp_path / "a.m3u8"
    assert subprocess.run([sys.executable, "-c", code, str(path)], timeout=60).returncode == -9
    assert path.exists() == rolling and len(files(tmp_path)) >= 2
    assert not any("ENDLIST" in (tmp_path / name).read_text() for name in files(tmp_path) if "m3u8" in name)
    if rolling:
        with pytest.raises(SinkError, match=r"a\.m3u8: exists; overwrite it with -y"):
            sink(path, rolling=True)
    write_all(sink(path, rolling=rolling, overwrite=rolling), frames(2))
    assert files(tmp_path) == ["a.m3u8", *listed(path)]


def test_what_is_there_is_kept_unless_it_may_be_overwritten(tmp_path):
    path = tmp_path / "a.m3u8"
    write_all(sink(path), frames(13))
    before = files(tmp_path)
    with pytest.raises(SinkError, match=r"a\.m3u8: exists"):
        sink(path)
    one = sink(path, overwrite=True)
    one.abort()
    assert files(tmp_path) == before, "nothing goes before the first picture"
    write_all(sink(path, overwrite=True), frames(2))
    assert files(tmp_path) == ["a.m3u8", "a_00000.ts"] and len(frame_times(path)) == 20


def test_segments_of_somebody_else_are_not_overwritten(tmp_path):
    (tmp_path / "a_00000.ts").write_bytes(b"mine")
    with pytest.raises(SinkError, match=r"a_00000\.ts: exists; overwrite it with -y"):
        sink(tmp_path / "a.m3u8")
    with pytest.raises(SinkError, match="is the input itself"):
        sink(tmp_path / "a.m3u8", overwrite=True, source_paths=[tmp_path / "a_00000.ts"])
    assert files(tmp_path) == ["a_00000.ts"]


def test_names_that_ffmpeg_would_read_otherwise(tmp_path):
    folder = tmp_path / "100%d of: it"
    folder.mkdir()
    path = folder / "Straße 1.m3u8"
    write_all(sink(path), frames(2))
    assert files(folder) == ["Straße 1.m3u8", "Straße 1_00000.ts"]
    assert len(frame_times(path)) == 20


@pytest.mark.parametrize("name", ["50%", "10:30", "what?", "a#1"])
def test_names_that_players_would_read_otherwise_are_refused(tmp_path, name):
    with pytest.raises(SinkError, match=r"the name of a playlist cannot contain % : \? or #; choose another one"):
        sink(tmp_path / f"{name}.m3u8")
    assert files(tmp_path) == []


@pytest.mark.parametrize("rolling", [False, True])
@pytest.mark.parametrize("seconds", [1, 30])
def test_a_full_disk_is_told_in_one_line_and_leaves_nothing(tmp_path, capfd, rolling, seconds):
    one = sink(tmp_path / "a.m3u8", rolling=rolling)
    with file_size_limit(600), pytest.raises(WriteError, match=r"a\.m3u8: exceeds the largest file") as caught:
        write_all(one, frames(seconds))
    one.abort()
    assert files(tmp_path) == [] and "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", ""), "no traceback either"


def test_a_folder_that_goes_is_told_in_one_line(tmp_path, capfd):
    folder = tmp_path / "site"
    folder.mkdir()
    one = sink(folder / "a.m3u8", rolling=True)
    one._open_output = lambda real=one._open_output: (os.rename(folder, tmp_path / "gone"), real())
    with pytest.raises(WriteError, match=r"a\.m3u8: cannot be written \(No such file or directory\)"):
        write_all(one, frames(3))
    assert capfd.readouterr() == ("", "")


def test_a_full_disk_ends_a_live_playlist_behind_its_last_whole_segment(tmp_path, capfd):
    one = HlsSink(tmp_path / "a.m3u8", video_info(live=True), overwrite=False, rolling=True)
    pictures = frames(30)
    for frame in islice(pictures, 55):
        one.write(frame, nothing_seen(frame), frame.image)
    with file_size_limit(600), pytest.raises(WriteError, match=r"exceeds the largest file .*, ends at 0:04; "):
        write_all(one, pictures)
    one.abort()
    segments = listed(tmp_path / "a.m3u8")
    assert (tmp_path / "a.m3u8").read_text().endswith("\n#EXT-X-ENDLIST\n") and len(segments) >= 2
    assert files(tmp_path) == ["a.m3u8", *segments], "and no unfinished one"
    assert len(frame_times(tmp_path / "a.m3u8")) >= 2 * 2 * 10
    assert capfd.readouterr() == ("", "")


def test_codecs_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(SinkError, match="codec vp9 cannot be used in"):
        sink(tmp_path / "a.m3u8", encode=EncodeOptions(codec="vp9"))
    assert files(tmp_path) == []
