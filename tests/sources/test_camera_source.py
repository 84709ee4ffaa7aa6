"""Cameras, with one that is made up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import pytest

from tests.sources.fake_capture import FakeCapture
from tests.sources.graph_camera import plug_in
from vidseg.errors import ConfigError, SourceError
from vidseg.sources import camera_source
from vidseg.sources.camera_source import CameraSource, camera_number, is_camera, list_cameras


def ticking(step_ns: int) -> Callable[[], int]:
    """A clock that is `step_ns` later at every look."""
    now = [7_000_000_000]

    def clock() -> int:
        now[0] += step_ns
        return now[0]

    return clock


@pytest.mark.parametrize(
    ("spec", "number"),
    [
        ("0", 0),
        ("cam0", 0),
        ("cam12", 12),
        ("/dev/video3", 3),
        ("/dev/v4l/by-id/x", None),
        ("./0", None),
        ("cam", None),
        ("camera0", None),
        ("/dev/video", None),
        ("1234", None),
        ("-1", None),
        ("٣", None),
        ("0\n", None),
    ],
)
def test_what_names_a_camera(spec: str, number: int | None) -> None:
    assert camera_number(spec) == number


def test_frames_are_rgb_and_timed_by_the_clock_from_zero() -> None:
    with CameraSource("cam0", open_capture=lambda _: FakeCapture(), clock_ns=ticking(33_000_500)) as source:
        assert source.info.live
        assert source.info.frame_rate == 30
        frames = [frame for frame, _ in zip(source, range(3), strict=False)]
    assert [frame.pts for frame in frames] == [0, 33_000, 66_001]
    assert frames[1].seconds == pytest.approx(0.033)
    assert frames[0].image[0, 0].tolist() == [50, 100, 200]


def test_the_camera_is_opened_by_number_and_asked_for_size_and_rate() -> None:
    capture, numbers = FakeCapture(), []

    def open_capture(number: int) -> FakeCapture:
        numbers.append(number)
        return capture

    with CameraSource("/dev/video2", size=(1280, 720), frame_rate=60, open_capture=open_capture) as source:
        # What came, not what was asked for.
        assert (source.info.width, source.info.height) == (64, 48)
    assert numbers == [2]
    assert capture.asked[cv2.CAP_PROP_FRAME_WIDTH] == 1280
    assert capture.asked[cv2.CAP_PROP_FRAME_HEIGHT] == 720
    assert capture.asked[cv2.CAP_PROP_FPS] == 60
    assert capture.released == 1


@pytest.mark.parametrize(
    ("options", "letters"),
    [
        ({"format": "yuyv"}, "YUYV"),
        ({"format": "nv12", "size": (640, 480)}, "NV12"),
        ({"size": (640, 480)}, "MJPG"),
        ({"frame_rate": 5}, None),
    ],
)
def test_a_camera_is_asked_for_its_format_motion_jpeg_with_a_size(options, letters) -> None:
    capture = FakeCapture()
    CameraSource("cam0", open_capture=lambda _: capture, **options).close()
    asked = capture.asked.get(cv2.CAP_PROP_FOURCC)
    assert asked == (None if letters is None else cv2.VideoWriter.fourcc(*letters))


def test_a_size_that_the_camera_does_not_have_is_said() -> None:
    with CameraSource("cam0", size=(1280, 720), open_capture=lambda _: FakeCapture()) as source:
        assert source.info.notes == ("cam0: requested 1280x720, got 64x48",)
    with CameraSource("cam0", size=(64, 48), open_capture=lambda _: FakeCapture()) as source:
        assert source.info.notes == ()


def test_a_link_that_stays_with_the_camera_is_followed_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    places = {"/dev/v4l/by-id/usb-x": "/dev/video4"}
    monkeypatch.setattr(camera_source.os.path, "realpath", lambda path: places.get(path, path))
    numbers: list[int] = []

    def open_capture(number: int) -> FakeCapture:
        numbers.append(number)
        return FakeCapture()

    assert is_camera("/dev/v4l/by-id/usb-x")
    CameraSource("/dev/v4l/by-id/usb-x", open_capture=open_capture).close()
    places["/dev/v4l/by-id/usb-x"] = "/dev/video2"
    CameraSource("/dev/v4l/by-id/usb-x", open_capture=open_capture).close()
    places.clear()
    with pytest.raises(SourceError, match="/dev/v4l/by-id/usb-x: this camera is not connected"):
        CameraSource("/dev/v4l/by-id/usb-x", open_capture=open_capture)
    assert numbers == [4, 2]


def test_a_camera_made_of_a_filter_graph_gives_its_pictures_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    with CameraSource(plug_in(monkeypatch, "color=red:size=64x48:rate=100:duration=0.05")) as source:
        assert source.info.live and source.info.frame_rate == 100
        frames = iter(source)
        seen = [next(frames) for _ in range(5)]
        with pytest.raises(SourceError, match="unplugged"):
            next(frames)
    assert all(abs(int(frame.image[0, 0, 0]) - 254) < 3 and frame.image[0, 0, 1] < 3 for frame in seen)


def test_a_missing_picture_now_and_then_is_counted_and_passed_over() -> None:
    capture = FakeCapture(misses=frozenset({2, 3, 5}))
    with CameraSource("cam0", open_capture=lambda _: capture) as source:
        frames = [frame for frame, _ in zip(source, range(4), strict=False)]
    assert [frame.index for frame in frames] == [0, 1, 2, 3]
    assert source.counters == {"empty_reads": 3}


def test_a_camera_that_was_pulled_out_is_an_error() -> None:
    with CameraSource("cam1", open_capture=lambda _: FakeCapture(pictures=2)) as source:
        frames = iter(source)
        next(frames)
        next(frames)
        with pytest.raises(SourceError, match="cam1: the camera stopped sending pictures"):
            next(frames)


def test_an_unknown_rate_stays_unknown() -> None:
    with CameraSource("cam0", open_capture=lambda _: FakeCapture(rate=0.0)) as source:
        assert source.info.frame_rate is None


def test_a_camera_that_cannot_be_opened_names_those_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    capture = FakeCapture(opens=False)
    monkeypatch.setattr(camera_source, "list_cameras", lambda: ["/dev/video0", "/dev/video2"])
    with pytest.raises(SourceError, match="cam7: cannot be opened; cameras here: /dev/video0, /dev/video2"):
        CameraSource("cam7", open_capture=lambda _: capture)
    assert capture.released == 1
    monkeypatch.setattr(camera_source, "list_cameras", lambda: [])
    with pytest.raises(SourceError, match="cam7: cannot be opened; no camera was found"):
        CameraSource("cam7", open_capture=lambda _: FakeCapture(opens=False))


def test_a_camera_without_pictures_is_released_and_an_error() -> None:
    capture = FakeCapture(pictures=0)
    with pytest.raises(SourceError, match="cam0: opened, but delivers no picture"):
        CameraSource("cam0", open_capture=lambda _: capture)
    assert capture.released == 1


def test_what_is_no_camera_is_refused() -> None:
    with pytest.raises(ConfigError, match="front door: not a camera; write cam0"):
        CameraSource("front door")


@pytest.mark.skipif(Path("/dev/video255").exists(), reason="there is a camera 255")
def test_a_real_attempt_at_a_missing_camera_fails_without_noise(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SourceError, match="cam255: cannot be opened"):
        CameraSource("cam255")
    assert capfd.readouterr() == ("", "")


def test_cameras_are_listed_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    found = ["/dev/video10", "/dev/video2", "/dev/video-x", "/dev/video0"]
    monkeypatch.setattr(camera_source.glob, "glob", lambda _: found)
    assert list_cameras() == ["/dev/video0", "/dev/video2", "/dev/video10"]
