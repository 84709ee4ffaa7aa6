"""From text to source: what it stands for, and what is said when it cannot be opened."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.video.clips import make_clip
from vidseg.errors import ConfigError, SourceError
from vidseg.picture_size import MAX_PIXELS
from vidseg.sources import factory
from vidseg.sources.av_source import AvSource
from vidseg.sources.factory import SourceKind, classify, open_source
from vidseg.sources.file_checks import near_names
from vidseg.sources.image_source import ImageSource
from vidseg.sources.pattern_source import PatternSource


def nothing(_: str) -> bool:
    return False


def everything(_: str) -> bool:
    return True


@pytest.mark.parametrize(
    ("spec", "kind"),
    [
        ("0", SourceKind.CAMERA),
        ("cam1", SourceKind.CAMERA),
        ("/dev/video0", SourceKind.CAMERA),
        ("./0", SourceKind.FILE),
        ("rtsp://joe:pw@host/cam.jpg", SourceKind.URL),
        ("HTTP://host/v.mp4", SourceKind.URL),
        ("udp://:5000", SourceKind.URL),
        ("file:///tmp/v.mp4", SourceKind.FILE),
        ("file:///tmp/v.png", SourceKind.IMAGES),
        ("test", SourceKind.PATTERN),
        ("test:320x240@30", SourceKind.PATTERN),
        ("./test", SourceKind.FILE),
        ("test.mp4", SourceKind.FILE),
        ("photos/*.jpg", SourceKind.IMAGES),
        ("photo?.jpg", SourceKind.IMAGES),
        ("a.JPG", SourceKind.IMAGES),
        ("a.tiff", SourceKind.IMAGES),
        ("clip.mp4", SourceKind.FILE),
        ("clip.gif", SourceKind.FILE),
        ("C:\\clips\\a.mp4", SourceKind.FILE),
        ("10:30.mp4", SourceKind.FILE),
    ],
)
def test_what_a_text_stands_for_by_its_form(spec: str, kind: SourceKind) -> None:
    assert classify(spec, is_file=nothing, is_dir=nothing) is kind


def test_what_exists_wins_over_patterns_but_not_over_cameras_and_urls() -> None:
    assert classify("test", is_file=everything, is_dir=nothing) is SourceKind.FILE
    assert classify("test:x", is_file=everything, is_dir=nothing) is SourceKind.FILE
    assert classify("clip[1].mp4", is_file=everything, is_dir=nothing) is SourceKind.FILE
    assert classify("test", is_file=nothing, is_dir=everything) is SourceKind.IMAGES
    assert classify("0", is_file=everything, is_dir=everything) is SourceKind.CAMERA
    assert classify("rtsp://host", is_file=everything, is_dir=everything) is SourceKind.URL


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("", "source is empty; accepted: a video or image file"),
        ("  ", "source is empty"),
        ("test:huge", "test:huge: unknown option 'huge'; write test"),
    ],
)
def test_what_stands_for_nothing_is_refused(spec: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        classify(spec)


SPECS = st.text() | st.builds(
    "".join,
    st.lists(
        st.sampled_from(
            ["test", ":", "x", "@", "cam", "0", "/dev/video", "~", "*", "[", "rtsp://", "file://", "-", ".mp4"]
        )
        | st.text(max_size=3)
    ),
)


@given(spec=SPECS, is_file=st.booleans(), is_dir=st.booleans())
def test_any_text_is_classified_or_refused(spec: str, is_file: bool, is_dir: bool) -> None:
    try:
        kind = classify(spec, is_file=lambda _: is_file, is_dir=lambda _: is_dir)
    except ConfigError as error:
        assert "\n" not in str(error)
        return
    assert isinstance(kind, SourceKind)
    assert kind is classify(spec, is_file=lambda _: is_file, is_dir=lambda _: is_dir)


@settings(max_examples=60, deadline=None)
@given(spec=SPECS.map(lambda text: f"./no such folder/{text}"))
def test_any_missing_path_is_refused_in_one_line(spec: str) -> None:
    with pytest.raises((SourceError, ConfigError)) as caught:
        open_source(spec)
    assert str(caught.value).isprintable()


def test_each_kind_is_opened_by_its_class(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=1)
    make_clip(tmp_path / "a.png", codec="png", pix_fmt="rgb24", frames=1, container="image2")
    for spec, kind in {
        str(clip): AvSource,
        clip.as_uri(): AvSource,
        str(tmp_path): ImageSource,
        str(tmp_path / "a.png"): ImageSource,
        (tmp_path / "a.png").as_uri(): ImageSource,
        str(tmp_path / "*.png"): ImageSource,
        "test:64x48": PatternSource,
    }.items():
        with open_source(spec) as source:
            assert type(source) is kind
            assert (source.info.width, source.info.height) == (64, 48)


def test_options_reach_their_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, dict] = {}
    for name in ("AvSource", "CameraSource", "ImageSource", "PatternSource"):
        monkeypatch.setattr(factory, name, lambda spec, name=name, **options: seen.setdefault(name, options))
    (tmp_path / "a.png").touch()
    options = {
        "camera_size": (4, 5),
        "camera_rate": 6,
        "camera_format": "yuyv",
        "endless": True,
        "rtsp_transport": "udp",
        "open_timeout": 7,
        "read_timeout": 8,
        "hwaccel": "auto",
        "audio": True,
        "more_images": ["b.png"],
        "image_rate": 9,
    }
    for spec in ("rtsp://host", "cam0", str(tmp_path / "a.png"), "test"):
        open_source(spec, **options)
    assert seen == {
        "AvSource": {
            "rtsp_transport": "udp",
            "open_timeout": 7,
            "read_timeout": 8,
            "hwaccel": "auto",
            "audio": True,
        },
        "CameraSource": {"size": (4, 5), "frame_rate": 6, "format": "yuyv"},
        "ImageSource": {"more": ["b.png"], "frame_rate": 9, "max_pixels": MAX_PIXELS},
        "PatternSource": {"endless": True},
    }


def test_home_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    clip = make_clip(tmp_path / "clip.mp4", frames=1, audio_seconds=0.1)
    (tmp_path / "photos").mkdir()
    with open_source("~/clip.mp4") as source:
        assert source.info.audio_path == str(clip)
    with pytest.raises(SourceError, match="~/photos: no images in this folder"):
        open_source("~/photos")


def test_a_misspelt_name_gets_suggestions(tmp_path: Path) -> None:
    for name in ("holiday.mp4", "Holidays.MP4", "work.mkv", "two\nlines.mp4"):
        (tmp_path / name).touch()
    with pytest.raises(SourceError, match=r"holidy\.mp4: no such file; did you mean holiday\.mp4"):
        open_source(str(tmp_path / "holidy.mp4"))
    with pytest.raises(SourceError, match=r"did you mean Holidays\.MP4"):
        open_source(str(tmp_path / "holidays.mp4"))
    with pytest.raises(SourceError, match=r"did you mean two\\nlines\.mp4"):
        open_source(str(tmp_path / "two lines.mp4"))


def test_a_missing_name_like_no_other_says_what_is_accepted(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"zzz: no such file; accepted: a video or image file, .* a camera \(cam0\)"):
        open_source(str(tmp_path / "zzz"))


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"a\.mp4: no such file; there is no folder .*nowhere either"):
        open_source(str(tmp_path / "nowhere" / "a.mp4"))


def test_near_names_are_few_and_best_first(tmp_path: Path) -> None:
    for name in ("clip1.mp4", "clip2.mp4", "clip3.mp4", "clip4.mp4", "CLIP.mp4", "other.txt"):
        (tmp_path / name).touch()
    names = near_names(tmp_path / "clip.mp4")
    assert len(names) == 3
    assert names[0] == "CLIP.mp4"
    assert near_names(tmp_path / "nowhere" / "clip.mp4") == []


def test_opencv_is_loaded_before_pyav_which_would_keep_it_from_opening_windows() -> None:
    code = "import sys, vidseg.sources.av_open; seen = list(sys.modules); print(seen.index('cv2') < seen.index('av'))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert result.stdout.strip() == "True", result.stderr
