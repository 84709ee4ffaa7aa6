"""Mask videos: every id at its place and every frame with its index and exact time, through file and back."""

from __future__ import annotations

import errno
import os
import signal
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.sinks.sink_helpers import make_frame, timed_frames, video_info
from tests.video.clips import make_clip
from vidseg.errors import SinkError, SourceError, WriteError
from vidseg.frames import Frame, Segmentation, UInt8Array
from vidseg.interfaces import Sink
from vidseg.sinks.mask_sink import MaskVideoSink
from vidseg.sources.mask_reader import read_mask_video

VARIABLE_PTS = [3, 512, 514, 4300, 4301, 9000]
UNIT = Fraction(1, 15360)


def label_map(seed: int, size_hw: tuple[int, int] = (48, 64)) -> UInt8Array:
    """Regions and noise, with every value."""
    rows, columns = np.ogrid[: size_hw[0], : size_hw[1]]
    regions = ((rows // 7) * 31 + (columns // 9) * 3 + seed * 5) % 256
    noise = np.random.default_rng(seed).integers(0, 256, size_hw)
    return np.where(rows < size_hw[0] // 3, noise, regions).astype(np.uint8)


def write(path: Path, frames: list[Frame], size_hw: tuple[int, int] = (48, 64)) -> Path:
    sink = MaskVideoSink(path, video_info(), overwrite=False)
    for frame in frames:
        sink.write(frame, Segmentation(label_map(frame.index, size_hw), frame.index), None)
    sink.close()
    return path


def decoded(path: Path, layout: str = "gray") -> list[UInt8Array]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format=layout) for frame in container.decode(video=0)]


def test_is_a_sink_that_needs_no_picture(tmp_path: Path) -> None:
    sink = MaskVideoSink(tmp_path / "m.mkv", video_info(), overwrite=False)
    assert isinstance(sink, Sink) and not sink.needs_picture
    sink.abort()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("size_hw", [(48, 64), (1, 1), (3, 5), (77, 33)])
def test_every_value_comes_back_exactly(tmp_path: Path, size_hw: tuple[int, int]) -> None:
    path = write(tmp_path / "m.mkv", [make_frame(i, pts=i) for i in range(4)], size_hw)
    back = list(read_mask_video(str(path)))
    assert len(back) == 4
    for index, mask in enumerate(back):
        assert mask.index == index and np.array_equal(mask.load(), label_map(index, size_hw))


def test_other_programs_read_the_ids_as_grey_levels_without_stretching_them(tmp_path: Path) -> None:
    path = write(tmp_path / "m.mkv", [make_frame(0)])
    assert np.array_equal(decoded(path)[0], label_map(0))
    assert np.array_equal(decoded(path, "rgb24")[0][..., 1], label_map(0))
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.color_range == 2  # 0..255, not 16..235


def test_index_and_time_are_exact_for_a_variable_rate_and_skipped_frames(tmp_path: Path) -> None:
    frames = timed_frames(VARIABLE_PTS, UNIT)
    del frames[4]
    back = list(read_mask_video(str(write(tmp_path / "m.mkv", frames))))
    assert [mask.index for mask in back] == [0, 1, 2, 3, 5]
    assert [mask.seconds for mask in back] == [frame.pts * UNIT for frame in frames]
    with av.open(str(tmp_path / "m.mkv")) as container:
        ticks = [frame.pts for frame in container.decode(video=0)]
    assert ticks == [0, 33, 34, 280, 586]


def test_times_below_zero_and_closer_than_a_tick_stay_in_order(tmp_path: Path) -> None:
    frames = timed_frames([-100, -99, -98, 5], UNIT)
    back = list(read_mask_video(str(write(tmp_path / "m.mkv", frames))))
    assert [mask.seconds for mask in back] == [frame.pts * UNIT for frame in frames]
    assert [int(mask.load()[-1, -1]) for mask in back] == [int(label_map(i)[-1, -1]) for i in range(4)]


def test_a_late_start_is_kept(tmp_path: Path) -> None:
    frames = timed_frames([3_000_000, 3_001_001], Fraction(1, 30000))
    back = list(read_mask_video(str(write(tmp_path / "m.mkv", frames))))
    assert [mask.seconds for mask in back] == [100, Fraction(3_001_001, 30000)]


def test_each_row_stands_in_a_text_track(tmp_path: Path) -> None:
    path = write(tmp_path / "m.mkv", timed_frames([0, 1001], Fraction(1, 30000)))
    with av.open(str(path)) as container:
        rows = [bytes(packet).decode() for packet in container.demux(container.streams.subtitles[0]) if packet.size]
        assert container.metadata["VIDSEG_MASKS"] == "1"
        assert container.metadata["VIDSEG_COLUMNS"] == "frame,pts,time_base,seconds,crc32"
    assert [row.rsplit(",", 1)[0] for row in rows] == ["0,0,1/30000,0.000000", "1,1001,1/30000,0.033367"]


def test_a_map_that_is_a_view_or_changes_later_is_written_as_it_was(tmp_path: Path) -> None:
    whole = label_map(1, (96, 128))
    expected = whole[::2, ::-2].copy()
    sink = MaskVideoSink(tmp_path / "m.mkv", video_info(), overwrite=False)
    sink.write(make_frame(0), Segmentation(whole[::2, ::-2], 0), None)
    whole[:] = 0
    sink.close()
    assert np.array_equal(decoded(tmp_path / "m.mkv")[0], expected)


def test_appears_only_when_whole(tmp_path: Path) -> None:
    sink = MaskVideoSink(tmp_path / "m.mkv", video_info(), overwrite=False)
    sink.write(make_frame(0), Segmentation(label_map(0), 0), None)
    assert os.listdir(tmp_path) == ["m.mkv.part"]
    sink.close()
    sink.close()
    assert os.listdir(tmp_path) == ["m.mkv"] and sink.counters == {"frames": 1}
    with pytest.raises(SinkError, match="exists; overwrite it with -y"):
        MaskVideoSink(tmp_path / "m.mkv", video_info(), overwrite=False)


def test_abort_and_no_frames_leave_nothing(tmp_path: Path) -> None:
    sink = MaskVideoSink(tmp_path / "a.mkv", video_info(), overwrite=False)
    sink.write(make_frame(0), Segmentation(label_map(0), 0), None)
    sink.abort()
    sink.abort()
    with pytest.raises(WriteError, match="no frame was written"):
        MaskVideoSink(tmp_path / "b.mkv", video_info(), overwrite=False).close()
    assert os.listdir(tmp_path) == []


def test_masks_of_another_size_are_refused_in_one_line(tmp_path: Path) -> None:
    sink = MaskVideoSink(tmp_path / "m.mkv", video_info(), overwrite=False)
    sink.write(make_frame(0), Segmentation(label_map(0), 0), None)
    with pytest.raises(WriteError, match="frame 1 is 32x20, and the first 64x48; give --save-masks a folder"):
        sink.write(make_frame(1), Segmentation(label_map(1, (20, 32)), 1), None)
    sink.abort()


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = MaskVideoSink(tmp_path / "m.mkv", video_info(), overwrite=False)
    sink.write(make_frame(0), Segmentation(label_map(0), 0), None)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WriteError, match=r"m\.mkv: disk full"):
        sink.close()
    assert os.listdir(tmp_path) == []


def test_a_limit_on_the_size_of_files_ends_in_one_line(tmp_path: Path) -> None:
    import resource

    handler, limits = signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.getrlimit(resource.RLIMIT_FSIZE)
    sink = MaskVideoSink(tmp_path / "m.mkv", video_info(), overwrite=False)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
        with pytest.raises(WriteError, match="exceeds the largest file size allowed"):
            for index in range(200):
                noise = np.random.default_rng(index).integers(0, 256, (48, 64), np.uint8)
                sink.write(make_frame(index), Segmentation(noise, index), None)
            sink.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
        sink.abort()
    assert os.listdir(tmp_path) == []


class TestDamage:
    def test_changed_bytes_never_give_a_wrong_map(self, tmp_path: Path) -> None:
        whole = write(tmp_path / "m.mkv", [make_frame(i, pts=i) for i in range(12)]).read_bytes()
        noticed = 0
        for position in range(200, len(whole) - 40, len(whole) // 25):
            damaged = bytearray(whole)
            for offset in range(30):
                damaged[position + offset] ^= 0x5A
            (tmp_path / "d.mkv").write_bytes(damaged)
            try:
                for mask in read_mask_video(str(tmp_path / "d.mkv")):
                    assert mask.index is not None and np.array_equal(mask.load(), label_map(mask.index))
            except SourceError as error:
                noticed += 1
                assert "\n" not in str(error)
        assert noticed > 15

    def test_a_file_that_is_cut_off_gives_what_it_holds_and_says_so(self, tmp_path: Path) -> None:
        path = write(tmp_path / "m.mkv", [make_frame(i, pts=i) for i in range(12)])
        os.truncate(path, path.stat().st_size * 2 // 3)
        masks = read_mask_video(str(path))
        for index in range(6):
            assert np.array_equal(next(masks).load(), label_map(index))
        with pytest.raises(SourceError, match=r"m\.mkv: is cut off after \d+ masks|damaged"):
            list(masks)

    def test_a_newer_layout_and_no_masks_are_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("vidseg.sinks.mask_sink.VERSION", "2")
        newer = write(tmp_path / "newer.mkv", [make_frame(0)])
        with pytest.raises(SourceError, match=r"masks of layout '2'; this vidseg reads layout 1"):
            next(read_mask_video(str(newer)))
        clip = make_clip(tmp_path / "clip.mkv", frames=2)
        with pytest.raises(SourceError, match=r"is not a mask video \(h264, yuv420p\); accepted: 8-bit grey"):
            next(read_mask_video(str(clip)))
        (tmp_path / "text.mkv").write_text("no video\n" * 20)
        with pytest.raises(SourceError, match="this is a text file"):
            next(read_mask_video(str(tmp_path / "text.mkv")))


def test_a_grey_video_of_someone_else_gives_times(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "grey.mkv", frames=3, codec="ffv1", pix_fmt="gray")
    back = list(read_mask_video(str(path)))
    assert [mask.index for mask in back] == [None] * 3
    assert [mask.seconds for mask in back] == [0, Fraction(40, 1000), Fraction(80, 1000)]
