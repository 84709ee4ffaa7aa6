"""Recordings that were joined into one file: the clock jumps, and pictures and audio go on as if it had not."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest

from tests.sinks.sink_helpers import audio_packets, frame_times, write_all
from tests.video.clips import make_clip
from vidseg.sinks.av_sink import AvSink
from vidseg.sources.av_source import AvSource

FRAMES, TONE_SECONDS = 30, 1.5
"""Of a recording; its audio goes on for 0.3 s behind its pictures."""


def recording(folder: Path, start: int) -> Path:
    """A transport stream whose clock begins at so many seconds."""
    plain = make_clip(folder / f"{start}.mp4", frames=FRAMES, bframes=2, audio_seconds=TONE_SECONDS)
    with av.open(str(plain)) as source, av.open(str(folder / f"{start}.ts"), "w") as output:
        streams = {stream.index: output.add_stream_from_template(stream) for stream in source.streams}
        for packet in sorted((p for p in source.demux() if p.size), key=lambda p: p.dts * p.time_base):
            packet.pts += round(start / packet.time_base)
            packet.dts += round(start / packet.time_base)
            packet.stream = streams[packet.stream_index]
            output.mux(packet)
    return folder / f"{start}.ts"


def lag(path: Path) -> Fraction:
    """From the first picture to the last packet of audio."""
    return audio_packets(path)[-1][0] - frame_times(path)[0]


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
@pytest.mark.parametrize("starts", [(20_000, 5_000), (20_000, 20_100), (20_000, 5_000, 60_000)])
def test_pictures_keep_their_step_and_audio_its_picture(tmp_path: Path, starts: tuple[int, ...], ending: str) -> None:
    parts = [recording(tmp_path, start) for start in starts]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    with AvSource(joined) as source:
        sink = AvSink(tmp_path / f"out.{ending}", source.info, overwrite=False)
        write_all(sink, source)
        assert source.counters.get("truncated") is None and not source.counters.get("corrupt_packets")
    times = frame_times(tmp_path / f"out.{ending}")
    assert len(times) == FRAMES * len(starts)
    assert {round(float(after - before), 3) for before, after in pairwise(times)} == {0.04}
    before_last = Fraction(FRAMES * (len(starts) - 1), 25)
    assert abs(lag(tmp_path / f"out.{ending}") - lag(parts[-1]) - before_last) < Fraction(1, 40)
    audio = [time for time, _ in audio_packets(tmp_path / f"out.{ending}")]
    assert all(Fraction(1, 100) < after - before < Fraction(1, 20) for before, after in pairwise(audio))


def test_a_clock_that_jumps_ahead_in_a_container_that_has_one_clock_is_believed(tmp_path: Path) -> None:
    with AvSource(make_clip(tmp_path / "lapse.mkv", pts=[0, 40, 60_000, 60_040])) as source:
        assert [frame.seconds for frame in source] == [0, 0.04, 60, 60.04]


def test_audio_behind_the_last_picture_of_an_avi_with_b_frames_is_kept(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.avi", frames=25, bframes=3, audio_seconds=1.5)
    with AvSource(clip) as source:
        write_all(AvSink(tmp_path / "out.mp4", source.info, overwrite=False), source)
    assert audio_packets(tmp_path / "out.mp4")[-1][0] > Fraction(14, 10)
