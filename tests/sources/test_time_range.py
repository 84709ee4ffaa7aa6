"""A part of a video: its frames are those of the whole, with their numbers, times and pictures."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from tests.sources.test_source_resume import CLIPS, told
from tests.video.clips import make_clip, read_counter
from vidseg.errors import ConfigError
from vidseg.sources.av_source import AvSource
from vidseg.sources.pattern_source import PatternSource
from vidseg.sources.seeking import HEAD_FRAMES
from vidseg.sources.time_range import TimeRange, range_of

FRAMES = 120


def many(path: Path, **more: object) -> Path:
    return make_clip(path, frames=FRAMES, **more)  # type: ignore[arg-type]


def with_edit_list(path: Path) -> Path:
    """The first 1.2 seconds of the file are cut off by an edit list: its first picture to be shown is no key frame."""
    import subprocess

    whole = many(path.with_name("whole.mp4"), bframes=2, gop=50)
    command = ["ffmpeg", "-v", "error", "-ss", "1.2", "-i", str(whole), "-c", "copy", str(path)]
    subprocess.run(command, check=True, timeout=60)
    return path


LONG: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "b-frames": ("a.mp4", lambda path: many(path, bframes=2, gop=20)),
    "mkv": ("a.mkv", lambda path: many(path, bframes=2, gop=20, rate=30)),
    "open groups": (
        "a.mkv",
        lambda path: many(path, bframes=3, gop=20, options={"x264-params": "open-gop=1"}),
    ),
    "mpeg2": ("a.ts", lambda path: many(path, codec="mpeg2video", options={"bf": "2", "g": "12"})),
    "ts": ("a.ts", lambda path: many(path, bframes=2, gop=20)),
    "variable rate": (
        "a.mp4",
        lambda path: make_clip(path, pts=[i * i + 7 * i for i in range(FRAMES)], bframes=2, gop=20),
    ),
    "late start": (
        "a.mp4",
        lambda path: make_clip(path, pts=[5000 + 40 * i for i in range(FRAMES)], bframes=2, gop=20),
    ),
    "negative start": (
        "a.mkv",
        lambda path: make_clip(path, pts=[-200 + 40 * i for i in range(FRAMES)], gop=20),
    ),
    "hevc": ("a.mp4", lambda path: many(path, codec="libx265", bframes=2, gop=20)),
    "edit list": ("a.mp4", with_edit_list),
    "avi": ("a.avi", lambda path: many(path, codec="mpeg4")),
}


def part(path: Path, start: Fraction, end: Fraction | None) -> list[tuple[int, int, int | None, int]]:
    source = AvSource(path)
    source.keep(TimeRange(start, end))
    return told(source)


@pytest.fixture
def sought(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of the frames that were found by a key frame."""
    found: list[int] = []
    plain = AvSource._decoded_at

    def decoded_at(self, place, start):
        frame = plain(self, place, start)
        found.extend([place.number] if frame is not None else [])
        return frame

    monkeypatch.setattr(AvSource, "_decoded_at", decoded_at)
    return found


@pytest.mark.parametrize("kind", LONG)
def test_a_part_has_the_frames_of_the_whole_with_their_numbers_and_times(
    kind: str, tmp_path: Path, sought: list[int]
) -> None:
    name, make = LONG[kind]
    path = make(tmp_path / name)
    whole = told(AvSource(path))
    unit = AvSource(path).info.time_base
    seconds = [(pts - whole[0][1]) * unit for _, pts, _, _ in whole]
    assert len(whole) > 70
    for first, last in ((1, 3), (len(whole) - 30, len(whole) - 10), (len(whole) - 13, None)):
        end = None if last is None else seconds[last]
        assert part(path, seconds[first], end) == whole[first:last], (kind, first, last)
    between = (seconds[60] + seconds[61]) / 2
    assert part(path, between, between + Fraction(1, 10**6)) == []
    assert part(path, between, None) == whole[61:]
    assert bool(sought) is (kind not in ("avi",)), "found without decoding from the start"


@pytest.mark.parametrize("kind", CLIPS)
def test_where_no_sure_way_leads_to_a_place_frames_are_counted_from_the_start(kind: str, tmp_path: Path) -> None:
    name, make = CLIPS[kind]
    path = make(tmp_path / name)
    whole = told(AvSource(path))
    unit = AvSource(path).info.time_base
    assert part(path, (whole[31][1] - whole[0][1]) * unit, None) == [each for each in whole if each[1] >= whole[31][1]]


def test_a_decoder_that_gives_other_frames_than_the_packets_say_starts_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = many(tmp_path / "a.mp4", bframes=2, gop=20)
    whole = told(AvSource(path))
    monkeypatch.setattr(AvSource, "_decoded_at", lambda self, place, start: None)
    assert part(path, Fraction(3), None) == whole[75:]


def test_a_place_near_the_end_is_found_without_decoding_what_is_before(tmp_path: Path) -> None:
    path = many(tmp_path / "a.mp4", gop=20)
    source = AvSource(path)
    decoded: list[int] = []
    plain = source._decoded

    def counted():
        for frame in plain():
            decoded.append(frame.pts)
            yield frame

    source._decoded = counted  # type: ignore[method-assign]
    source.keep(TimeRange(Fraction(101, 25), None))
    frames = list(source)
    assert [frame.index for frame in frames] == list(range(101, FRAMES))
    assert read_counter(frames[0].image) == 101
    assert len(decoded) <= HEAD_FRAMES + 20


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.avi"])
def test_the_length_is_from_the_first_frame_to_the_end_of_the_last(name: str, tmp_path: Path) -> None:
    codec = "mpeg4" if name.endswith("avi") else "libx264"
    path = many(tmp_path / name, codec=codec, audio_seconds=6)
    whole, source = told(AvSource(path)), AvSource(path)
    with source:
        length = source.length_seconds()
    # an encoder may leave out a tick of AVI
    expected = (whole[-1][1] + (whole[-1][2] or 0) - whole[0][1]) * source.info.time_base
    assert length is not None and expected >= Fraction(FRAMES, 25) and abs(length - expected) <= Fraction(1, 1000)


def test_a_pattern_begins_at_the_number_of_its_frame() -> None:
    source = PatternSource("test:32x32@10,frames=100")
    source.keep(TimeRange(Fraction(9), Fraction(95, 10)))
    assert [(frame.index, frame.pts) for frame in source] == [(n, n) for n in range(90, 95)]
    assert (source.info.frame_count, source.info.duration_seconds) == (5, 0.5)


def ranges(start: float | None = None, end: float | None = None, duration: float | None = None) -> TimeRange:
    return range_of("a.mp4", lambda: Fraction(10), start=start, end=end, duration=duration)


def test_times_count_from_the_first_frame_or_back_from_the_end() -> None:
    assert ranges(1, 2.5) == TimeRange(Fraction(1), Fraction(5, 2))
    assert ranges(-4, -1) == TimeRange(Fraction(6), Fraction(9))
    assert ranges(-4, duration=0.4) == TimeRange(Fraction(6), Fraction(64, 10))
    assert ranges(-40) == TimeRange(Fraction(0)), "more than there is begins at the start"
    assert ranges(duration=2) == TimeRange(Fraction(0), Fraction(2))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((5, 4), "--end is at 4 s, --start at 5 s"),
        ((-1, -2), "--end is at 8 s, --start at 9 s"),
        ((10,), "--start is at 10 s, the video 10 s long"),
    ],
)
def test_a_part_without_frames_is_refused(given: tuple[float, ...], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        ranges(*given)


def test_an_end_that_is_not_known_cannot_be_counted_from() -> None:
    with pytest.raises(ConfigError, match="its length is unknown; give --start"):
        range_of("a.mp4", lambda: None, start=-1, end=None, duration=None)
