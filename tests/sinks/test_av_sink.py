"""Video files: times, colours, sizes, containers, and files that appear only when they are whole."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import textwrap
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

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
from tests.video.clips import corner_picture, counter_picture, plain_picture, read_counter
from vidseg.errors import SinkError, WriteError
from vidseg.interfaces import Sink
from vidseg.sinks.av_sink import AvSink
from vidseg.sinks.gif_sink import GifSink
from vidseg.video.encoders import EncodeOptions

ROOT = Path(__file__).parents[2]
NTSC = Fraction(30000, 1001)
VARIABLE_PTS = [0, 512, 600, 4300, 4301, 9000]
VARIABLE_DURATIONS = [512, 88, 3700, 1, 4699, 777]


def stream_of(path: Path) -> dict[str, object]:
    """What the file says about its video stream."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        return {
            "codec": context.name,
            "pix_fmt": context.pix_fmt,
            "size": (context.width, context.height),
            "time_base": stream.time_base,
            "duration": stream.duration and stream.duration * (stream.time_base or 0),
            "tags": (context.color_range, context.colorspace, context.color_primaries, context.color_trc),
            "codec_tag": context.codec_tag.strip("\0 "),
        }


def test_is_a_sink_that_needs_pictures(tmp_path: Path) -> None:
    sink = AvSink(tmp_path / "a.mp4", video_info(), overwrite=False)
    assert isinstance(sink, Sink)
    assert sink.needs_picture
    sink.abort()


class TestTimes:
    def test_ntsc_rate_keeps_every_pts_and_the_duration(self, tmp_path: Path) -> None:
        info = video_info(time_base=Fraction(1, 30000), frame_rate=NTSC)
        pts = [1001 * i for i in range(20)]
        write_all(
            AvSink(tmp_path / "a.mp4", info, overwrite=False),
            timed_frames(pts, info.time_base, [1001] * 20),
        )
        assert frame_times(tmp_path / "a.mp4") == [Fraction(p, 30000) for p in pts]
        found = stream_of(tmp_path / "a.mp4")
        assert found["duration"] == 20 / NTSC
        assert found["time_base"] == info.time_base

    @pytest.mark.parametrize("first", [0, 700], ids=["from zero", "late start"])
    @pytest.mark.parametrize("ending", ["mp4", "mov"])
    def test_variable_rate_keeps_every_pts_and_the_duration(self, tmp_path: Path, ending: str, first: int) -> None:
        time_base = Fraction(1, 15360)
        path = tmp_path / f"a.{ending}"
        pts = [first + p for p in VARIABLE_PTS]
        sink = AvSink(path, video_info(time_base=time_base, frame_rate=Fraction(10)), overwrite=False)
        write_all(sink, timed_frames(pts, time_base, VARIABLE_DURATIONS))
        assert frame_times(path) == [p * time_base for p in pts]
        assert stream_of(path)["duration"] == (9000 + 777) * time_base
        assert sink.counters["pts_fixed"] == 0

    @pytest.mark.parametrize("ending", ["mkv", "ts", "webm", "gif"])
    def test_other_containers_round_to_their_tick(self, tmp_path: Path, ending: str) -> None:
        time_base = Fraction(1, 15360)
        tick = {"mkv": Fraction(1, 1000), "ts": Fraction(1, 90000), "webm": Fraction(1, 1000), "gif": Fraction(1, 100)}
        path = tmp_path / f"a.{ending}"
        pts = [0, 700, 1400, 5000, 9000]
        info = video_info(time_base=time_base)
        kind = GifSink if ending == "gif" else AvSink
        write_all(kind(path, info, overwrite=False), timed_frames(pts, time_base, [700, 700, 3600, 4000, 700]))
        wanted = [p * time_base for p in pts]
        assert all(abs(a - b) <= tick[ending] / 2 for a, b in zip(frame_times(path), wanted, strict=True))

    def test_avi_has_one_frame_per_tick_of_its_rate(self, tmp_path: Path) -> None:
        info = video_info(time_base=Fraction(1, 30000), frame_rate=NTSC)
        frames = timed_frames([1001 * i for i in range(8)], info.time_base, [1001] * 8)
        write_all(AvSink(tmp_path / "a.avi", info, overwrite=False, encode=EncodeOptions(codec="mjpeg")), frames)
        assert frame_times(tmp_path / "a.avi") == [i / NTSC for i in range(8)]

    def test_unknown_last_duration_follows_the_rate(self, tmp_path: Path) -> None:
        write_all(AvSink(tmp_path / "a.mp4", video_info(), overwrite=False), timed_frames([0, 1, 2], Fraction(1, 25)))
        assert stream_of(tmp_path / "a.mp4")["duration"] == Fraction(3, 25)

    def test_unknown_rate_and_duration_repeat_the_last_step(self, tmp_path: Path) -> None:
        info = video_info(time_base=Fraction(1, 1000), frame_rate=None)
        write_all(AvSink(tmp_path / "a.mp4", info, overwrite=False), timed_frames([0, 100, 350], info.time_base))
        assert stream_of(tmp_path / "a.mp4")["duration"] == Fraction(600, 1000)

    def test_repeated_and_backward_times_move_to_the_next_tick(self, tmp_path: Path) -> None:
        sink = AvSink(tmp_path / "a.mp4", video_info(time_base=Fraction(1, 1000)), overwrite=False)
        write_all(sink, timed_frames([0, 40, 40, 30, 120], Fraction(1, 1000), [40] * 5))
        assert frame_times(tmp_path / "a.mp4") == [Fraction(p, 1000) for p in (0, 40, 41, 42, 120)]
        assert sink.counters["pts_fixed"] == 2
        assert any("did not increase" in note for note in sink.notes)

    def test_negative_start_is_moved_to_zero_and_no_frame_is_lost(self, tmp_path: Path) -> None:
        sink = AvSink(tmp_path / "a.mp4", video_info(time_base=Fraction(1, 1000)), overwrite=False)
        write_all(sink, timed_frames([-80, -40, 0, 40], Fraction(1, 1000), [40] * 4))
        assert frame_times(tmp_path / "a.mp4") == [Fraction(p, 1000) for p in (0, 40, 80, 120)]
        assert any("start at 0" in note for note in sink.notes)

    @pytest.mark.parametrize(
        ("first", "live", "rebase", "wanted"),
        [
            (50, False, None, 2),
            (50, False, True, 0),
            (50, True, None, 0),
            (900_000, False, None, 0),
            (300, True, False, 12),
        ],
    )
    def test_late_start_is_kept_unless_live_or_far_or_told(
        self, tmp_path: Path, first: int, live: bool, rebase: bool | None, wanted: int
    ) -> None:
        sink = AvSink(tmp_path / "a.mp4", video_info(live=live), overwrite=False, rebase=rebase)
        write_all(sink, timed_frames([first, first + 1], Fraction(1, 25)))
        assert frame_times(tmp_path / "a.mp4") == [Fraction(wanted), wanted + Fraction(1, 25)]

    @pytest.mark.parametrize("time_base", [Fraction(1), Fraction(1, 1_000_000_000), Fraction(1001, 30000)])
    def test_coarse_and_fine_time_units(self, tmp_path: Path, time_base: Fraction) -> None:
        pts = [0, max(1, round(Fraction(1, 20) / time_base)), 3 * max(1, round(Fraction(1, 20) / time_base))]
        sink = AvSink(tmp_path / "a.mp4", video_info(time_base=time_base, frame_rate=None), overwrite=False)
        write_all(sink, timed_frames(pts, time_base))
        assert frame_times(tmp_path / "a.mp4") == [p * time_base for p in pts]


class TestPicture:
    @pytest.mark.parametrize("ending", ["mp4", "m4v", "mkv", "webm", "mov", "avi", "ts", "gif"])
    def test_every_container_holds_all_frames_in_order(self, tmp_path: Path, ending: str) -> None:
        path = tmp_path / f"a.{ending}"
        kind = GifSink if ending == "gif" else AvSink
        write_all(kind(path, video_info(), overwrite=False), (make_frame(i) for i in range(12)))
        assert [read_counter(image) for image in pictures(path)] == list(range(12))

    @pytest.mark.parametrize("ending", ["mp4", "mkv", "webm", "mov", "avi", "ts"])
    def test_opencv_plays_it(self, tmp_path: Path, ending: str) -> None:
        path = tmp_path / f"a.{ending}"
        write_all(AvSink(path, video_info(), overwrite=False), (make_frame(i) for i in range(5)))
        capture = cv2.VideoCapture(str(path))
        seen = []
        while (got := capture.read())[0]:
            seen.append(read_counter(got[1]))
        capture.release()
        assert seen == list(range(5))

    @pytest.mark.parametrize(
        ("codec", "ending", "decoder", "pix_fmt"),
        [
            ("h264", "mp4", "h264", "yuv420p"),
            ("hevc", "mp4", "hevc", "yuv420p"),
            ("h265", "mkv", "hevc", "yuv420p"),
            ("av1", "mp4", "libdav1d", "yuv420p"),
            ("vp9", "mp4", "vp9", "yuv420p"),
            ("mjpeg", "avi", "mjpeg", "yuvj420p"),
            ("ffv1", "mkv", "ffv1", "bgr0"),
            ("prores", "mov", "prores", "yuv422p10le"),
            ("mpeg4", "avi", "mpeg4", "yuv420p"),
        ],
    )
    def test_every_codec(self, tmp_path: Path, codec: str, ending: str, decoder: str, pix_fmt: str) -> None:
        path = tmp_path / f"a.{ending}"
        write_all(
            AvSink(path, video_info(), overwrite=False, encode=EncodeOptions(codec=codec)),
            (make_frame(i) for i in range(4)),
        )
        found = stream_of(path)
        assert (found["codec"], found["pix_fmt"]) == (decoder, pix_fmt)
        assert [read_counter(image) for image in pictures(path)] == [0, 1, 2, 3]

    def test_hevc_in_mp4_has_the_tag_that_apple_players_want(self, tmp_path: Path) -> None:
        write_all(
            AvSink(tmp_path / "a.mp4", video_info(), overwrite=False, encode=EncodeOptions(codec="hevc")),
            [make_frame(0)],
        )
        assert stream_of(tmp_path / "a.mp4")["codec_tag"] == "hvc1"

    def test_ffv1_is_lossless(self, tmp_path: Path) -> None:
        image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
        frame = make_frame(0, painter=lambda *_: image)
        write_all(
            AvSink(tmp_path / "a.mkv", video_info(), overwrite=False, encode=EncodeOptions(codec="ffv1")), [frame]
        )
        assert np.array_equal(pictures(tmp_path / "a.mkv")[0], image)

    @pytest.mark.parametrize("size", [(320, 240), (1280, 720)], ids=["SD", "HD"])
    def test_colours_survive_and_tags_name_the_matrix(self, tmp_path: Path, size: tuple[int, int]) -> None:
        info = video_info(*size)
        path = tmp_path / "a.mp4"
        frame = make_frame(0, size=size, painter=corner_picture)
        write_all(AvSink(path, info, overwrite=False, encode=EncodeOptions(crf=10)), [frame])
        matrix = 1 if size[1] >= 720 else 6
        assert stream_of(path)["tags"] == (1, matrix, matrix, matrix)
        result = pictures(path)[0]
        assert mean_difference_of_quarters(result, frame.image) < 3

    def test_prores_frames_carry_the_tags_themselves(self, tmp_path: Path) -> None:
        write_all(
            AvSink(tmp_path / "a.mkv", video_info(), overwrite=False, encode=EncodeOptions(codec="prores")),
            [make_frame(0)],
        )
        with av.open(str(tmp_path / "a.mkv")) as container:
            packet = next(container.demux(video=0))
        # frame header: size, "icpf", 8 bytes, width, height, flags; then primaries, transfer, matrix
        assert list(bytes(packet)[22:25]) == [6, 6, 6]

    def test_x264_threads_work_on_frames_not_slices(self, tmp_path: Path) -> None:
        """Slices are what PyAV asks for unless told; x264 writes its settings into the file."""
        write_all(
            AvSink(tmp_path / "a.mp4", video_info(), overwrite=False, encode=EncodeOptions(threads=2)), [make_frame(0)]
        )
        data = (tmp_path / "a.mp4").read_bytes()
        assert b"sliced_threads=0" in data and b" threads=2 " in data

    def test_jpeg_colours_survive(self, tmp_path: Path) -> None:
        frame = make_frame(0, size=(320, 240), painter=corner_picture)
        write_all(
            AvSink(tmp_path / "a.avi", video_info(320, 240), overwrite=False, encode=EncodeOptions(codec="mjpeg")),
            [frame],
        )
        assert mean_difference_of_quarters(pictures(tmp_path / "a.avi")[0], frame.image) < 3

    def test_first_picture_sets_the_size_not_the_source(self, tmp_path: Path) -> None:
        sink = AvSink(tmp_path / "a.mp4", video_info(), overwrite=False)
        frame = make_frame(0)
        sink.write(frame, nothing_seen(frame), np.concatenate([frame.image, frame.image], axis=1))
        sink.close()
        assert stream_of(tmp_path / "a.mp4")["size"] == (128, 48)

    def test_odd_sides_repeat_the_edge_and_say_so(self, tmp_path: Path) -> None:
        painter = plain_picture((200, 60, 60))
        sink = AvSink(tmp_path / "a.mp4", video_info(63, 47), overwrite=False)
        write_all(sink, [make_frame(0, size=(63, 47), painter=painter)])
        result = pictures(tmp_path / "a.mp4")[0]
        assert result.shape == (48, 64, 3)
        assert np.abs(result[-1].astype(int) - (200, 60, 60)).max() < 8
        assert np.abs(result[:, -1].astype(int) - (200, 60, 60)).max() < 8
        assert any("63x47 to 64x48" in note for note in sink.notes)

    @pytest.mark.parametrize(("codec", "ending"), [("mjpeg", "avi"), ("ffv1", "mkv"), ("prores", "mov")])
    def test_odd_sides_stay_where_the_codec_can(self, tmp_path: Path, codec: str, ending: str) -> None:
        sink = AvSink(tmp_path / f"a.{ending}", video_info(63, 47), overwrite=False, encode=EncodeOptions(codec=codec))
        write_all(sink, [make_frame(0, size=(63, 47))])
        assert stream_of(tmp_path / f"a.{ending}")["size"] == (63, 47)
        assert sink.notes == ()

    def test_tiny_pictures(self, tmp_path: Path) -> None:
        sink = AvSink(tmp_path / "a.mp4", video_info(16, 16), overwrite=False)
        write_all(sink, (make_frame(i, size=(16, 16)) for i in range(3)))
        assert [read_counter(image) for image in pictures(tmp_path / "a.mp4")] == [0, 1, 2]

    def test_another_size_in_mid_run_is_fitted_and_counted(self, tmp_path: Path) -> None:
        painter = plain_picture((240, 240, 240))
        sizes = [(64, 48), (128, 48), (32, 24)]
        sink = AvSink(tmp_path / "a.mp4", video_info(), overwrite=False, encode=EncodeOptions(crf=5))
        write_all(sink, [make_frame(i, size=size, painter=painter) for i, size in enumerate(sizes)])
        wide = pictures(tmp_path / "a.mp4")[1]
        assert wide.shape == (48, 64, 3)
        assert wide[24].mean() > 220 and wide[2].mean() < 40, "twice as wide: black above and below"
        assert sink.counters["rescaled"] == 2
        assert any("another size" in note for note in sink.notes)

    def test_pictures_that_are_views_or_read_only(self, tmp_path: Path) -> None:
        frame = make_frame(5)
        big = np.repeat(frame.image, 2, axis=1)
        locked = frame.image.copy()
        locked.setflags(write=False)
        sink = AvSink(tmp_path / "a.mp4", video_info(), overwrite=False)
        sink.write(frame, nothing_seen(frame), big[:, ::2])
        sink.write(make_frame(6), nothing_seen(frame), locked)
        sink.close()
        assert [read_counter(image) for image in pictures(tmp_path / "a.mp4")] == [5, 5]

    def test_lower_crf_and_slower_preset_are_used(self, tmp_path: Path) -> None:
        image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
        sizes = {}
        for crf in (10, 45):
            path = tmp_path / f"{crf}.mp4"
            write_all(
                AvSink(
                    path,
                    video_info(),
                    overwrite=False,
                    encode=EncodeOptions(crf=crf, encoder_preset="ultrafast", threads=1),
                ),
                [make_frame(i, painter=lambda *_: image) for i in range(3)],
            )
            sizes[crf] = path.stat().st_size
        assert sizes[10] > 2 * sizes[45]


def mean_difference_of_quarters(a: np.ndarray, b: np.ndarray) -> float:
    """Largest difference of the mean colours in the middle of the four quarters."""
    h, w = a.shape[0] // 2, a.shape[1] // 2
    worst = 0.0
    for top in (0, h):
        for left in (0, w):
            window = np.s_[top + h // 4 : top + 3 * h // 4, left + w // 4 : left + 3 * w // 4]
            worst = max(worst, float(np.abs(a[window].mean((0, 1)) - b[window].mean((0, 1))).max()))
    return worst


class TestFile:
    @pytest.mark.parametrize("ending", ["mp4", "mov"])
    def test_index_comes_before_the_pictures(self, tmp_path: Path, ending: str) -> None:
        path = tmp_path / f"a.{ending}"
        write_all(AvSink(path, video_info(), overwrite=False), [make_frame(0)])
        boxes = mp4_boxes(path)
        assert boxes.index("moov") < boxes.index("mdat")

    def test_grows_as_part_file_and_is_renamed_at_the_end(self, tmp_path: Path) -> None:
        sink = AvSink(tmp_path / "a.mp4", video_info(), overwrite=False)
        for i in range(3):
            sink.write(make_frame(i), nothing_seen(make_frame(i)), make_frame(i).image)
        assert os.listdir(tmp_path) == ["a.mp4.part"]
        sink.close()
        sink.close()
        assert os.listdir(tmp_path) == ["a.mp4"]

    def test_abort_leaves_nothing(self, tmp_path: Path) -> None:
        sink = AvSink(tmp_path / "a.mp4", video_info(), overwrite=False)
        sink.write(make_frame(0), nothing_seen(make_frame(0)), make_frame(0).image)
        sink.abort()
        sink.abort()
        sink.close()
        assert os.listdir(tmp_path) == []

    def test_no_frame_no_file(self, tmp_path: Path) -> None:
        sink = AvSink(tmp_path / "a.mp4", video_info(), overwrite=False)
        with pytest.raises(WriteError, match="no frame"):
            sink.close()
        assert os.listdir(tmp_path) == []

    def test_killed_process_leaves_only_the_part_file_and_the_next_run_takes_it_over(self, tmp_path: Path) -> None:
        script = textwrap.dedent(f"""
            import os, signal
            from tests.sinks.sink_helpers import make_frame, nothing_seen, video_info
            from vidseg.sinks.av_sink import AvSink
            sink = AvSink({str(tmp_path / "a.mp4")!r}, video_info(), overwrite=False)
            for i in range(50):
                sink.write(make_frame(i), nothing_seen(make_frame(i)), make_frame(i).image)
            os.kill(os.getpid(), signal.SIGKILL)
        """)
        done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, timeout=60, check=False)
        assert done.returncode == -signal.SIGKILL
        assert os.listdir(tmp_path) == ["a.mp4.part"]
        write_all(AvSink(tmp_path / "a.mp4", video_info(), overwrite=False), [make_frame(7)])
        assert os.listdir(tmp_path) == ["a.mp4"]
        assert [read_counter(image) for image in pictures(tmp_path / "a.mp4")] == [7]

    def test_existing_file_is_refused_or_replaced_only_at_the_end(self, tmp_path: Path) -> None:
        path = tmp_path / "a.mp4"
        path.write_bytes(b"old")
        with pytest.raises(SinkError, match="-y"):
            AvSink(path, video_info(), overwrite=False)
        assert os.listdir(tmp_path) == ["a.mp4"]
        sink = AvSink(path, video_info(), overwrite=True)
        sink.write(make_frame(0), nothing_seen(make_frame(0)), make_frame(0).image)
        assert path.read_bytes() == b"old"
        sink.close()
        assert mp4_boxes(path)[0] == "ftyp"

    def test_odd_file_names(self, tmp_path: Path) -> None:
        for name in ("a:b.mp4", "50%d.mp4", "über straße.mp4", "-y.mp4"):
            write_all(AvSink(tmp_path / name, video_info(), overwrite=False), [make_frame(0)])
            assert len(frame_times(tmp_path / name)) == 1

    def test_relative_path(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        write_all(AvSink("a.mp4", video_info(), overwrite=False), [make_frame(0)])
        assert os.listdir(tmp_path) == ["a.mp4"]

    def test_disk_full_or_file_too_large_is_one_line_and_leaves_nothing(self, tmp_path: Path) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)
        sink = AvSink(tmp_path / "a.mkv", video_info(320, 240), overwrite=False, encode=EncodeOptions(codec="ffv1"))
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
            with pytest.raises(WriteError, match=r"a\.mkv: exceeds the") as caught:
                write_all(sink, (make_frame(i, painter=lambda *_: noise) for i in range(40)))
            sink.abort()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            signal.signal(signal.SIGXFSZ, before)
        assert "\n" not in str(caught.value)
        assert os.listdir(tmp_path) == []

    def test_disk_that_fills_while_the_file_is_finished(self, tmp_path: Path) -> None:
        """The rest that the encoder held back, and the index, come in `close`."""
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        sink = AvSink(tmp_path / "a.mp4", video_info(), overwrite=False)
        sink.write(make_frame(0), nothing_seen(make_frame(0)), make_frame(0).image)
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
            with pytest.raises(WriteError, match="exceeds the largest"):
                sink.close()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            signal.signal(signal.SIGXFSZ, before)
        assert os.listdir(tmp_path) == []


class TestRefusals:
    @pytest.mark.parametrize(
        ("name", "options", "message"),
        [
            ("a.xyz", {}, r"'\.xyz' is not a known.*\.mp4 .*\.webm"),
            ("a", {}, "no file ending"),
            ("a.mp4", {"codec": "h266"}, "'h266' is unknown; known: h264, hevc"),
            ("a.mp4", {"codec": "aac"}, "'aac' is unknown"),
            ("a.mp4", {"codec": "prores"}, r"cannot be used in.*\.mov.*takes h264"),
            ("a.webm", {"codec": "h264"}, "cannot be used in.*takes av1, vp9"),
            ("a.gif", {"codec": "h264"}, "cannot be used in this container"),
            ("a.webm", {"codec": "mpeg4"}, "cannot be used in this container"),
            ("a.mp4", {"crf": 52}, "crf 52 .*0 .*51"),
            ("a.mp4", {"crf": -1}, "crf -1"),
            ("a.mkv", {"codec": "ffv1", "crf": 3}, "ffv1 takes no crf"),
            ("a.mp4", {"encoder_preset": "warp"}, "'warp' is unknown.*ultrafast.*placebo"),
            ("a.mp4", {"codec": "av1", "encoder_preset": "fast"}, "unknown to av1; known: 0, 1"),
            ("a.avi", {"codec": "mjpeg", "encoder_preset": "fast"}, "takes no encoder preset"),
            ("a.mp4", {"audio": "loud"}, "known: copy, none"),
            ("a.mp4", {"threads": -1}, "threads -1"),
            ("no/such/a.mp4", {}, "no/such does not exist; create it"),
        ],
    )
    def test_wrong_settings_fail_at_once_and_leave_nothing(
        self, tmp_path: Path, name: str, options: dict[str, object], message: str
    ) -> None:
        with pytest.raises(SinkError, match=message) as caught:
            AvSink(tmp_path / name, video_info(), overwrite=False, encode=EncodeOptions(**options))  # type: ignore[arg-type]
        assert "\n" not in str(caught.value)
        assert os.listdir(tmp_path) == []

    def test_an_encoder_that_cannot_open_here_is_found_before_the_first_frame(self, tmp_path: Path) -> None:
        """As a hardware encoder without its hardware; H.261 has sizes of its own and is in every FFmpeg."""
        with pytest.raises(SinkError, match=r"h261: the encoder cannot be opened here \(Invalid argument\); try h264"):
            AvSink(tmp_path / "a.avi", video_info(), overwrite=False, encode=EncodeOptions(codec="h261"))
        assert os.listdir(tmp_path) == []

    def test_encoder_that_refuses_the_size_is_one_line(self, tmp_path: Path) -> None:
        sink = AvSink(tmp_path / "a.mp4", video_info(8, 8), overwrite=False, encode=EncodeOptions(codec="hevc"))
        frame = make_frame(0, size=(8, 8), painter=plain_picture((0, 0, 0)))
        with pytest.raises(WriteError, match="libx265 failed at 8x8"):
            sink.write(frame, nothing_seen(frame), frame.image)
        sink.abort()
        assert os.listdir(tmp_path) == []

    def test_a_folder_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "a.mp4").mkdir()
        with pytest.raises(SinkError, match="is a folder"):
            AvSink(tmp_path / "a.mp4", video_info(), overwrite=True)

    @pytest.mark.parametrize("link", [os.symlink, os.link], ids=["symbolic link", "hard link"])
    def test_the_input_is_never_the_output(self, tmp_path: Path, link: object) -> None:
        source = tmp_path / "in.mp4"
        source.write_bytes(b"precious")
        link(source, tmp_path / "out.mp4")  # type: ignore[operator]
        for output in ("in.mp4", "out.mp4", "sub/../in.mp4"):
            (tmp_path / "sub").mkdir(exist_ok=True)
            with pytest.raises(SinkError, match="is the input itself"):
                AvSink(tmp_path / output, video_info(audio_path=str(source)), overwrite=True)
            with pytest.raises(SinkError, match="is the input itself"):
                AvSink(tmp_path / output, video_info(), overwrite=True, source_paths=[source])
        assert source.read_bytes() == b"precious"

    def test_write_after_abort_is_our_mistake(self, tmp_path: Path) -> None:
        sink = AvSink(tmp_path / "a.mp4", video_info(), overwrite=False)
        sink.abort()
        with pytest.raises(AssertionError):
            sink.write(make_frame(0), nothing_seen(make_frame(0)), counter_picture(0, 64, 48))
