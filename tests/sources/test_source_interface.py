"""What every source promises, tested on all of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.sources.fake_capture import FakeCapture
from tests.video.clips import counter_picture, make_clip
from vidseg.frames import VideoInfo
from vidseg.interfaces import VideoSource
from vidseg.sources.av_source import AvSource
from vidseg.sources.camera_source import CameraSource
from vidseg.sources.factory import open_source
from vidseg.sources.image_source import ImageSource
from vidseg.sources.pattern_source import PatternSource

FRAMES = 8


@dataclass(frozen=True)
class Case:
    open: Callable[[], VideoSource]
    frames: int | None = FRAMES
    """How many come; None for a source without an end."""


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sources")
    make_clip(folder / "clip.mp4", frames=FRAMES, bframes=2)
    make_clip(folder / "clip.mkv", frames=FRAMES)
    for index in range(FRAMES):
        cv2.imwrite(str(folder / f"picture{index}.png"), counter_picture(index, 64, 48))
    return folder


@pytest.fixture(scope="module")
def web_address(folder: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_QuietHandler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(
    params=["mp4", "mkv", "http", "image", "folder", "glob", "pattern", "realtime", "endless", "camera", "factory"]
)
def case(request: pytest.FixtureRequest, folder: Path) -> Case:
    kind = request.param
    if kind == "http":
        address = request.getfixturevalue("web_address")
        return Case(lambda: AvSource(f"{address}/clip.mkv"))
    return {
        "mp4": Case(lambda: AvSource(folder / "clip.mp4")),
        "mkv": Case(lambda: AvSource(folder / "clip.mkv")),
        "image": Case(lambda: ImageSource(folder / "picture3.png"), frames=1),
        "folder": Case(lambda: ImageSource(folder)),
        "glob": Case(lambda: ImageSource(str(folder / "pic*.png"))),
        "pattern": Case(lambda: PatternSource(f"test:64x48@25,frames={FRAMES}")),
        "realtime": Case(lambda: PatternSource(f"test:64x48@1000,realtime,frames={FRAMES}")),
        "endless": Case(lambda: PatternSource("test:64x48@25,frames=inf"), frames=None),
        "camera": Case(lambda: CameraSource("cam0", open_capture=lambda _: FakeCapture()), frames=None),
        "factory": Case(lambda: open_source(str(folder / "clip.mp4"))),
    }[kind]


def take(source: VideoSource, most: int | None) -> list:
    """Up to `most` frames."""
    return [frame for frame, _ in zip(source, range(most or FRAMES), strict=False)]


def test_it_is_a_video_source_that_knows_itself_before_the_first_frame(case: Case) -> None:
    source = case.open()
    assert isinstance(source, VideoSource)
    assert isinstance(source.info, VideoInfo)
    assert (source.info.width, source.info.height) == (64, 48)
    assert source.info.time_base > 0
    source.close()


def test_frames_are_contiguous_rgb_with_consecutive_indices_and_times_that_do_not_run_back(case: Case) -> None:
    source = case.open()
    frames = take(source, case.frames)
    source.close()
    assert [frame.index for frame in frames] == list(range(case.frames or FRAMES))
    for frame in frames:
        assert frame.image.shape == (48, 64, 3)
        assert frame.image.dtype == np.uint8
        assert frame.image.flags.c_contiguous
        assert frame.time_base == source.info.time_base
        assert isinstance(frame.time_base, Fraction)
        assert isinstance(frame.pts, int)
    times = [frame.pts for frame in frames]
    assert times == sorted(times)


def test_a_source_with_an_end_gives_all_its_frames_and_stops(case: Case) -> None:
    if case.frames is None:
        pytest.skip("has no end")
    with case.open() as source:
        assert len(list(source)) == case.frames
        assert list(source) == []


def test_pictures_stay_as_they_are_while_later_ones_are_read(case: Case) -> None:
    source = case.open()
    frames = take(source, case.frames)
    before = [frame.image.copy() for frame in frames]
    again = case.open()
    for frame, copy, fresh in zip(frames, before, take(again, case.frames), strict=True):
        np.testing.assert_array_equal(frame.image, copy)
        np.testing.assert_array_equal(frame.image, fresh.image)
    again.close()
    source.close()


def test_counters_are_a_mapping_of_names_to_counts_and_empty_when_all_is_well(case: Case) -> None:
    source = case.open()
    take(source, case.frames)
    assert dict(source.counters) == {}
    source.close()


def test_closing_twice_is_harmless_and_nothing_comes_afterwards(case: Case) -> None:
    source = case.open()
    frames = iter(source)
    next(frames)
    source.close()
    source.close()
    assert list(frames) == []
    assert list(source) == []
    assert source.info.width == 64


def test_an_unread_source_can_be_closed(case: Case) -> None:
    source = case.open()
    source.close()
    assert list(source) == []


def test_leaving_the_with_statement_closes_it_even_after_an_error(case: Case) -> None:
    with pytest.raises(KeyError), case.open() as source:
        next(iter(source))
        raise KeyError
    assert list(source) == []


def test_interrupt_from_another_thread_ends_the_iteration(case: Case) -> None:
    source = case.open()
    seen = 0
    for _ in source:
        seen += 1
        thread = threading.Thread(target=source.interrupt)
        thread.start()
        thread.join()
    assert seen == 1
    source.close()


def test_interrupt_before_the_first_frame_means_no_frame(case: Case) -> None:
    source = case.open()
    source.interrupt()
    assert list(source) == []
    source.close()
