"""Video files and streams: times, sizes, orientation, damage, and what is said about files that are no video."""

from __future__ import annotations

import os
import random
import socket
import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from tests.video.clips import (
    CORNERS,
    corner_picture,
    counter_picture,
    make_audio,
    make_clip,
    plain_picture,
    read_counter,
)
from vidseg.errors import SourceError
from vidseg.sources import av_open
from vidseg.sources.av_open import stream_options
from vidseg.sources.av_source import AvSource
from vidseg.video import srt_tool

FILES = Path(__file__).parent / "files"


def numbers(source: AvSource) -> list[int]:
    """The counters drawn in all frames."""
    return [read_counter(frame.image) for frame in source]


# --- times ---


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_variable_frame_times_are_exact(tmp_path: Path, ending: str) -> None:
    times = [0, 40, 100, 110, 333, 334, 900]
    with AvSource(make_clip(tmp_path / f"clip.{ending}", pts=times)) as source:
        frames = list(source)
    assert [frame.pts * frame.time_base for frame in frames] == [Fraction(time, 1000) for time in times]
    assert [read_counter(frame.image) for frame in frames] == list(range(7))


def test_frames_of_a_fractional_rate_have_exact_times_and_durations(tmp_path: Path) -> None:
    rate = Fraction(30_000, 1001)
    with AvSource(make_clip(tmp_path / "clip.mp4", frames=5, rate=rate)) as source:
        assert source.info.frame_rate == rate
        for index, frame in enumerate(source):
            assert frame.pts * frame.time_base == index / rate
            assert frame.duration is not None
            assert frame.duration * frame.time_base == 1 / rate


def test_a_start_other_than_zero_is_kept(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", pts=[9000, 12003, 14001], time_base=Fraction(1, 90_000))
    with AvSource(clip) as source:
        assert [frame.pts * frame.time_base * 90_000 for frame in source] == [9000, 12003, 14001]


def test_times_below_zero_are_kept(tmp_path: Path) -> None:
    clip = make_clip(
        tmp_path / "clip.asf", pts=[-80, -40, 0, 40], codec="mpeg4", container_options={"avoid_negative_ts": "disabled"}
    )
    with AvSource(clip) as source:
        assert [frame.seconds for frame in source] == [-0.08, -0.04, 0.0, 0.04]
        assert source.counters == {}


def test_b_frames_come_in_the_order_of_presentation(tmp_path: Path) -> None:
    with AvSource(make_clip(tmp_path / "clip.mp4", frames=30, bframes=3)) as source:
        frames = list(source)
    assert [read_counter(frame.image) for frame in frames] == list(range(30))
    assert [frame.pts * frame.time_base for frame in frames] == [Fraction(i, 25) for i in range(30)]


def test_b_frames_in_avi_have_even_steps_though_it_holds_no_times(tmp_path: Path) -> None:
    with AvSource(make_clip(tmp_path / "clip.avi", frames=30, bframes=3)) as source:
        frames = list(source)
        assert source.counters == {}
    assert [read_counter(frame.image) for frame in frames] == list(range(30))
    # in step with the audio, which counts from zero
    assert [frame.pts * frame.time_base for frame in frames] == [Fraction(number, 25) for number in range(30)]


def test_b_frames_in_a_real_avi_have_even_steps() -> None:
    with AvSource(FILES / "h264_bframes_real.avi") as source:
        frames = list(source)
        assert source.counters == {}
    assert len(frames) == 58
    # the decoder holds two frames back, which are no part of the film; one place is empty, and all end with the last
    assert frames[-1].pts * frames[-1].time_base == Fraction(58, 30)
    assert {(after.pts - before.pts) * after.time_base for before, after in pairwise(frames)} == {Fraction(1, 30)}


def test_an_avi_with_b_frames_is_gone_on_with_in_the_middle(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.avi", frames=30, bframes=3, gop=6)
    with AvSource(clip) as source:
        frames = iter(source)
        before = [next(frames).pts for _ in range(17)]
        state = source.state()
        behind = [frame.pts for frame in frames]
    with AvSource(clip) as source:
        source.restore(state)
        assert [frame.pts for frame in source] == behind
    assert len(before + behind) == 30


def test_times_of_an_mp4_that_counts_its_packets_become_even(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "whole.mp4", frames=30, bframes=2)
    with av.open(str(clip)) as whole, av.open(str(tmp_path / "clip.mp4"), "w") as output:
        stream = output.add_stream_from_template(whole.streams.video[0])
        for packet in whole.demux(video=0):
            if packet.size:
                packet.dts += round(Fraction(2, 25) / packet.time_base)
                packet.pts, packet.stream = packet.dts, stream
                output.mux(packet)
    with AvSource(tmp_path / "clip.mp4") as source:
        frames = list(source)
    steps = [(after.pts - before.pts) * after.time_base for before, after in pairwise(frames)]
    assert len(frames) == 30 and steps[5:] == [Fraction(1, 25)] * 24


def test_frames_without_times_are_spaced_by_the_frame_rate(tmp_path: Path) -> None:
    with AvSource(make_clip(tmp_path / "clip.h264", frames=6)) as source:
        frames = list(source)
    assert [frame.seconds for frame in frames] == pytest.approx([i / 25 for i in range(6)])
    assert source.counters == {"guessed_pts": 6}


def test_two_recordings_in_one_file_keep_running_forward(tmp_path: Path) -> None:
    first = make_clip(tmp_path / "a.ts", frames=40).read_bytes()
    (tmp_path / "both.ts").write_bytes(first + first)
    with AvSource(tmp_path / "both.ts") as source:
        frames = list(source)
    assert [read_counter(frame.image) for frame in frames] == [*range(40), *range(40)]
    assert {after.pts - before.pts for before, after in pairwise(frames)} == {3600}
    assert source.counters["non_monotonic_pts"] == 1


# --- what is known beforehand ---


def test_info_of_a_file(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=20, rate=10, audio_seconds=0.3)
    with AvSource(clip) as source:
        info = source.info
    assert (info.frame_rate, info.frame_count, info.duration_seconds) == (10, 20, 2.0)
    assert (info.live, info.still, info.notes) == (False, False, ())
    assert info.audio_path == str(clip)


def test_a_file_without_audio_names_no_audio(tmp_path: Path) -> None:
    with AvSource(make_clip(tmp_path / "clip.mp4")) as source:
        assert source.info.audio_path is None


def test_audio_beside_the_picture_changes_nothing_in_the_frames(tmp_path: Path) -> None:
    with AvSource(make_clip(tmp_path / "clip.mp4", frames=25, audio_seconds=2)) as source:
        assert numbers(source) == list(range(25))
        assert source.counters == {}


def test_of_two_video_streams_the_larger_is_read(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "two.mkv"), "w") as output:
        for width, height in ((32, 24), (96, 64)):
            stream = output.add_stream("libx264", rate=25)
            stream.width, stream.height = width, height
        for index in range(3):
            for stream in output.streams.video:
                picture = counter_picture(index, stream.width, stream.height)
                output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        for stream in output.streams.video:
            output.mux(stream.encode(None))
    with AvSource(tmp_path / "two.mkv") as source:
        assert (source.info.width, source.info.height) == (96, 64)
        assert numbers(source) == [0, 1, 2]


def test_a_large_cover_picture_that_calls_itself_a_film_is_not_read(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "cover.mkv"), "w") as output:
        cover = output.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 300, 450, "yuvj420p"
        film = output.add_stream("libx264", rate=25)
        film.width, film.height = 64, 48
        output.mux(cover.encode(av.VideoFrame.from_ndarray(counter_picture(1, 300, 450), format="rgb24")))
        output.mux(cover.encode(None))
        for index in range(12):
            output.mux(film.encode(av.VideoFrame.from_ndarray(counter_picture(index, 64, 48), format="rgb24")))
        output.mux(film.encode(None))
    with AvSource(tmp_path / "cover.mkv") as source:
        assert (source.info.width, source.info.height) == (64, 48)
        assert numbers(source) == list(range(12))


@pytest.mark.parametrize("name", ["Ünïcødé 動画.mp4", "two\nlines.mp4", "10:30.mp4", "-.mp4", "a%20b?c#d.mp4"])
def test_odd_file_names_are_read(tmp_path: Path, name: str) -> None:
    clip = make_clip(tmp_path / "plain.mp4", frames=2)
    clip.rename(tmp_path / name)
    with AvSource(tmp_path / name) as source:
        assert numbers(source) == [0, 1]


def test_a_relative_name_with_a_colon_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_clip(tmp_path / "plain.mp4", frames=2).rename(tmp_path / "10:30.mp4")
    monkeypatch.chdir(tmp_path)
    with AvSource("10:30.mp4") as source:
        assert numbers(source) == [0, 1]


def test_a_file_url_is_a_path(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "with space.mp4", frames=2)
    with AvSource(clip.as_uri()) as source:
        assert numbers(source) == [0, 1]


def test_a_name_with_a_line_break_stays_one_line_in_messages(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        AvSource(tmp_path / "two\nlines.mp4")
    assert "two\\nlines.mp4: no such file" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_tags_in_another_encoding_do_not_matter(tmp_path: Path) -> None:
    clip = tmp_path / "clip.avi"
    with av.open(str(clip), "w") as output:
        output.metadata["title"] = "MARK"
        stream = output.add_stream("mpeg4", rate=25)
        stream.width, stream.height = 64, 48
        output.mux(stream.encode(av.VideoFrame.from_ndarray(counter_picture(1, 64, 48), format="rgb24")))
        output.mux(stream.encode(None))
    data = clip.read_bytes()
    assert b"MARK" in data
    clip.write_bytes(data.replace(b"MARK", b"\xe9t\xe9\xff"))
    with AvSource(clip) as source:
        assert numbers(source) == [1]


# --- sizes and orientation ---


@pytest.mark.parametrize(
    ("size", "codec", "pix_fmt"),
    [
        ((101, 77), "libx264", "yuv444p"),
        ((101, 77), "mjpeg", "yuvj420p"),
        ((16, 16), "libx264", "yuv420p"),
        ((101, 77), "rawvideo", "rgb24"),
    ],
)
def test_any_size_comes_out_whole(tmp_path: Path, size: tuple[int, int], codec: str, pix_fmt: str) -> None:
    with AvSource(make_clip(tmp_path / "clip.mov", size=size, codec=codec, pix_fmt=pix_fmt, frames=5)) as source:
        assert (source.info.width, source.info.height) == size
        frames = list(source)
    for index, frame in enumerate(frames):
        assert frame.size_hw == size[::-1]
        assert frame.image.flags.c_contiguous
        difference = np.abs(frame.image.astype(int) - counter_picture(index, *size))
        # Blocks of 2x2 share a colour, so an edge may be off; most must fit.
        assert np.percentile(difference, 95) <= 6


def test_a_clip_of_one_frame(tmp_path: Path) -> None:
    with AvSource(make_clip(tmp_path / "clip.mp4", frames=1)) as source:
        assert numbers(source) == [0]
        assert source.info.frame_count == 1


# Where the quarters that were drawn at the corners are seen.
TURNS = {
    90: {"top_left": "bottom_left", "top_right": "top_left", "bottom_left": "bottom_right"},
    180: {"top_left": "bottom_right", "top_right": "bottom_left", "bottom_left": "top_right"},
    270: {"top_left": "top_right", "top_right": "bottom_right", "bottom_left": "top_left"},
}


def corner(image: np.ndarray, name: str) -> np.ndarray:
    height, width = image.shape[:2]
    y = height // 4 if "top" in name else height * 3 // 4
    x = width // 4 if "left" in name else width * 3 // 4
    return image[y, x].astype(int)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotated_clips_come_out_upright(tmp_path: Path, degrees: int) -> None:
    clip = make_clip(tmp_path / "clip.mp4", rotation=degrees, painter=corner_picture, frames=2)
    with AvSource(clip) as source:
        size = (64, 48) if degrees == 180 else (48, 64)
        assert (source.info.width, source.info.height) == size
        assert [note for note in source.info.notes if "rotated" in note]
        for frame in source:
            assert frame.size_hw == size[::-1]
            assert frame.image.flags.c_contiguous
            for drawn, seen in TURNS[degrees].items():
                np.testing.assert_allclose(corner(frame.image, seen), CORNERS[drawn], atol=12)


def test_a_mirrored_clip_comes_out_unmirrored(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "clip.mp4"), "w") as output:
        stream = output.add_stream("libx264", rate=25)
        stream.width, stream.height = 64, 48
        stream.set_display_rotation(0, hflip=True)
        output.mux(stream.encode(av.VideoFrame.from_ndarray(corner_picture(0, 64, 48), format="rgb24")))
        output.mux(stream.encode(None))
    with AvSource(tmp_path / "clip.mp4") as source:
        assert source.info.notes == ("mirrored left to right, as the source specifies",)
        image = next(iter(source)).image
    np.testing.assert_allclose(corner(image, "top_right"), CORNERS["top_left"], atol=12)
    np.testing.assert_allclose(corner(image, "bottom_right"), CORNERS["bottom_left"], atol=12)


@pytest.mark.parametrize(
    ("stored", "aspect", "square"),
    [
        ((72, 58), Fraction(16, 15), (76, 58)),
        ((72, 48), Fraction(8, 9), (64, 48)),
        ((64, 48), Fraction(4, 3), (86, 48)),
    ],
)
def test_pixels_that_are_not_square_become_square_and_one_note_says_so(
    tmp_path: Path, stored: tuple[int, int], aspect: Fraction, square: tuple[int, int]
) -> None:
    clip = make_clip(tmp_path / "clip.mp4", size=stored, sample_aspect_ratio=aspect, frames=3)
    with AvSource(clip) as source:
        assert (source.info.width, source.info.height) == square
        assert source.info.notes == ("{}x{} non-square pixels became {}x{} square pixels".format(*stored, *square),)
        frames = list(source)
        assert source.counters == {}
    assert {frame.size_hw for frame in frames} == {square[::-1]}
    assert [read_counter(frame.image) for frame in frames] == [0, 1, 2]


def test_pixels_of_a_turned_clip_are_square_as_it_is_shown(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mov", sample_aspect_ratio=Fraction(4, 3), painter=corner_picture, rotation=90)
    with AvSource(clip) as source:
        assert (source.info.width, source.info.height) == (48, 86)
        assert source.info.notes[-1] == "48x64 non-square pixels became 48x86 square pixels"
        assert next(iter(source)).size_hw == (86, 48)


def test_pixels_of_an_impossible_shape_are_taken_for_square(tmp_path: Path) -> None:
    with AvSource(make_clip(tmp_path / "clip.mp4", sample_aspect_ratio=Fraction(9))) as source:
        assert (source.info.width, source.info.height) == (64, 48)
        assert source.info.notes == ("the header gives a pixel aspect ratio of 9:1; treated as square",)


def test_a_broadcast_that_changes_its_shape_in_one_size_keeps_its_proportions(tmp_path: Path) -> None:
    painter = plain_picture((200, 200, 200))
    narrow, wide = (
        make_clip(tmp_path / f"{name}.ts", frames=20, painter=painter, sample_aspect_ratio=aspect).read_bytes()
        for name, aspect in (("a", Fraction(1)), ("b", Fraction(4, 3)))
    )
    (tmp_path / "both.ts").write_bytes(narrow + wide)
    with AvSource(tmp_path / "both.ts") as source:
        frames = list(source)
    assert {frame.size_hw for frame in frames} == {(48, 64)}
    bars = [int((frame.image[:, 32].mean(axis=1) < 60).sum()) for frame in frames]
    assert bars[:20] == [0] * 20
    assert bars[20:] == [12] * 20  # 86x48 in 64x48


def test_a_change_of_size_is_scaled_to_the_first_size(tmp_path: Path) -> None:
    small = make_clip(tmp_path / "a.ts", frames=20).read_bytes()
    large = make_clip(tmp_path / "b.ts", frames=20, size=(128, 96)).read_bytes()
    (tmp_path / "both.ts").write_bytes(small + large)
    with AvSource(tmp_path / "both.ts") as source:
        frames = list(source)
    assert {frame.size_hw for frame in frames} == {(48, 64)}
    assert [read_counter(frame.image) for frame in frames] == [*range(20), *range(20)]
    assert source.counters["rescaled_frames"] == 20


# --- damage ---


@pytest.mark.parametrize(("ending", "codec"), [("mkv", "libx264"), ("avi", "mpeg4"), ("webm", "libvpx-vp9")])
def test_a_truncated_file_gives_what_there_is_and_says_so(tmp_path: Path, ending: str, codec: str) -> None:
    whole = make_clip(tmp_path / f"whole.{ending}", frames=60, codec=codec, size=(160, 120)).read_bytes()
    (tmp_path / f"half.{ending}").write_bytes(whole[: len(whole) // 2])
    with AvSource(tmp_path / f"half.{ending}") as source:
        found = numbers(source)
    assert 5 <= len(found) < 50
    assert found == list(range(len(found)))
    assert source.counters["truncated"] == 1


def test_truncation_is_noticed_beside_audio(tmp_path: Path) -> None:
    for name, options in (("whole.mkv", {}), ("whole.mp4", {"movflags": "faststart"})):
        clip = make_clip(tmp_path / name, frames=60, audio_seconds=2.4, container_options=options)
        half = tmp_path / f"half_{name}"
        half.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
        with AvSource(half) as source:
            found = numbers(source)
        assert found[:10] == list(range(10))
        assert source.counters["truncated"] == 1


def test_a_truncated_transport_stream_gives_what_there_is(tmp_path: Path) -> None:
    whole = make_clip(tmp_path / "whole.ts", frames=60).read_bytes()
    (tmp_path / "half.ts").write_bytes(whole[: len(whole) // 2])
    with AvSource(tmp_path / "half.ts") as source:
        found = numbers(source)
    assert len(found) >= 20
    assert found == list(range(len(found)))


def test_an_mp4_without_its_index_is_explained(tmp_path: Path) -> None:
    whole = make_clip(tmp_path / "whole.mp4", frames=60).read_bytes()
    (tmp_path / "half.mp4").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceError, match=r"half\.mp4: this MP4 has no index \(moov\).* cut off"):
        AvSource(tmp_path / "half.mp4")


@pytest.mark.parametrize("ending", ["mp4", "ts"])
def test_damage_in_the_middle_is_skipped_and_counted(tmp_path: Path, ending: str) -> None:
    clip = make_clip(tmp_path / f"clip.{ending}", frames=60, size=(160, 120), gop=10)
    data = bytearray(clip.read_bytes())
    start = len(data) * 2 // 5
    data[start : start + len(data) // 20] = random.Random(1).randbytes(len(data) // 20)
    clip.write_bytes(data)
    with AvSource(clip) as source:
        frames = list(source)
    found = [read_counter(frame.image) for frame in frames]
    assert found[:10] == list(range(10))
    assert found[-20:] == list(range(40, 60))
    assert len(found) < 60
    assert [frame.index for frame in frames] == list(range(len(frames)))
    if ending == "mp4":
        assert source.counters["corrupt_packets"] >= 1


def test_nothing_is_printed_about_damage(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=30)
    data = bytearray(clip.read_bytes())
    data[len(data) // 3 : len(data) // 2] = random.Random(1).randbytes(len(data) // 2 - len(data) // 3)
    clip.write_bytes(data)
    with AvSource(clip) as source:
        list(source)
    assert capfd.readouterr() == ("", "")


def test_a_file_of_which_no_frame_can_be_decoded_is_an_error(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=3)
    data = clip.read_bytes()
    start = data.index(b"mdat") + 4
    end = data.index(b"moov") - 4
    clip.write_bytes(data[:start] + bytes(end - start) + data[end:])
    with pytest.raises(SourceError, match=r"clip\.mp4: no frame could be decoded \(3 h264 packets read\)"):
        AvSource(clip)


class Trouble:
    """A container that gives some packets and then raises, once per call of demux(), before it goes on."""

    def __init__(self, container: av.container.InputContainer, errors: list[Exception], packets: int) -> None:
        self._container, self._errors, self._packets = container, errors, packets
        self.before_error: Callable[[], None] = lambda: None
        self._source: Iterator[av.Packet] | None = None

    def __getattr__(self, name: str) -> object:
        return getattr(self._container, name)

    def demux(self, stream: av.VideoStream) -> Iterator[av.Packet]:
        self._source = self._source or self._container.demux(stream)
        for count, packet in enumerate(self._source, 1):
            yield packet
            if count == self._packets and self._errors:
                self.before_error()
                raise self._errors.pop()


@pytest.fixture
def trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[AvSource, Trouble]]:
    """Opens a clip of 20 frames whose reading fails with the given errors."""
    clip = make_clip(tmp_path / "clip.mkv", frames=20, options={"tune": "zerolatency"})
    plain_open = av.open
    opened: list[Trouble] = []

    def open_source(*errors: Exception, packets: int = 5) -> tuple[AvSource, Trouble]:
        def open_with_trouble(*args: object, **options: object) -> Trouble:
            opened.append(Trouble(plain_open(*args, **options), list(errors), packets))
            return opened[-1]

        monkeypatch.setattr(av, "open", open_with_trouble)
        source = AvSource(clip)
        return source, opened[-1]

    return open_source


def test_reading_goes_on_behind_a_damaged_place(trouble: Callable[..., tuple[AvSource, Trouble]]) -> None:
    source, _ = trouble(*(av.error.InvalidDataError(1, "damaged") for _ in range(3)))
    assert numbers(source) == list(range(20))
    assert source.counters == {"corrupt_packets": 3}


def test_reading_that_fails_again_and_again_ends_and_counts_as_truncated(
    trouble: Callable[..., tuple[AvSource, Trouble]], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, container = trouble(av.error.InvalidDataError(1, "damaged"))

    def only_errors(stream: av.VideoStream) -> Iterator[av.Packet]:
        raise av.error.InvalidDataError(1, "damaged")

    container.before_error = lambda: setattr(container, "demux", only_errors)
    assert numbers(source) == [0, 1, 2, 3, 4]
    assert source.counters == {"corrupt_packets": 100, "truncated": 1}


def test_a_failing_disk_is_an_error(trouble: Callable[..., tuple[AvSource, Trouble]]) -> None:
    source, _ = trouble(av.error.OSError(5, "Input/output error"))
    frames = iter(source)
    with pytest.raises(SourceError, match=r"clip\.mkv: reading failed: Input/output error"):
        list(frames)


def test_a_read_that_fails_because_of_the_interrupt_ends_quietly(
    trouble: Callable[..., tuple[AvSource, Trouble]],
) -> None:
    source, container = trouble(av.error.ExitError(1, "Immediate exit requested"))
    container.before_error = source.interrupt
    assert len(numbers(source)) <= 5


# --- no video ---


def test_audio_alone_is_no_video(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"sound\.m4a: no video stream \(1 audio stream found\)"):
        AvSource(make_audio(tmp_path / "sound.m4a"))


def test_a_cover_picture_is_no_video(tmp_path: Path) -> None:
    song = make_audio(tmp_path / "song.mp3", codec="libmp3lame")
    with av.open(str(tmp_path / "cover.png"), "w", format="image2") as output:
        stream = output.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "rgb24"
        output.mux(stream.encode(av.VideoFrame.from_ndarray(corner_picture(0, 64, 48), format="rgb24")))
    picture = b"\0image/png\0\x03\0" + (tmp_path / "cover.png").read_bytes()
    frame = b"APIC" + len(picture).to_bytes(4, "big") + b"\0\0" + picture
    size = bytes(len(frame) >> shift & 127 for shift in (21, 14, 7, 0))
    song.write_bytes(b"ID3\x03\0\0" + size + frame + song.read_bytes())
    with av.open(str(song)) as check:
        assert len(check.streams.video) == 1
    with pytest.raises(SourceError, match=r"no video stream \(1 audio stream, 1 cover picture found\)"):
        AvSource(song)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"clip\.mp4: the file is empty"),
        (b"hello\nworld\n" * 50, r"clip\.mp4: this is a text file, not a video"),
        ("größer\n".encode() * 700, r"clip\.mp4: this is a text file, not a video"),
        (random.Random(0).randbytes(5000), r"clip\.mp4: not a video that FFmpeg can read"),
    ],
    ids=["empty", "text", "text longer than what is looked at", "noise"],
)
def test_files_that_are_no_video_are_refused_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "clip.mp4").write_bytes(content)
    with pytest.raises(SourceError, match=message) as caught:
        AvSource(tmp_path / "clip.mp4")
    assert "\n" not in str(caught.value)


def test_a_missing_file_a_folder_and_an_impossible_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such file"):
        AvSource(tmp_path / "nothing.mp4")
    with pytest.raises(SourceError, match="this is a folder"):
        AvSource(tmp_path)
    with pytest.raises(SourceError, match="not a valid file name"):
        AvSource("a\0b.mp4")
    with pytest.raises(SourceError, match="name too long"):
        AvSource("x" * 5000)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_refused(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=1)
    clip.chmod(0)
    with pytest.raises(SourceError, match="no permission to read"):
        AvSource(clip)


def test_lack_of_permission_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=1)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(SourceError, match=r"clip\.mp4: no permission to read this file"):
        AvSource(clip)


# --- network ---


def test_no_credentials_in_messages() -> None:
    for address in (
        "rtsp://joe:s3cret@127.0.0.1:1/cam",
        "http://joe:s3cret@127.0.0.1:1/a?token=s3cret",
        "foo://s3cret@x",
    ):
        with pytest.raises(SourceError) as caught:
            AvSource(address, open_timeout=2, read_timeout=2)
        assert "s3cret" not in str(caught.value)
        assert "joe" not in str(caught.value)
        assert str(caught.value).startswith(address.partition("://")[0] + "://***@")
        assert caught.value.__cause__ is None


def test_a_scheme_that_this_ffmpeg_was_built_without_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise av.error.ProtocolNotFoundError(0, "x")

    monkeypatch.setattr(av_open.av, "open", unknown)
    monkeypatch.setattr(srt_tool, "find_tool", lambda: None)
    with pytest.raises(SourceError, match=r"^srt://camera:1: .* built without srt; install srt-live-transmit \(.*\)$"):
        AvSource("srt://camera:1")


@pytest.mark.parametrize(
    ("scheme", "quick"), [("rtsp", True), ("rtmp", True), ("udp", True), ("http", False), ("", False)]
)
def test_live_streams_are_looked_at_for_a_short_time_only(scheme: str, quick: bool) -> None:
    assert ("fpsprobesize" in stream_options(scheme)) is quick


def test_an_unknown_kind_of_url_names_the_known_ones() -> None:
    with pytest.raises(SourceError, match=r"foo://x: unknown kind of URL; known: .*rtsp"):
        AvSource("foo://x")


@pytest.fixture
def udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Broadcast:
    """Sends counter pictures as MPEG-TS over UDP from a thread until stopped."""

    def __init__(self, port: int) -> None:
        self.stopped = threading.Event()
        self._port = port
        self._thread = threading.Thread(target=self._send)
        self._thread.start()

    def stop(self) -> None:
        self.stopped.set()
        self._thread.join()

    def _send(self) -> None:
        with av.open(f"udp://127.0.0.1:{self._port}?pkt_size=1316", "w", format="mpegts") as output:
            stream = output.add_stream("libx264", rate=25, options={"tune": "zerolatency", "g": "5"})
            stream.width, stream.height = 64, 48
            index = 0
            # The pace is what a camera would do; nothing is concluded from it.
            while not self.stopped.wait(0.01):
                picture = counter_picture(index % 4096, 64, 48)
                output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
                index += 1


@pytest.fixture
def broadcast(udp_port: int) -> Iterator[Broadcast]:
    sender = Broadcast(udp_port)
    yield sender
    sender.stop()


@pytest.mark.timeout(60)
def test_a_live_stream_is_read_until_it_falls_silent(udp_port: int, broadcast: Broadcast) -> None:
    options = {"analyzeduration": "300000"}
    with AvSource(f"udp://127.0.0.1:{udp_port}", open_timeout=10, read_timeout=0.5, options=options) as source:
        assert source.info.live
        assert source.info.duration_seconds is None
        assert source.info.audio_path is None
        frames = iter(source)
        found = [read_counter(next(frames).image) for _ in range(10)]
        assert found == list(range(found[0], found[0] + 10))
        broadcast.stop()
        with pytest.raises(SourceError, match=r"udp://127\.0\.0\.1:\d+: no data for 0\.5 seconds"):
            list(frames)


@pytest.mark.timeout(60)
def test_interrupt_ends_the_wait_for_a_silent_stream_without_an_error(udp_port: int, broadcast: Broadcast) -> None:
    options = {"analyzeduration": "300000"}
    with AvSource(f"udp://127.0.0.1:{udp_port}", open_timeout=10, read_timeout=0.5, options=options) as source:
        reader_done: list[int] = []
        reader = threading.Thread(target=lambda: reader_done.append(sum(1 for _ in source)))
        reader.start()
        broadcast.stop()
        source.interrupt()
        reader.join()
        assert len(reader_done) == 1


def test_a_stream_that_never_speaks_is_given_up_after_the_timeout(udp_port: int) -> None:
    with pytest.raises(SourceError, match=r"no answer within 0\.3 seconds"):
        AvSource(f"udp://127.0.0.1:{udp_port}", open_timeout=0.3, read_timeout=0.3)
